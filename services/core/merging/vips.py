"""The one place of ``core`` that loads libvips."""

from __future__ import annotations

from functools import cache
from typing import Any


@cache
def load_vips() -> Any:
    """Import and configure libvips when the first contact sheet is drawn.

    That is in a child of the pool: libvips starts threads, and a process that forked after that would hang.
    No cache, because no operation comes twice; none of the loaders that libvips itself calls unfit for
    untrusted files.
    """
    import pyvips  # noqa: PLC0415 - see above

    pyvips.cache_set_max(0)
    pyvips.block_untrusted_set(True)
    return pyvips
