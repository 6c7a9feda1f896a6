"""A child process that leaves nothing behind, whatever becomes of it or of its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import RLock

import psutil

from services.core.local import tether
from services.core.local.private_files import private_folder
from services.core.local.waiting import wait_until

_spawner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spawner")
"""The one thread that starts children.

Linux ends a tethered child when the *thread* that started it ends (``man 2 PR_SET_PDEATHSIG``), so that has to be a
thread that lives as long as this process does.
"""


class ChildProcess:
    """One program, in a session of its own, with its output in a log file.

    On Linux the kernel kills it when this process ends, in whatever way (``tether``); elsewhere only ``stop`` and
    ``kill`` do.  A program that has ended stays a zombie until ``stop`` or ``kill``, so that neither its process id
    nor that of its group can become somebody else's in the meantime.

    Args:
        name: What to call it in messages.
        argv: The program and its arguments; anyone on the machine can read these.
        log: File that its output is added to.
        environment: All of its environment.
        folder: Its working folder; ours when ``None``.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        *,
        log: Path,
        environment: Mapping[str, str],
        folder: Path | None = None,
    ) -> None:
        self.name = name
        self.argv = tuple(argv)
        self.log = log
        self.exit_code: int | None = None
        self._environment = dict(environment)
        self._folder = folder
        self._log_start = 0
        self.asked_to_end = False
        self._changing = RLock()
        self._spawned: Future[subprocess.Popen[bytes]] | None = None

    def start(self) -> None:
        """Start the program, unless it runs.

        Raises:
            OSError: There is no such folder, or no room for another process.
        """
        with self._changing:
            if self.alive:
                return
            self.kill()
            private_folder(self.log.parent)
            self._log_start = self.log.stat().st_size if self.log.exists() else 0
            self.asked_to_end = False
            self._spawned = _spawner.submit(self._spawn)
            try:
                self._spawned.result()
            except OSError:
                self._spawned = None
                raise

    def _spawn(self) -> subprocess.Popen[bytes]:
        tethered = [sys.executable, "-I", "-S", tether.__file__, str(os.getpid()), *self.argv]
        with self.log.open("ab") as output:
            return subprocess.Popen(  # noqa: S603 - the caller says what to run
                tethered,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self._environment,
                cwd=self._folder,
                start_new_session=True,
            )

    @property
    def pid(self) -> int | None:
        """The process id; ``None`` when it was not started or has been cleared away."""
        popen = self._popen()
        return popen.pid if popen else None

    @property
    def alive(self) -> bool:
        """Whether the program runs (or is paused)."""
        pid = self.pid
        with suppress(psutil.NoSuchProcess):  # another thread may clear it away meanwhile
            return pid is not None and is_alive(psutil.Process(pid))
        return False

    def terminate(self) -> None:
        """Ask the program to end (SIGTERM), once per start; return at once.

        Some programs, Celery's worker among them, take a second signal for more haste.
        """
        if self.alive and not self.asked_to_end:
            self.asked_to_end = True
            self._signal_group(signal.SIGCONT)
            self._signal_leader(signal.SIGTERM)

    def stop(self, grace: float) -> None:
        """Ask the program to end, wait, then kill whatever is left of it, its children included.

        Args:
            grace: Seconds that it gets to end by itself.
        """
        family = self._descendants()
        self.terminate()
        wait_until(lambda: not self.alive, grace)
        self._clear_away([*family, *self._descendants()])

    def kill(self) -> None:
        """End the program and all of its children at once (SIGKILL), as a crash would."""
        self._clear_away(self._descendants())

    def pause(self) -> None:
        """Freeze the program (SIGSTOP): its sockets stay open, and nobody answers."""
        self._signal_group(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen program go on (SIGCONT)."""
        self._signal_group(signal.SIGCONT)

    def wait(self, seconds: float) -> int | None:
        """Wait until the program ends; return its exit code, or ``None`` when it still runs."""
        if wait_until(lambda: not self.alive, seconds):
            self.kill()
        return self.exit_code

    def output(self) -> str:
        """Read what the program has written since it was started last."""
        if not self.log.exists():
            return ""
        with self.log.open("rb") as file:
            file.seek(self._log_start)
            return file.read().decode(errors="replace")

    def log_tail(self, lines: int = 15) -> str:
        """Quote the last lines of this start's output, for an error message."""
        last = [line for line in self.output().splitlines() if line.strip()][-lines:]
        if not last:
            return f"{self.log} is empty."
        return "\n".join([f"The end of {self.log}:", *(f"  | {line}" for line in last)])

    def _popen(self) -> subprocess.Popen[bytes] | None:
        return self._spawned.result() if self._spawned else None

    def _descendants(self) -> list[psutil.Process]:
        with suppress(psutil.NoSuchProcess):
            if self.pid:
                return psutil.Process(self.pid).children(recursive=True)
        return []

    def _signal_leader(self, number: signal.Signals) -> None:
        if self.pid:
            os.kill(self.pid, number)

    def _signal_group(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):  # macOS answers so for a group of zombies
            if self.pid:
                os.killpg(self.pid, number)

    def _clear_away(self, family: Iterable[psutil.Process]) -> None:
        with self._changing:
            popen = self._popen()
            if popen is None:
                return
            self._signal_group(signal.SIGKILL)
            for member in family:
                with suppress(psutil.NoSuchProcess):
                    member.kill()
            self.exit_code = popen.wait()
            self._spawned = None


def is_alive(process: psutil.Process) -> bool:
    """Tell whether the very process that was looked up still runs; a zombie does not."""
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False
