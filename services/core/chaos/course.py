"""The course of a run: work and faults side by side, then everything is let go, and counted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from sqlalchemy.exc import SQLAlchemyError

from services.core.chaos.amounts import Amounts, Scenario, Submission, submissions
from services.core.chaos.faults import Faults, InFlight, Striker, Tell
from services.core.chaos.load import Load
from services.core.chaos.pulse import Looker, Pulse, pulses
from services.core.chaos.receipts import Receipts
from services.core.chaos.report import Report, recoveries
from services.core.chaos.schedule import Fault, Targets, plan_faults
from services.core.chaos.tally import Tally
from services.core.ledger.errors import LedgerError
from services.core.local.waiting import wait_until, wait_while_it_moves

REDIS, RABBITMQ = "redis", "rabbitmq"
STUCK_SECONDS = 330.0
"""Without any news for so long, what has not ended is lost.  A chord without news is looked at once in 300 at least,
and a taken row of a killed relay is free after 60."""
QUIET_SECONDS = 20.0
"""After everything has ended, for how long repeated effects may still come: longer than a lease."""
TELL_SECONDS = 10.0
FIRST_RECEIPT_SECONDS = 120.0
"""For a program that starts in a container of a busy machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What to run."""

    scenario: Scenario
    amounts: Amounts
    seed: int
    seconds: float
    """For how long faults happen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is put to the test: a fleet that is up, and how it is asked."""

    name: str
    targets: Targets
    faults: Faults
    """Strikes it."""
    load: Callable[[Sequence[Submission]], Load]
    """Begins to submit."""
    arrived: Callable[[], int]
    """Counts the messages that have arrived."""
    check: Callable[[Receipts], Tally]
    """Counts what became of what was accepted."""
    workers: Mapping[str, Looker]
    """Looks at each worker that shows what it does."""
    behind: Mapping[str, Sequence[str]]
    """The processes whose work a fault of a server hits."""
    in_flight: Mapping[str, InFlight] = field(default_factory=dict)
    """How much is in flight in a process that is no such worker."""
    dead_letters: Callable[[], int] = lambda: 0
    gave_up: Callable[[], Sequence[str]] = tuple
    """Names what did not come back."""
    notes: tuple[str, ...] = ()


def faults_of(run: Run, targets: Targets) -> tuple[Fault, ...]:
    """Draw the faults of a run."""
    return plan_faults(run.seed, run.seconds, targets)


class Course:
    """One run of a subject.

    Args:
        run: What to run.
        subject: What is put to the test.
        tell: Takes a line on what happens.
    """

    def __init__(self, run: Run, subject: Subject, tell: Tell) -> None:
        self._run, self._subject, self._tell = run, subject, tell
        self._told = time.monotonic()

    def take(self) -> Report:
        """Submit, strike, let go, wait, and count."""
        started = time.monotonic()
        subject = self._subject
        with self._pulses() as seen, self._load() as load, self._striker(seen) as striker:
            while not (load.wait(0) and striker.wait(0)):
                striker.wait(0.5)
                self._tell_now_and_then(load.receipts)
            striker.stop()
            self._tell("The faults are over; what was accepted has to end now.")
            tally = self._settle(load.receipts)
            return Report(
                name=subject.name,
                seed=self._run.seed,
                tally=tally,
                strikes=striker.strikes,
                recoveries=recoveries(striker.strikes, seen),
                dead_letters=subject.dead_letters(),
                seconds=time.monotonic() - started,
                slowest_receipt=load.slowest,
                refused=load.receipts.refused,
                notes=[
                    *subject.notes,
                    *(
                        f"{name} ended too often, and was not started again (see its log)."
                        for name in subject.gave_up()
                    ),
                ],
            )

    @contextmanager
    def _pulses(self) -> Iterator[Mapping[str, Pulse]]:
        seen = pulses(self._subject.workers)
        try:
            yield seen
        finally:
            for pulse in seen.values():
                pulse.stop()

    @contextmanager
    def _load(self) -> Iterator[Load]:
        load = self._subject.load(submissions(self._run.amounts, self._run.seconds))
        try:
            self._wait_for_work(load)
            yield load
        finally:
            load.stop()

    @staticmethod
    def _wait_for_work(load: Load) -> None:
        """Wait for the first receipt: faults that find no work show nothing."""
        wait_until(lambda: load.wait(0) or load.receipts.accepted > 0, FIRST_RECEIPT_SECONDS, every=0.1)

    @contextmanager
    def _striker(self, seen: Mapping[str, Pulse]) -> Iterator[Striker]:
        subject = self._subject
        striker = Striker(
            faults_of(self._run, subject.targets),
            subject.faults,
            in_flight={**{name: pulse.active for name, pulse in seen.items()}, **subject.in_flight},
            behind=subject.behind,
            tell=self._tell,
        )
        try:
            yield striker
        finally:
            striker.stop()

    def _settle(self, receipts: Receipts) -> Tally:
        """Wait until everything has ended, or nothing moves any more; count then."""
        seen = (-1, -1)

        def left() -> tuple[int, int] | None:
            nonlocal seen
            with suppress(LedgerError, SQLAlchemyError):
                tally = self._subject.check(receipts)
                if not tally.lost:
                    return None
                seen = (len(tally.lost), self._subject.arrived())
                self._tell_now_and_then(receipts, len(tally.lost))
            return seen

        wait_while_it_moves(left, STUCK_SECONDS, every=1)
        time.sleep(QUIET_SECONDS)
        return self._subject.check(receipts)

    def _tell_now_and_then(self, receipts: Receipts, not_ended: int | None = None) -> None:
        if time.monotonic() - self._told < TELL_SECONDS:
            return
        self._told = time.monotonic()
        rest = "" if not_ended is None else f", {not_ended:,} not ended"
        arrived = self._subject.arrived()
        self._tell(f"{receipts.accepted:,} accepted, {arrived:,} messages arrived{rest}")
