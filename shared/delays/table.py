"""The table of delayed messages, in the fleet's shared state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from shared.delays.entry import Delay, Entry
from shared.delays.scripts import (
    CLAIM,
    CLAIM_THESE,
    CLAIMS,
    DUE,
    ENTRIES,
    IDS,
    QUEUES,
    RELEASE,
    REMOVE,
    STORE,
)
from shared.state import State

LEASE_SECONDS = 10.0
"""An entry whose mover is gone is handed to another this long after it was claimed."""
MOST_ENTRIES = 1_000_000
MOST_AT_ONCE = 100
BYTES_AT_ONCE = 4_000_000
IDS_AT_ONCE = 500


class Due(NamedTuple):
    """What was claimed of one broker."""

    entries: list[tuple[str, bytes]]
    """Ids, each with its entry as it lies in the table."""
    next_in: float | None
    """Seconds until the next one is due; ``None`` when none waits."""


class DelayTable:
    """The delayed messages of a fleet.

    Every method may raise ``redis.RedisError``; the step was then taken whole or not at all.
    """

    def __init__(self, state: State) -> None:
        self._state = state

    def store(self, entry: Entry, delay: Delay) -> bool:
        """Keep a message until it is due; to store the same entry again changes nothing.

        A countdown runs by the clock of the server, so that clocks of callers need not agree.

        Returns:
            ``False`` when the table is full, and the message was not stored.
        """
        kind, seconds = ("countdown", delay.countdown) if delay.countdown else ("eta", delay.due)
        keys = [f"{DUE}{entry.broker}", ENTRIES, IDS, QUEUES]
        values = [entry.id, entry.encode(), entry.queue, kind, seconds, MOST_ENTRIES]
        return bool(self._run(STORE, keys, values))

    def claim_due(self, broker: str, token: str) -> Due:
        """Claim what is due for a broker, oldest first, for ``LEASE_SECONDS``."""
        values = [token, LEASE_SECONDS, MOST_AT_ONCE, BYTES_AT_ONCE]
        next_in, answer = self._run(CLAIM, [ENTRIES, CLAIMS, f"{DUE}{broker}"], values)
        entries = [(identity.decode(), entry) for identity, entry in zip(answer[::2], answer[1::2], strict=True)]
        return Due(entries, max(0.0, float(next_in)) if next_in else None)

    def claim_of_tasks(self, task_ids: Iterable[str], token: str) -> tuple[list[bytes], bool]:
        """Claim what waits of some tasks.

        Returns:
            The entries, and whether there are others that somebody publishes at this moment.
        """
        claimed: list[bytes] = []
        busy = False
        for part in parts(self._ids_of(task_ids)):
            taken, held = self._run(CLAIM_THESE, [ENTRIES, CLAIMS], [token, LEASE_SECONDS, DUE, *part])
            claimed += taken
            busy = busy or bool(held)
        return claimed, busy

    def release(self, ids: Sequence[str], token: str, wait: float = 0) -> None:
        """Give up claims, for anybody to take.

        Args:
            ids: Of entries; claims of others are left alone.
            token: Who claimed them.
            wait: Seconds until they are due again; at once by default.
        """
        for part in parts(ids):
            self._run(RELEASE, [ENTRIES, CLAIMS], [token, DUE, wait, *part])

    def remove(self, ids: Sequence[str]) -> None:
        """Remove entries, whoever claims them: they were published, or revoked."""
        for part in parts(ids):
            self._run(REMOVE, [ENTRIES, CLAIMS, IDS, QUEUES], [DUE, *part])

    def first(self, brokers: Iterable[str], limit: int) -> list[bytes]:
        """Return the entries that are due next for some brokers, in the order of their times."""
        due: list[tuple[float, bytes]] = []
        for broker in brokers:
            found: Any = self._state.client.zrange(f"{DUE}{broker}", 0, limit - 1, withscores=True)
            due += [(when, identity) for identity, when in found]
        ids = [identity for _, identity in sorted(due)[:limit]]
        entries: Any = self._state.client.hmget(ENTRIES, ids) if ids else []
        return [entry for entry in entries if entry is not None]

    def by_queue(self) -> Mapping[str, int]:
        """Return how many messages wait for each queue."""
        counts: Any = self._state.client.hgetall(QUEUES)
        return {queue.decode(): int(count) for queue, count in counts.items()}

    def _ids_of(self, task_ids: Iterable[str]) -> list[str]:
        pipeline = self._state.client.pipeline(transaction=False)
        for task_id in task_ids:
            pipeline.zrangebylex(IDS, f"[{task_id}/", f"({task_id}0")  # "0" comes next after "/"
        return [identity.decode() for found in pipeline.execute() for identity in found]

    def _run(self, script: str, keys: Sequence[str], values: Sequence[Any]) -> Any:
        return self._state.client.register_script(script)(keys=keys, args=values)


def parts(ids: Sequence[str]) -> Iterable[Sequence[str]]:
    """Cut a long list of ids: a script keeps everybody else waiting while it runs."""
    return (ids[start : start + IDS_AT_ONCE] for start in range(0, len(ids), IDS_AT_ONCE))
