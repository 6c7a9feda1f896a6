"""The records of chords, in the fleet's shared state."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Literal, NamedTuple

from redis.commands.core import Script

from shared.canvas.fan_out import batched
from shared.chords.record import Member, Record, member_of
from shared.chords.scripts import (
    BEGIN,
    BEGUN,
    CHORDS,
    DECIDE,
    END,
    GROW,
    LOOK,
    OPEN,
    PARTS,
    PUT_OFF,
    RECORD,
    REOPEN,
    REPORT,
    RESIZE,
)
from shared.state import State

CLAIM_SECONDS = 15.0
"""How long a process has to end a chord before another does: three publishes that take as long as they may."""
FIRST_PAUSE_SECONDS = 5.0
"""After this time without news the watch looks at a chord, and then after twice as long each time."""
LONGEST_PAUSE_SECONDS = 300.0
BEGUN_SECONDS = 86400
"""How long it is known that a message began; others of its number were published soon before or after it."""
OUTLIVES_SECONDS = 7 * 86400
"""How long the record of a chord that nobody ends, for no worker lives, is there beyond its deadline."""
REPORTS_AT_ONCE = 500

Reported = Literal["unknown", "over", "noted", "claimed"]
Verdict = Literal["complete", "late", "lost"]


class Found(NamedTuple):
    """A chord that the watch has to look after."""

    id: str
    why: Literal["left", "overdue", "still"]


class ChordTable:
    """The chords of a fleet.

    Every method may raise ``redis.RedisError``; each of its scripts was then taken whole or not at all.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._scripts: dict[str, Script] = {}

    @property
    def configured(self) -> bool:
        """Whether the fleet has shared state; chords are Celery's own where it has none."""
        return self._state.configured

    def open(self, record: Record, *, again: bool) -> None:
        """Record a chord whose header is about to be published.

        Args:
            record: The chord.
            again: Whether it may have been published before, by an execution that died.  What its members reported
                then holds; otherwise it begins anew.
        """
        values = [record.id, record.body, record.members, record.seconds, int(record.asked)]
        keys = [*_keys(record.id), f"{BEGUN}{record.id}"]
        self._run(OPEN, keys, [*values, FIRST_PAUSE_SECONDS, OUTLIVES_SECONDS, int(again)])

    def resize(self, chord: str, size: int) -> bool:
        """Say how many members there are, now that all are known; ``False`` when there is no such record."""
        return bool(self._run(RESIZE, _keys(chord)[:1], [size]))

    def grow(self, chord: str) -> bool:
        """Count one more member; ``False`` when there is no such record."""
        return bool(self._run(GROW, _keys(chord)[:1], []))

    def report(self, chord: str, outcomes: Mapping[Member, str | bytes], token: str) -> Reported:
        """Note how members ended; of one that is known already the first outcome holds.

        Returns:
            ``claimed`` when that was the last of them: the caller has to end the chord, for ``CLAIM_SECONDS``.
            ``unknown`` when there is no such chord, ``over`` when it has ended without them.
        """
        told: Reported = "noted"
        for part in batched(outcomes.items(), REPORTS_AT_ONCE):
            values = chain.from_iterable((member.task_id, f"{member.place:.0f}", outcome) for member, outcome in part)
            arguments = [chord, token, CLAIM_SECONDS, *values]
            told = self._state.scripts.run(self._script(REPORT), _keys(chord), arguments).decode()
        return told

    def look(self, token: str, limit: int) -> list[Found]:
        """Return the chords that have to be looked after; no other process gets them at the same time."""
        values = [token, CLAIM_SECONDS, limit, FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, RECORD, PARTS]
        return [Found(chord.decode(), why.decode()) for chord, why in self._run(LOOK, [CHORDS], values)]

    def decide(self, chord: str, token: str) -> Verdict:
        """Settle how a claimed chord ends: by what its members reported, or because they are late."""
        verdict: Verdict = self._run(DECIDE, _keys(chord), [token]).decode()
        return verdict

    def put_off(self, chord: str, token: str, seconds: float) -> bool:
        """Give a claimed chord so much more time, and give it up."""
        return bool(self._run(PUT_OFF, _keys(chord), [chord, token, seconds, OUTLIVES_SECONDS]))

    def end(self, chord: str, token: str, state: Literal["done", "failed"], keep_seconds: float) -> bool:
        """Note that a claimed chord has ended; ``False`` when another process has the claim by now."""
        return bool(self._run(END, _keys(chord), [chord, token, state, max(1, int(keep_seconds))]))

    def reopen(self, chord: str, task_id: str) -> bool:
        """Let a member that failed report again; see ``shared.chords.reopening``."""
        values = [chord, task_id, FIRST_PAUSE_SECONDS, OUTLIVES_SECONDS]
        return bool(self._run(REOPEN, _keys(chord), values))

    def may_begin(self, chord: str, message: str, dispatch: str) -> bool:
        """Note that a message of a chord's end begins; ``False`` when that of another dispatch did so before."""
        return bool(self._run(BEGIN, [f"{BEGUN}{chord}"], [message, dispatch, BEGUN_SECONDS]))

    def now(self) -> float:
        """Return the time by the clock of shared state, in seconds since the epoch."""
        seconds, microseconds = self._state.client.time()
        return float(seconds) + float(microseconds) / 1e6

    def load(self, chord: str) -> Record | None:
        """Return a record; ``None`` when there is none, or its body was published."""
        fields: Any = self._state.client.hgetall(f"{RECORD}{chord}")
        return Record.decode(chord, fields)

    def outcomes(self, chord: str) -> dict[Member, bytes]:
        """Return how the members ended that did so far."""
        kept: Any = self._state.client.hgetall(f"{PARTS}{chord}")
        return dict(member_of(name, value) for name, value in kept.items())

    def reported(self, chord: str) -> set[str]:
        """Return the task ids of the members that ended so far."""
        names: Any = self._state.client.hkeys(f"{PARTS}{chord}")
        return {name.decode().partition(" ")[0] for name in names}

    def all(self, limit: int) -> Iterator[tuple[Record, int]]:
        """Return the open chords, each with the number of members that ended."""
        ids: Any = self._state.client.zrange(CHORDS, 0, limit - 1)
        for part in batched(ids, REPORTS_AT_ONCE):
            pipeline = self._state.client.pipeline(transaction=False)
            for chord in part:
                pipeline.hgetall(f"{RECORD}{chord.decode()}")
                pipeline.hlen(f"{PARTS}{chord.decode()}")
            answers = pipeline.execute()
            for chord, fields, ended in zip(part, answers[::2], answers[1::2], strict=True):
                record = Record.decode(chord.decode(), fields)
                if record is not None:
                    yield record, ended

    def _run(self, source: str, keys: Sequence[str], values: Iterable[Any]) -> Any:
        return self._script(source)(keys=list(keys), args=list(values), client=self._state.client)

    def _script(self, source: str) -> Script:
        script = self._scripts.get(source)
        if script is None:
            script = self._scripts[source] = self._state.client.register_script(source)
        return script


def _keys(chord: str) -> list[str]:
    return [f"{RECORD}{chord}", f"{PARTS}{chord}"]
