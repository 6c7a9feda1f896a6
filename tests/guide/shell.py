"""The shell of a page: one bash that runs the page's commands one after the other."""

from __future__ import annotations

import os
import select
import signal
import subprocess
from contextlib import suppress
from functools import partial
from pathlib import Path

import psutil

from tests.fleet.inspection import wait_for
from tests.guide.pages import ANYTHING, Command, WrongPage, compare, fits

COMMAND_WITHIN_SECONDS = 60.0
STOPS_WITHIN_SECONDS = 30.0


class Shell:
    """A bash in a process group of its own.

    Args:
        project: The folder in which it begins.
        environment: Its environment variables.
        logs: A folder for what its commands print.
    """

    def __init__(self, project: Path, environment: dict[str, str], logs: Path) -> None:
        self._project = project
        self._logs = logs
        self._commands = 0
        self._staying: list[tuple[int, Path]] = []
        self._bash = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=project, env=environment, start_new_session=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # bash tells there of what was killed
        )  # fmt: skip

    def run(self, command: Command) -> None:
        """Run a command and hold what it prints against what the page shows.

        One that stays is waited for until it has printed that.  Any other ends with 0, but for one that fails.

        Raises:
            WrongPage: They differ, or the command failed, or did not come to an end.
        """
        self._commands += 1
        log = self._logs / f"command-{self._commands}.log"
        if command.stays:
            self._start(command, log)
            return
        code = self._bash_answers(
            f"{{ {command.line}\n}} >'{log}' 2>&1 </dev/null; code=$?; echo $code; (exit $code)", command.where
        )
        printed = log.read_text(errors="replace")
        compare(command.expected, printed, f"{command.where}, `{command.line}`")
        if bool(code) is not command.fails:
            raise WrongPage(command.where, f"`{command.line}` ended with {code}:\n{printed}")

    def close(self) -> None:
        """Stop what stays, as its reader would, and kill what is left.

        Raises:
            AssertionError: Something did not stop when it was asked to.
        """
        try:
            for pid, _ in self._staying:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
            for pid, log in self._staying:
                wait_for(partial(is_gone, pid), f"the end of process {pid}, whose log is {log}", STOPS_WITHIN_SECONDS)
            wait_for(lambda: not self._left_behind(), "the end of what has a .pid file", STOPS_WITHIN_SECONDS)
        finally:
            for pid in self._left_behind():
                os.kill(pid, signal.SIGKILL)
            os.killpg(self._bash.pid, signal.SIGKILL)
            with self._bash:
                pass

    def _left_behind(self) -> list[int]:
        """Find what was sent into the background by a command that has ended, by the files with its process ids."""
        files = self._project.glob("*.pid")
        return [pid for file in files if (pid := int(file.read_text() or 0)) and not is_gone(pid)]

    def _start(self, command: Command, log: Path) -> None:
        log.touch()
        pid = self._bash_answers(f"{command.line.removesuffix('&')} >'{log}' 2>&1 </dev/null & echo $!", command.where)

        def is_ready() -> bool:
            over = is_gone(pid)
            printed = log.read_text(errors="replace")
            if over:
                raise WrongPage(command.where, f"`{command.line}` ended:\n{printed}")
            return fits(f"{command.expected}{ANYTHING}\n", printed)

        try:
            wait_for(is_ready, "what the page shows", COMMAND_WITHIN_SECONDS)
        except WrongPage:
            raise
        except AssertionError as error:
            printed = log.read_text(errors="replace")
            raise WrongPage(command.where, f"`{command.line}`: {error}; it printed:\n{printed}") from error
        self._staying.append((pid, log))

    def _bash_answers(self, line: str, where: str) -> int:
        """Have bash run a line; return the number that it prints at its end."""
        assert self._bash.stdin
        assert self._bash.stdout
        self._bash.stdin.write(f"{line}\n".encode())
        self._bash.stdin.flush()
        ready, _, _ = select.select([self._bash.stdout], [], [], COMMAND_WITHIN_SECONDS)
        answer = self._bash.stdout.readline() if ready else b""
        if not answer:
            why = "ended the shell" if ready else f"did not end within {COMMAND_WITHIN_SECONDS:g} s"
            raise WrongPage(where, f"the command {why}")
        return int(answer)


def is_gone(pid: int) -> bool:
    """Tell whether a process has ended, also one of which its parent has not heard yet."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
