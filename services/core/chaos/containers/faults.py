"""Faults of a fleet in containers: what Docker can do to them."""

from __future__ import annotations

import random
from collections.abc import Mapping
from contextlib import suppress

from services.core.chaos.containers.project import ComposeProject
from services.core.chaos.faults import FaultsFailed, Undo
from services.core.chaos.schedule import Fault, Kind
from services.core.local.errors import StartFailed
from services.core.local.processes import ChildProcess
from services.core.local.waiting import wait_until

KILL_ITSELF = "read -r main _ < /proc/1/task/1/children; kill -9 $main"
"""Not Docker's init, which is the first process of the container, but the one that it looks after."""
KILL_A_CHILD = """
lot=$1; read -r main _ < /proc/1/task/1/children; set -- $(cat /proc/$main/task/*/children)
[ $# -gt 0 ] || exit 0
shift $((lot % $#)); kill -9 $1
"""
SET_MEMORY = 'redis-cli --user operator --pass "$(cat /run/secrets/yard/operator)" config set maxmemory '
FULL, ROOM = "1", "256mb"
"""The limit that refuses every write, and that of deploy/redis/redis.conf."""
KILL_SECONDS = 10.0
LONGEST_ROLL_SECONDS = 480.0
"""More than the longest grace period, and the start of a container."""


class ContainerFaults:
    """Strikes the containers of a project.

    A process of ours that is killed is started again by the restart policy.  Docker takes the kill of a server for
    the wish of a person, so that is started again here.

    Args:
        project: The containers.
        servers: Those that are servers, each with the network that it can be cut off from.
        seed: Chooses among the children of a pool.
    """

    def __init__(self, project: ComposeProject, servers: Mapping[str, str], seed: int) -> None:
        self._project, self._servers = project, servers
        self._lot = random.Random(seed)  # noqa: S311 - it has to be repeatable
        self._held: dict[str, Undo] = {}
        self._under_way: list[ChildProcess] = []

    def runs(self, target: str) -> bool:
        """Tell whether the container of a service runs."""
        return self._project.container(target) is not None

    def make(self, fault: Fault) -> Undo | None:
        """Make a fault; return how to end it, if it lasts.

        Raises:
            FaultsFailed: Docker refused it.
        """
        try:
            return self._make(fault)
        except StartFailed as error:
            raise FaultsFailed(str(error)) from error

    def finish(self) -> None:
        """Wait for the workers that are rolled, and for the servers that are restarted.

        Raises:
            FaultsFailed: One did not come back.
        """
        for process in self._under_way:
            exit_code = process.wait(LONGEST_ROLL_SECONDS)
            if exit_code != 0:
                raise FaultsFailed(f"`{' '.join(process.argv)}` ended with {exit_code}. {process.log_tail()}")

    def let_go(self) -> None:
        """Let everything go on that is frozen, cut off or full."""
        for process in self._under_way:
            process.kill()
        for undo in list(self._held.values()):
            with suppress(StartFailed):
                undo()

    def _make(self, fault: Fault) -> Undo | None:
        service = fault.target
        container = self._project.container(service)
        if container is None:
            raise FaultsFailed(f"{service} ended while it was to be struck.")
        match fault.kind:
            case Kind.FREEZE:
                self._project.docker("pause", container)
                return self._hold(service, "unpause", container)
            case Kind.PARTITION:
                return self._cut_off(service, container)
            case Kind.FILL:
                self._project.docker("exec", container, "sh", "-c", SET_MEMORY + FULL)
                return self._hold(service, "exec", container, "sh", "-c", SET_MEMORY + ROOM)
        self._strike(fault, container)
        return None

    def _strike(self, fault: Fault, container: str) -> None:
        match fault.kind:
            case Kind.KILL if fault.target in self._servers:
                self._project.docker("kill", container)
                self._project.docker("start", container)
            case Kind.KILL:
                self._kill(container)
            case Kind.KILL_CHILD:
                self._run_inside(container, KILL_A_CHILD, str(self._lot.randrange(10**6)))
            case Kind.RESTART:
                self._begin(fault, "restart", "--no-deps", fault.target)
            case Kind.ROLL:
                self._begin(fault, "up", "--detach", "--no-deps", "--no-build", "--force-recreate", fault.target)
            case _:
                raise FaultsFailed("Nothing stands between containers that could cut single connections.")

    def _kill(self, container: str) -> None:
        def first_process() -> str:
            return self._project.docker("inspect", "--format", "{{.State.Pid}}", container)

        before = first_process()
        self._run_inside(container, KILL_ITSELF)
        if not wait_until(lambda: first_process() != before, KILL_SECONDS):
            raise FaultsFailed(f"Container {container} outlived its process.")

    def _run_inside(self, container: str, script: str, *arguments: str) -> None:
        # The shell may be taken along with what it kills, so its own end says nothing.
        with suppress(StartFailed):
            self._project.docker("exec", container, "sh", "-c", script, "sh", *arguments)

    def _begin(self, fault: Fault, *arguments: str) -> None:
        process = self._project.process(f"{fault.kind}-{fault.target}-{fault.at:.0f}", *arguments)
        process.start()
        self._under_way.append(process)

    def _cut_off(self, service: str, container: str) -> Undo:
        network = f"{self._project.name}_{self._servers[service]}"
        self._project.docker("network", "disconnect", network, container)
        return self._hold(service, "network", "connect", "--alias", service, network, container)

    def _hold(self, service: str, *undo: str) -> Undo:
        def end() -> None:
            self._held.pop(service, None)
            self._project.docker(*undo)

        self._held[service] = end
        return end
