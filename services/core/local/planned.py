"""A process of the plan, as a service that a fleet can start, watch and stop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from services.core.local.errors import StartFailed
from services.core.local.fleet_env import FleetEnv
from services.core.local.ports import free_ports
from services.core.local.processes import ChildProcess
from services.core.local.service import Service
from services.core.local.specs import ProcessSpec
from shared.settings import ENVIRONMENT_PREFIX, child_environment

HOME = f"{ENVIRONMENT_PREFIX}HOME"
METRICS_PORT = f"{ENVIRONMENT_PREFIX}METRICS_PORT"


class PlannedProcess(Service):
    """A process of the plan.

    Args:
        spec: What to run.
        home: Folder of the fleet; its ``logs`` get the output.
        fleet_env: What tells it where the brokers are; variables of the same names are not passed on to it.
    """

    def __init__(self, spec: ProcessSpec, *, home: Path, fleet_env: FleetEnv) -> None:
        self.name = spec.name
        self.grace = spec.grace
        self.metrics_port = free_ports(1)[0] if spec.metrics else None
        self._http_port = spec.http_port
        self._ready = spec.ready
        variables = {HOME: str(home), **spec.environment}
        if spec.metrics:
            variables[METRICS_PORT] = str(self.metrics_port)
        self._process = ChildProcess(
            spec.name,
            spec.argv,
            log=home / "logs" / f"{spec.name}.log",
            environment=child_environment(variables, without=(METRICS_PORT, *fleet_env.variables)),
        )

    @property
    def processes(self) -> Sequence[ChildProcess]:
        """The process."""
        return (self._process,)

    @property
    def ports(self) -> Mapping[str, int]:
        """The ports that it was given: of ``/metrics``, and of what it serves."""
        ports = {"metrics": self.metrics_port, "http": self._http_port}
        return {name: port for name, port in ports.items() if port is not None}

    def output(self) -> str:
        """Read what the process has written since it was started last."""
        return self._process.output()

    def is_ready(self) -> bool:
        """Ask what the plan says to ask."""
        return self._ready(self)

    def run_to_end(self, seconds: float) -> None:
        """Run it once, as a preparation.

        Raises:
            StartFailed: It failed, or took longer than ``seconds``; nothing of it is left.
        """
        try:
            self.launch()
            exit_code = self._process.wait(seconds)
            if exit_code != 0:
                what = f"took longer than {seconds:g} s" if exit_code is None else f"failed with exit code {exit_code}"
                raise StartFailed(f"{self.name} {what}. {self._process.log_tail()}")
        finally:
            self.kill()
