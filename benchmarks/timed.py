"""Time a call, in whatever environment: ``python -m benchmarks.timed benchmarks.peers.huey_app:publish 3000``.

It is called with a small number first, so that connections are made and caches filled before anything counts.  A call
that returns a number has timed itself.
"""

from __future__ import annotations

import importlib
import json
import sys
import time

WARM = 10
FOUND = '{"seconds"'
"""How the line begins that holds what was found."""


def main() -> None:
    """Print the seconds, as JSON in a line of its own."""
    target, number = sys.argv[1], int(sys.argv[2])
    warm = int(sys.argv[3]) if len(sys.argv) > 3 else WARM
    module, _, name = target.partition(":")
    call = getattr(importlib.import_module(module), name)
    if warm:
        call(warm)
    wall, cpu = time.perf_counter(), time.process_time()
    own = call(number)
    passed = time.perf_counter() - wall
    print(json.dumps({"seconds": passed if own is None else own, "cpu": time.process_time() - cpu}), flush=True)


if __name__ == "__main__":
    main()
