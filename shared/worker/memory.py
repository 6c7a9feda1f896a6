"""How much memory a worker has, its pool included."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

PSS = re.compile(r"^Pss:\s+(\d+) kB$", re.MULTILINE)


def memory_of(stats: Mapping[str, Any]) -> int | None:
    """Return how much memory the processes of a worker have now, in KiB; pages that they share count once.

    Source: the proportional set size of ``/proc/<pid>/smaps_rollup``, which Linux has; ``None`` elsewhere.

    Args:
        stats: What Celery's worker tells of itself: its process, and those of its pool.
    """
    processes = {stats["pid"], *_children(stats.get("pool"))}
    found = [size for pid in processes if (size := _size(pid)) is not None]
    return sum(found) if found else None


def _children(pool: Any) -> Iterable[int]:
    processes = pool.get("processes") if isinstance(pool, Mapping) else None
    return [pid for pid in processes if isinstance(pid, int)] if isinstance(processes, list | tuple) else ()


def _size(pid: int) -> int | None:
    try:
        told = PSS.search(Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii"))
    except OSError:  # it has ended, or this is no Linux
        return None
    return int(told[1]) if told else None
