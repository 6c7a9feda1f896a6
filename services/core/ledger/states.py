"""Every state of everything in the ledger, and the only moves between them.

========== ============ ===========================================================================
thing      starts as    moves
========== ============ ===========================================================================
job        running      done, done_with_failures or failed; better news may still come later; or cancelled
file       waiting      done or failed; a failed file may still turn out done
campaign   loading      running, done; the same id again takes it back from done; paused and back; or cancelled
chunk      waiting      released, then done or failed; a failed chunk may still turn out done; or cancelled
recipient  pending      sent, invalid, failed or unknown; failed ones are tried again on demand; or cancelled
mail       queued       sent, invalid, failed or unknown
========== ============ ===========================================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """The words for where something stands, each with one meaning throughout the ledger."""

    LOADING = "loading"
    """The recipients of a campaign are still being read; nothing is sent yet."""
    WAITING = "waiting"
    PENDING = "pending"
    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    """Releases no chunks until it is resumed."""
    RELEASED = "released"
    """Handed out for sending; counts towards the window of its campaign."""

    SENT = "sent"
    DONE = "done"
    DONE_WITH_FAILURES = "done_with_failures"
    INVALID = "invalid"
    """The address cannot take mail."""
    FAILED = "failed"
    UNKNOWN = "unknown"
    """A crash left it open whether the relay took the mail; it is not sent again."""
    CANCELLED = "cancelled"
    """Somebody called it off before it was done."""


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """The states of one kind of thing and the moves between them."""

    start: State
    moves: Mapping[State, frozenset[State]]

    @property
    def states(self) -> tuple[State, ...]:
        """All states of the thing, in the order of the table."""
        return tuple(self.moves)

    @property
    def finals(self) -> frozenset[State]:
        """The states that nothing leaves."""
        return frozenset(state for state, targets in self.moves.items() if not targets)

    def allows(self, current: State, target: State) -> bool:
        """Say whether something in ``current`` may become ``target``; staying put is no move."""
        return target in self.moves[current]

    def sources(self, target: State) -> frozenset[State]:
        """Give the states from which ``target`` can be reached in one move."""
        return frozenset(state for state, targets in self.moves.items() if target in targets)


def _lifecycle(moves: Mapping[State, set[State]]) -> Lifecycle:
    return Lifecycle(next(iter(moves)), {state: frozenset(targets) for state, targets in moves.items()})


JOB = _lifecycle(
    {
        State.RUNNING: {State.DONE, State.DONE_WITH_FAILURES, State.FAILED, State.CANCELLED},
        State.FAILED: {State.DONE, State.DONE_WITH_FAILURES},
        State.DONE_WITH_FAILURES: {State.DONE},
        State.DONE: set(),
        State.CANCELLED: set(),
    }
)
FILE = _lifecycle(
    {
        State.WAITING: {State.DONE, State.FAILED},
        State.FAILED: {State.DONE},
        State.DONE: set(),
    }
)
CAMPAIGN = _lifecycle(
    {
        State.LOADING: {State.RUNNING, State.DONE, State.CANCELLED},
        State.RUNNING: {State.DONE, State.PAUSED, State.CANCELLED},
        State.PAUSED: {State.RUNNING, State.CANCELLED},
        State.DONE: {State.LOADING, State.RUNNING},
        State.CANCELLED: set(),
    }
)
CHUNK = _lifecycle(
    {
        State.WAITING: {State.RELEASED, State.CANCELLED},
        State.RELEASED: {State.DONE, State.FAILED},
        State.FAILED: {State.DONE},
        State.DONE: set(),
        State.CANCELLED: set(),
    }
)
RECIPIENT = _lifecycle(
    {
        State.PENDING: {State.SENT, State.INVALID, State.FAILED, State.UNKNOWN, State.CANCELLED},
        State.FAILED: {State.PENDING, State.SENT, State.INVALID, State.UNKNOWN},
        State.UNKNOWN: {State.SENT},
        State.INVALID: set(),
        State.SENT: set(),
        State.CANCELLED: {State.SENT},
    }
)
MAIL = _lifecycle(
    {
        State.QUEUED: {State.SENT, State.INVALID, State.FAILED, State.UNKNOWN},
        State.FAILED: {State.SENT, State.INVALID, State.UNKNOWN},
        State.UNKNOWN: {State.SENT},
        State.INVALID: set(),
        State.SENT: set(),
    }
)

LIFECYCLES: Mapping[str, Lifecycle] = {
    "job": JOB,
    "file": FILE,
    "campaign": CAMPAIGN,
    "chunk": CHUNK,
    "recipient": RECIPIENT,
    "mail": MAIL,
}
