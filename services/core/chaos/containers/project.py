"""The fleet of ``compose.yaml`` as a project of its own."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from services.core.chaos.faults import Tell
from services.core.local.errors import StartFailed
from services.core.local.processes import ChildProcess
from services.core.local.record import FleetRecord
from services.core.local.state import Phase, locked
from shared.errors import ConfigurationError
from shared.settings import child_environment

ROOT = Path(__file__).parents[4]
FILES = ("compose.yaml", "deploy/docker/chaos.yaml")
PORTS = ("API", "OBSERVER", "RABBITMQ", "PROMETHEUS", "ALERTMANAGER", "GRAFANA")
BUILD_SECONDS = 1_200
UP_SECONDS = 420
LOG_SECONDS = 10
DOCKER_SECONDS = 120
"""For one command of an engine that starts and stops much at once."""


class ComposeProject:
    """The containers, networks and volumes of one project, on free ports of the host.

    ``with`` brings services up, and removes every trace of the project, whatever ended the block.  One that was
    killed is removed by the next one in the same folder, whose project has the same name.

    Args:
        home: Folder for logs, for the messages, and for what is given to the containers; it is there.
        services: What to start; what they depend on is started too.
        tell: Takes a line on what happens.

    Raises:
        ConfigurationError: This is no checkout, or no container engine answers.
        FleetAlreadyRunning: Another one lives in the folder; it was left alone.
        StartFailed: The image can't be built, or a container can't be started; nothing of it is left.
    """

    def __init__(self, home: Path, services: Sequence[str], tell: Tell) -> None:
        self.name = project_name(home)
        self.home = home
        self.given = home / "given"
        """Is ``/work`` for the command line in containers, which may read it."""
        self._services, self._tell = services, tell
        self._log = self.process("fleet", "logs", "--follow", "--no-color", "--timestamps")

    def __enter__(self) -> Self:
        self._check()
        record = FleetRecord(self.home, os.getpid(), lambda _name, _phase: None)
        with ExitStack() as stack:
            stack.enter_context(locked(self.home))
            stack.callback(record.fleet, Phase.STOPPED)
            record.fleet(Phase.STARTING)
            self._prepare()
            self._remove()
            stack.callback(self._end)
            self._start()
            record.fleet(Phase.READY)
            self._open = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def command(self, *arguments: str) -> list[str]:
        """Return the words of ``docker compose`` for this project."""
        files = [word for file in FILES for word in ("--file", file)]
        given = ["--env-file", str(self.home / "compose.env")]
        return ["docker", "compose", "--progress", "quiet", "--project-name", self.name, *files, *given, *arguments]

    def process(self, name: str, *arguments: str) -> ChildProcess:
        """Make a ``docker compose`` that runs beside this program, with its log; start it with ``start``."""
        log = self.home / "logs" / f"{name}.log"
        return ChildProcess(name, self.command(*arguments), log=log, environment=environment(), folder=ROOT)

    def compose(self, *arguments: str, seconds: float = DOCKER_SECONDS) -> str:
        """Run ``docker compose`` to its end; return what it printed.

        Raises:
            StartFailed: It failed, or took longer than ``seconds``.
        """
        return _run(self.command(*arguments), seconds)

    def docker(self, *arguments: str) -> str:
        """Run ``docker`` to its end; return what it printed.

        Raises:
            StartFailed: It failed, or took too long.
        """
        return _run(["docker", *arguments], DOCKER_SECONDS).strip()

    def container(self, service: str) -> str | None:
        """Find the container of a service that runs."""
        labels = {"project": self.name, "service": service, "oneoff": "False"}
        ours = [
            word for key, value in labels.items() for word in ("--filter", f"label=com.docker.compose.{key}={value}")
        ]
        ids = self.docker("ps", "--quiet", "--no-trunc", "--filter", "status=running", *ours).split()
        return ids[0] if ids else None

    def _check(self) -> None:
        if not all((ROOT / file).exists() for file in FILES):
            raise ConfigurationError(
                "This is no checkout: compose.yaml is not there. Run it where the code was cloned."
            )
        try:
            _run(["docker", "compose", "ls", "--quiet"], DOCKER_SECONDS)
        except StartFailed as error:
            raise ConfigurationError(f"There is no Docker with Compose that answers: {error}") from None

    def _prepare(self) -> None:
        # Instead of the .env of the checkout, which may name a real mail relay.
        values = {
            **{f"SWITCHYARD_PORT_{name}": "0" for name in PORTS},
            "SWITCHYARD_FILES": str(self.given),
            "SWITCHYARD_VERSION": "chaos",
            "SWITCHYARD_MAIL_ENV": "deploy/docker/mail-catcher.env",
        }
        (self.home / "compose.env").write_text("".join(f"{name}={value}\n" for name, value in values.items()))
        self.given.mkdir(exist_ok=True)
        self.given.chmod(0o755)

    def _start(self) -> None:
        self._tell("The image is being built.")
        self.compose("build", "--quiet", "secrets", seconds=BUILD_SECONDS)
        self._tell("The containers start.")
        try:
            self.compose("up", "--detach", "--no-build", *self._services, seconds=UP_SECONDS)
        finally:
            self._log.start()

    def _end(self) -> None:
        """Copy the messages out, for whoever looks into a finding, and remove everything."""
        try:
            with suppress(StartFailed):
                self.compose("cp", "mail:/srv/mail", str(self.home / "mail"))
        finally:
            self._remove()
            self._log.stop(LOG_SECONDS)

    def _remove(self) -> None:
        with suppress(StartFailed):
            self.compose("--profile=*", "down", "--volumes", "--remove-orphans", "--timeout=5")


def project_name(home: Path) -> str:
    """Return the name of the project that lives in a folder."""
    return f"switchyard-chaos-{hashlib.sha256(str(home).encode()).hexdigest()[:8]}"


def _run(command: Sequence[str], seconds: float) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - our own words
            command,
            check=False,
            cwd=ROOT,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=seconds,
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for us; what runs here is ended in order
        )
    except OSError as error:
        raise StartFailed(f"{command[0]} can't be run: {error.strerror}.") from None
    except subprocess.TimeoutExpired:
        raise StartFailed(f"`{' '.join(command)}` took longer than {seconds:g} s.") from None
    if done.returncode:
        raise StartFailed(f"`{' '.join(command)}` ended with {done.returncode}. {done.stdout}{done.stderr}".strip())
    return done.stdout


def environment() -> dict[str, str]:
    """Return the environment of ``docker``: nothing in it may change what is started."""
    return child_environment({}, without=("YARD_", "SWITCHYARD_", "COMPOSE_"))
