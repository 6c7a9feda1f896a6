"""A fleet of ``compose.yaml`` under a project name of its own, on free ports of the host."""

from __future__ import annotations

import json
import secrets
import subprocess
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any, Self

import yaml

from services.core.cli import exit_codes
from shared.queues import QUEUES
from shared.settings import child_environment
from tests.fleet.inspection import wait_for

ROOT = Path(__file__).parents[2]
SLOW_MAIL = ROOT / "tests" / "containers" / "slow-mail.yaml"
UP_SECONDS = 420
"""The image is built first, and two cores start fourteen containers."""

SERVERS = ("redis", "rabbitmq", "postgres", "prometheus", "alertmanager")
WORKERS = tuple(spec.name.replace(".", "-") for spec in QUEUES)
OURS = (*WORKERS, "beat", "relay", "recorder", "observer", "api", "mail")


class ComposeFleet:
    """The containers, networks and volumes of one project; ``with`` brings it up and removes every trace of it.

    Args:
        files: The folder on the host that the command line sees as its working folder; readable by everybody.
    """

    def __init__(self, files: Path) -> None:
        self.project = f"switchyard-test-{secrets.token_hex(3)}"
        ports = {
            f"SWITCHYARD_PORT_{name}": "0" for name in ("API", "OBSERVER", "RABBITMQ", "PROMETHEUS", "ALERTMANAGER")
        }
        self._environment = child_environment(
            {**ports, "SWITCHYARD_FILES": str(files), "SWITCHYARD_VERSION": "test", "COMPOSE_PROGRESS": "quiet"},
            without=("YARD_", "SWITCHYARD_", "COMPOSE_"),
        )

    def __enter__(self) -> Self:
        try:
            # A build for one service makes the image of all.
            self.compose("build", "--quiet", "secrets", seconds=UP_SECONDS)
            self.compose("up", "--wait", "--no-build", seconds=UP_SECONDS)
        except BaseException:
            print(self.compose("ps", "--all", expect=None))
            print(self.compose("logs", "--tail=20", "--no-color", expect=None))
            self._remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._remove()

    def compose(
        self, *arguments: str, files: tuple[Path, ...] = (), expect: int | None = 0, seconds: float = 180
    ) -> str:
        """Run ``docker compose`` on the fleet; return what it printed.

        Args:
            arguments: Those after the options that name the fleet.
            files: What is laid over ``compose.yaml``.
            expect: The exit code; ``None`` when any will do.
            seconds: How long it may take.
        """
        done = self._run(*arguments, files=files, seconds=seconds)
        assert expect in (None, done.returncode), f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def yard(self, *arguments: str, expect: int = exit_codes.OK) -> str:
        """Run ``yard`` as a person does; return what it printed."""
        return self.compose("run", "--rm", "-T", "yard", *arguments, expect=expect, seconds=300)

    def run(self, service: str, *command: str, replica: int = 1, expect: int = 0) -> str:
        """Run a command inside a container of a service; return what it printed."""
        return self.compose("exec", "-T", f"--index={replica}", service, *command, expect=expect)

    def python(self, service: str, program: str, *, replica: int = 1) -> Any:
        """Run a Python program inside a container of ours; return the JSON that it prints."""
        return json.loads(self.run(service, "python", "-c", program, replica=replica))

    def inspect(self, *services: str) -> dict[str, dict[str, Any]]:
        """Return what ``docker inspect`` tells of every container of some services, by name of container."""
        ids = self.compose("ps", "--all", "--quiet", *services).split()
        done = subprocess.run(["docker", "inspect", *ids], check=True, capture_output=True, text=True)
        return {container["Name"]: container for container in json.loads(done.stdout)}

    def get(self, service: str, port: int, path: str) -> Any:
        """Ask a published port of the host for JSON."""
        address = self.compose("port", service, str(port)).strip()
        with urllib.request.urlopen(f"http://{address}{path}", timeout=10) as answer:
            return json.load(answer)

    def copy(self, source: str, to: Path) -> Path:
        """Copy a file or folder out of a container onto the host, ``service:/path``."""
        self.compose("cp", source, str(to))
        return to

    def envelopes(self, folder: Path) -> Counter[str]:
        """Count the messages in the mail catcher by the recipient of their envelope, read back on the host."""
        mails = self.copy("mail:/srv/mail", folder / f"mail-{secrets.token_hex(3)}")
        first_lines = (path.read_text(encoding="utf-8").partition("\n")[0] for path in mails.glob("*.eml"))
        return Counter(line.removeprefix("X-Envelope-To: ") for line in first_lines)

    def wait_until_healthy(self, *services: str, seconds: float = 120) -> None:
        """Wait until every container of some services is healthy; of all, without any."""
        wait_for(lambda: not self.unhealthy(*services), f"{services or 'all'} to be healthy", seconds)

    def says(self, service: str, question: str) -> bool:
        """Ask the first container of a service whether it is ``live`` or ``ready``, as Docker does."""
        return self._run("exec", "-T", service, "yard", "health", question).returncode == exit_codes.OK

    def unhealthy(self, *services: str) -> list[str]:
        """Return the containers that run and are not healthy, or should run and do not."""
        return [
            name
            for name, container in self.inspect(*services).items()
            if container["Config"].get("Healthcheck")
            and container["State"].get("Health", {}).get("Status") != "healthy"
        ]

    def _run(
        self, *arguments: str, files: tuple[Path, ...] = (), seconds: float = 180
    ) -> subprocess.CompletedProcess[str]:
        given = [argument for file in (ROOT / "compose.yaml", *files) for argument in ("--file", str(file))]
        return subprocess.run(
            ["docker", "compose", "--project-name", self.project, *given, *arguments],
            check=False, cwd=ROOT, env=self._environment, capture_output=True, text=True, timeout=seconds,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def _remove(self) -> None:
        self.compose("--profile=*", "down", "--volumes", "--remove-orphans", "--timeout=5", expect=None)


def described() -> dict[str, Any]:
    """Return ``compose.yaml`` as YAML reads it."""
    found: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
    return found
