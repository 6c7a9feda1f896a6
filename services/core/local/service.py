"""What everything that a fleet starts on this machine has in common."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import ClassVar, Self

from services.core.local.errors import StartFailed
from services.core.local.processes import ChildProcess

POLL_SECONDS = 0.05


class Service(ABC):
    """One or more processes that do one job: start them, wait until they answer, stop them.

    As a context manager it is started and ready inside the block, and nothing of it is left after the block.
    """

    name: str
    start_seconds: ClassVar[float] = 60.0
    """How long it may take until it answers, on a slow machine."""
    grace: float = 10.0
    """Seconds that it gets to end by itself when it is stopped."""

    @property
    @abstractmethod
    def processes(self) -> Sequence[ChildProcess]:
        """Its processes, in the order in which they are started."""

    @property
    def ports(self) -> Mapping[str, int]:
        """The ports that it listens on, by what they are for."""
        return {}

    @abstractmethod
    def is_ready(self) -> bool:
        """Tell whether it does its job, by using it."""

    def launch(self) -> None:
        """Start whatever of it does not run; return at once."""
        for process in self.processes:
            process.start()

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises:
            StartFailed: It ended, or did not answer in time; nothing of it is left.
        """
        try:
            self.launch()
            wait_until_ready([self], self.start_seconds)
        except BaseException:
            self.kill()
            raise

    @property
    def alive(self) -> bool:
        """Whether all of its processes run."""
        return all(process.alive for process in self.processes)

    def terminate(self) -> None:
        """Ask it to end; return at once."""
        for process in reversed(self.processes):
            process.terminate()

    def stop(self, grace: float | None = None) -> None:
        """Ask it to end, wait up to ``grace`` seconds, then kill what is left."""
        for process in reversed(self.processes):
            process.stop(self.grace if grace is None else grace)

    def kill(self) -> None:
        """End it at once (SIGKILL), as a crash would."""
        for process in reversed(self.processes):
            process.kill()

    def restart(self) -> None:
        """Stop it and start it again, on the same ports and with the same data."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Freeze it (SIGSTOP): its sockets stay open, and nobody answers."""
        for process in self.processes:
            process.pause()

    def resume(self) -> None:
        """Let it go on after ``pause``."""
        for process in self.processes:
            process.resume()

    def check_alive(self) -> None:
        """Complain when one of its processes has ended.

        Raises:
            StartFailed: With the exit code and the end of the log.
        """
        for process in self.processes:
            if not process.alive:
                process.kill()
                raise StartFailed(f"{process.name} ended with exit code {process.exit_code}. {process.log_tail()}")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.stop()
        except BaseException:
            self.kill()
            raise


def wait_until_ready(
    services: Sequence[Service], seconds: float, on_ready: Callable[[Service], None] = lambda _: None
) -> None:
    """Wait until every one of the services answers; tell of each as soon as it does.

    Raises:
        StartFailed: One ended, or did not answer in time.
    """
    waiting = list(services)
    deadline = time.monotonic() + seconds
    while waiting:
        for service in tuple(waiting):
            service.check_alive()
            if service.is_ready():
                waiting.remove(service)
                on_ready(service)
        if waiting and time.monotonic() > deadline:
            slow = waiting[0]
            raise StartFailed(f"{slow.name} did not answer in {seconds:g} s. {slow.processes[-1].log_tail()}")
        if waiting:
            time.sleep(POLL_SECONDS)
