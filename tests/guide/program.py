"""Runs the blocks of a page: they come on standard input, and what each printed goes to standard output.

It imports nothing but the standard library, so that a block finds what it would find in a fresh ``python``.
"""

from __future__ import annotations

import io
import json
import linecache
import os
import sys
import traceback
from contextlib import redirect_stdout


def serve() -> None:
    """Run each block that comes, in one namespace, and answer with what it printed."""
    namespace: dict[str, object] = {"__name__": "__main__"}
    sys.path[0], sys.argv = "", [""]
    with os.fdopen(os.dup(sys.stdout.fileno()), "w") as answers:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        for line in sys.stdin:
            answers.write(json.dumps(execute(namespace, **json.loads(line))) + "\n")
            answers.flush()


def execute(namespace: dict[str, object], name: str, code: str) -> str:
    """Run a block; return what it printed, with the traceback of an error that nothing caught."""
    linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)
    with redirect_stdout(io.StringIO()) as printed:
        try:
            exec(compile(code, name, "exec", dont_inherit=True), namespace)
        except Exception as error:  # noqa: BLE001 - shown as Python shows it
            below = error.__traceback__.tb_next if error.__traceback__ else None
            traceback.print_exception(type(error), error, below, file=printed)
    return printed.getvalue()


if __name__ == "__main__":
    serve()
