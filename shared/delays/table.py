"""The table of delayed messages, in the fleet's shared state."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Self

from kombu.utils.json import dumps, loads

from shared.bounds import DELAYED_TASKS
from shared.delays.entry import Delay, Entry
from shared.delays.firing import Firing, Runs
from shared.delays.scripts import (
    CLAIM,
    CLAIM_THESE,
    CLAIMS,
    DUE,
    ENTRIES,
    IDS,
    LOOKOUTS,
    NOTE_REFUSAL,
    QUEUES,
    REFUSED,
    RELEASE,
    REMOVE,
    STAMPS,
    STORE,
)
from shared.state import State

LEASE_SECONDS = 10.0
"""An entry whose mover is gone is handed to another this long after it was claimed."""
LOOKOUT_SECONDS = 2.0
MOST_AT_ONCE = 100
BYTES_AT_ONCE = 4_000_000
IDS_AT_ONCE = 500


class Due(NamedTuple):
    """What was claimed of one broker."""

    entries: list[tuple[str, bytes]]
    """Ids, each with its entry as it lies in the table."""
    next_in: float | None
    """Seconds until the next one is due; ``None`` when none waits."""
    is_lookout: bool
    """Whether it is left to who asked to look often."""


class Refusal(NamedTuple):
    """What is known of an entry that could not be published when it was due."""

    times: int
    why: str

    @classmethod
    def decode(cls, kept: bytes) -> Self:
        """Return it from what is kept."""
        times, _, why = kept.decode().partition(" ")
        return cls(int(times), why)


class DelayTable:
    """The delayed messages of a fleet.

    Every method may raise ``redis.RedisError``; the step was then taken whole or not at all.
    """

    def __init__(self, state: State) -> None:
        self._state = state

    def store(self, entry: Entry, delay: Delay, firing: Firing | None = None, *, most: int = DELAYED_TASKS) -> bool:
        """Keep a message until it is due; to store the same entry again changes nothing.

        A countdown runs by the clock of the server, so that clocks of callers need not agree.

        Args:
            entry: The message.
            delay: How long it waits.
            firing: For a message of beat; stored is only the next one of its entry, else the firing is told so.
            most: How many may wait.

        Returns:
            ``False`` when the table is full, and the message was not stored.
        """
        kind, seconds = ("countdown", delay.countdown) if delay.countdown else ("eta", delay.due)
        keys = [f"{DUE}{entry.broker}", ENTRIES, IDS, QUEUES, STAMPS]
        values: list[Any] = [entry.id, entry.encode(), entry.queue, kind, seconds, most, stamps_of(entry)]
        if firing is not None:
            keys.append(firing.key)
            values += [firing.entry, firing.known, firing.then.encode()]
        answer = self._run(STORE, keys, values)
        if firing is not None and isinstance(answer, bytes):
            firing.instead = Runs.decode(answer)
        return bool(answer)

    def claim_due(self, broker: str, token: str) -> Due:
        """Claim what is due for a broker, oldest first, for ``LEASE_SECONDS``.

        Of all that ask the first becomes the lookout, until it has not asked for ``LOOKOUT_SECONDS``.
        """
        values = [token, LEASE_SECONDS, MOST_AT_ONCE, BYTES_AT_ONCE, broker, LOOKOUT_SECONDS]
        next_in, answer, is_lookout = self._run(CLAIM, [ENTRIES, CLAIMS, f"{DUE}{broker}", LOOKOUTS], values)
        entries = [(identity.decode(), entry) for identity, entry in zip(answer[::2], answer[1::2], strict=True)]
        return Due(entries, max(0.0, float(next_in)) if next_in else None, bool(is_lookout))

    def claim(self, ids: Sequence[str], token: str) -> tuple[list[bytes], bool]:
        """Claim certain entries.

        Returns:
            Those that still wait, and whether there are others that somebody publishes at this moment.
        """
        claimed: list[bytes] = []
        busy = False
        for part in parts(ids):
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
            self._run(REMOVE, [ENTRIES, CLAIMS, IDS, QUEUES, STAMPS, REFUSED], [DUE, *part])

    def note_refusal(self, identity: str, why: str) -> int:
        """Note that an entry could not be published; returns how often that has happened."""
        return int(self._run(NOTE_REFUSAL, [REFUSED], [identity, why]))

    def first(self, brokers: Iterable[str], limit: int) -> list[tuple[bytes, Refusal | None]]:
        """Return the entries that are due next for some brokers, in the order of their times."""
        due: list[tuple[float, bytes]] = []
        for broker in brokers:
            found: Any = self._state.client.zrange(f"{DUE}{broker}", 0, limit - 1, withscores=True)
            due += [(when, identity) for identity, when in found]
        ids = [identity for _, identity in sorted(due)[:limit]]
        if not ids:
            return []
        entries: Any = self._state.client.hmget(ENTRIES, ids)
        refused: Any = self._state.client.hmget(REFUSED, ids)
        return [
            (entry, Refusal.decode(refusal) if refusal else None)
            for entry, refusal in zip(entries, refused, strict=True)
            if entry is not None
        ]

    def ids_of(self, task_ids: Iterable[str]) -> list[str]:
        """Return the ids of the entries of some tasks."""
        pipeline = self._state.client.pipeline(transaction=False)
        for task_id in task_ids:
            pipeline.zrangebylex(IDS, f"[{task_id}/", f"({task_id}0")  # "0" comes next after "/"
        return [identity.decode() for found in pipeline.execute() for identity in found]

    def stamped(self) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
        """Return the entries that bear stamps: id, alias of the broker, and the stamps by name."""
        for identity, kept in self._state.client.hscan_iter(STAMPS, count=IDS_AT_ONCE):
            broker, _, stamps = kept.decode().partition("\n")
            yield identity.decode(), broker, loads(stamps)

    def by_queue(self) -> Mapping[str, int]:
        """Return how many messages wait for each queue."""
        counts: Any = self._state.client.hgetall(QUEUES)
        return {queue.decode(): int(count) for queue, count in counts.items()}

    def _run(self, script: str, keys: Sequence[str], values: Sequence[Any]) -> Any:
        return self._state.client.register_script(script)(keys=keys, args=values)


def stamps_of(entry: Entry) -> str:
    """Return the stamps of a message as they are kept beside it, for a revoke to find it by; empty without any."""
    stamps = entry.headers.get("stamps")
    return f"{entry.broker}\n{dumps(stamps)}" if stamps else ""


def parts(ids: Sequence[str]) -> Iterable[Sequence[str]]:
    """Cut a long list of ids: a script keeps everybody else waiting while it runs."""
    return (ids[start : start + IDS_AT_ONCE] for start in range(0, len(ids), IDS_AT_ONCE))
