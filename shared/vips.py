"""The one place that loads libvips, for the services that make pictures."""

from __future__ import annotations

from functools import cache
from typing import Any


@cache
def load_vips() -> Any:
    """Import and configure libvips when the first image comes.

    That is in a child of the pool: libvips starts threads, and a process that forked after that would hang.
    One thread for each operation, because the pool has a process for each core already; no cache, because no
    operation comes twice; none of the loaders that libvips itself calls unfit for untrusted files.  And no log
    handler of pyvips: libvips would call it in the middle of its work, and a soft time limit that strikes in
    such a callback is lost, while one that strikes in libvips is raised when that returns.
    """
    import pyvips  # noqa: PLC0415 - see above

    pyvips.concurrency_set(1)
    pyvips.cache_set_max(0)
    pyvips.block_untrusted_set(True)
    pyvips._remove_log_handler()  # noqa: SLF001 - nothing public takes it away
    return pyvips
