"""Become another program that dies with the process that started it.

Run as a script, ``python -I -S tether.py PARENT PROGRAM ARGUMENT…``, with nothing but the standard library, so
that it costs a few milliseconds.  ``subprocess`` could do the same in a ``preexec_fn``, which may deadlock in a
process with threads.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
"""From ``linux/prctl.h``: the signal that the kernel sends to this process when its parent ends."""


def main(parent: int, command: list[str]) -> None:
    """Tie this process to ``parent``, then replace it by the command."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it ended before it could be watched
        sys.exit(1)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and a program would inherit that
    try:
        os.execvp(command[0], command)  # noqa: S606 - no shell is meant
    except OSError as error:
        sys.exit(f"{command[0]} cannot be run: {error.strerror}")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
