"""Which queues are paused, for all workers of the fleet and until somebody resumes them.

| key            | kind | what is in it                                              |
|----------------|------|------------------------------------------------------------|
| ``fleet.paused``| hash | queue → JSON: since when (``at``), by whom (``by``)         |

Workers look every second, and before they consume after each connect, so that a pause also holds for workers that
start later.  While shared state does not answer, what a worker knew last holds; one that starts then knows of no pause.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from shared.state import State

PAUSED = "fleet.paused"


@dataclass(frozen=True, slots=True)
class Pause:
    """Since when something is paused, in seconds since the epoch, and by whom."""

    at: float
    by: str


class PauseTable:
    """The paused queues of a fleet.  Every method may raise ``redis.RedisError``; nothing was changed then.

    Args:
        state: Shared state.
        key: Of the hash; that of the queues by default.
    """

    def __init__(self, state: State, key: str = PAUSED) -> None:
        self._state = state
        self._key = key

    def pause(self, name: str, by: str) -> bool:
        """Pause it; return whether it was not paused before, which leaves who did so first."""
        return bool(self._state.client.hsetnx(self._key, name, json.dumps(asdict(Pause(time.time(), by)))))

    def resume(self, name: str) -> bool:
        """Resume it; return whether it was paused."""
        return bool(self._state.client.hdel(self._key, name))

    def paused(self) -> Mapping[str, Pause]:
        """Return what is paused, by name."""
        kept: Any = self._state.client.hgetall(self._key)
        return {name.decode(): Pause(**json.loads(pause)) for name, pause in kept.items()}

    def is_paused(self, name: str) -> bool:
        """Tell whether it is paused."""
        return bool(self._state.client.hexists(self._key, name))
