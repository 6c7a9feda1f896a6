"""The whole fleet on one machine, as a context manager."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from services.core.local.fleet_env import FleetEnv
from services.core.local.mail_service import LocalMail
from services.core.local.planned import PlannedProcess
from services.core.local.rabbitmq_server import LocalRabbitMQ
from services.core.local.record import FleetRecord, Progress
from services.core.local.redis_server import LocalRedis
from services.core.local.service import Service, wait_until_ready
from services.core.local.specs import Planner
from services.core.local.state import Phase, end_leftovers, locked
from services.core.local.watch import Watch
from shared.settings import FleetSettings

START_SECONDS = 120.0
"""How long brokers, and after them all processes together, may take to answer; a loaded laptop needs 20."""
PREPARATION_SECONDS = 300.0


class LocalFleet:
    """Brokers, a mail catcher and every process of a plan, on free ports of the loopback interface.

    Inside the block everything answers; what ends by itself is started again (``watch``).  After the block nothing of
    it is left, whatever ended the block; a second Ctrl-C while it stops kills what still runs.  When this process is
    killed, Linux kills the rest (``processes``); elsewhere the next fleet in the same folder does.

    Args:
        home: Folder for everything that the fleet writes: data, logs, ``fleet.env``, ``fleet.json``.
        plan: Says what to run, once the brokers answer.
        progress: Is told of each service's phases, also from another thread.
        through: Gives the port by which processes reach the port of a broker, such as that of a proxy.

    Raises:
        FleetAlreadyRunning: Another fleet lives in the folder; it was left alone.
        NotInstalled: The program of a broker is missing; nothing was started.
        StartFailed: Something did not start; everything was stopped again.
    """

    settings: FleetSettings
    """What a process of this fleet reads as its settings."""
    redis: LocalRedis
    rabbitmq: LocalRabbitMQ
    mail: LocalMail

    def __init__(
        self,
        home: Path,
        plan: Planner,
        *,
        progress: Progress = lambda _name, _phase: None,
        through: Callable[[int], int] = lambda port: port,
    ) -> None:
        self.home = home.resolve()
        self._plan = plan
        self._progress = progress
        self._through = through
        self._servers: list[Service] = []
        self._processes: list[PlannedProcess] = []
        self._watch: Watch | None = None

    def __enter__(self) -> Self:
        self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        with ExitStack() as stack:
            stack.enter_context(locked(self.home))
            end_leftovers(self.home)
            self._record = FleetRecord(self.home, os.getpid(), self._progress)
            stack.callback(self._record.fleet, Phase.STOPPED)  # an interrupt may come at any moment from now on
            self._record.fleet(Phase.STARTING)
            self._start(stack)
            self._record.fleet(Phase.READY)
            self._open = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def process(self, name: str) -> PlannedProcess:
        """Find a process of the plan.

        Raises:
            KeyError: The plan has none of this name.
        """
        return {process.name: process for process in self._processes}[name]

    def restart(self, name: str) -> None:
        """Stop a process of the plan within its grace period, start it again, and wait until it answers.

        Raises:
            KeyError: The plan has none of this name.
            StartFailed: It ended, or did not answer in time; it is started again as one that ended by itself.
        """
        if self._watch is not None:
            self._watch.restart(self.process(name).name, START_SECONDS)

    @property
    def services(self) -> Mapping[str, Service]:
        """The brokers, the mail catcher and the processes of the plan, by name."""
        return {service.name: service for service in (*self._servers, *self._processes)}

    def _start(self, stack: ExitStack) -> None:
        try:
            fleet_env = self._start_servers(stack)
            self.settings = fleet_env.settings()
            self._start_processes(stack, fleet_env)
        except Exception as error:
            self._record.failure(str(error))
            raise
        self._watch = Watch([*self._servers, *self._processes], self._record)

    def _start_servers(self, stack: ExitStack) -> FleetEnv:
        logs = self.home / "logs"
        self.redis = LocalRedis(self.home / "redis", logs=logs)
        self.rabbitmq = LocalRabbitMQ(self.home / "rabbitmq", logs=logs)
        self.mail = LocalMail(self.home / "mail", logs=logs)
        self._servers = [self.redis, self.rabbitmq, self.mail]
        stack.callback(self._stop, self._servers)
        self._launch(self._servers)
        fleet_env = FleetEnv(self.home, self.redis, self.rabbitmq, self.mail, self._through)
        fleet_env.write()
        return fleet_env

    def _start_processes(self, stack: ExitStack, fleet_env: FleetEnv) -> None:
        plan = self._plan(self.settings)
        for spec in plan.preparations:
            self._progress(spec.name, Phase.STARTING)
            PlannedProcess(spec, home=self.home, fleet_env=fleet_env).run_to_end(PREPARATION_SECONDS)
            self._progress(spec.name, Phase.READY)
        self._processes = [PlannedProcess(spec, home=self.home, fleet_env=fleet_env) for spec in plan.processes]
        stack.callback(self._stop, self._processes)
        self._launch(self._processes)

    def _launch(self, services: Sequence[Service]) -> None:
        for service in services:
            service.launch()
            self._record.service(service, Phase.STARTING)
        wait_until_ready(services, START_SECONDS, lambda service: self._record.service(service, Phase.READY))

    def _stop(self, services: Sequence[Service]) -> None:
        """Stop services side by side, each within its own grace period; kill them all if this is interrupted."""
        try:
            self._record.fleet(Phase.STOPPING)
            if self._watch:
                self._watch.stop()
            asked = time.monotonic()
            for service in services:
                self._record.service(service, Phase.STOPPING)
                service.terminate()
            for service in services:
                service.stop(max(0.0, asked + service.grace - time.monotonic()))
                self._record.service(service, Phase.STOPPED)
        except BaseException:
            for service in services:
                service.kill()
            raise
