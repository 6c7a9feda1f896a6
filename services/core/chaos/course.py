"""The course of a run: work and faults side by side, then everything is let go, and counted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from services.core.chaos.amounts import Amounts, Scenario, Submission, submissions
from services.core.chaos.faults import InFlight, Striker, Tell
from services.core.chaos.load import Load
from services.core.chaos.mail_folder import MailFolder
from services.core.chaos.proxy import Proxy
from services.core.chaos.pulse import Pulse, pulses
from services.core.chaos.receipts import Receipts
from services.core.chaos.report import Report, recoveries
from services.core.chaos.schedule import Fault, Targets, plan_faults
from services.core.chaos.tally import Tally
from services.core.ledger.errors import LedgerError
from services.core.local.fleet import LocalFleet
from services.core.local.specs import Planner
from services.core.local.state import Phase, read_state

REDIS, RABBITMQ = "redis", "rabbitmq"
STUCK_SECONDS = 180.0
"""Without any news for so long, what has not ended is lost; a taken row of a killed relay is free after 60."""
QUIET_SECONDS = 20.0
"""After everything has ended, for how long repeated effects may still come: longer than a lease."""
TELL_SECONDS = 10.0


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
    fleet: LocalFleet
    targets: Targets
    load: Callable[[Sequence[Submission]], Load]
    """Begins to submit."""
    mail: MailFolder
    check: Callable[[Receipts], Tally]
    """Counts what became of what was accepted."""
    behind: Mapping[str, Sequence[str]]
    """The workers of each broker."""
    in_flight: Mapping[str, InFlight] = field(default_factory=dict)
    """How much is in flight in a process that is no worker with metrics."""
    dead_letters: Callable[[], int] = lambda: 0
    notes: tuple[str, ...] = ()


def faults_of(run: Run, targets: Targets) -> tuple[Fault, ...]:
    """Draw the faults of a run."""
    return plan_faults(run.seed, run.seconds, targets)


@contextmanager
def proxied_fleet(home: Path, plan: Planner, tell: Tell) -> Iterator[tuple[LocalFleet, Mapping[str, Proxy]]]:
    """Start a fleet whose processes reach its brokers through proxies, for the length of a ``with`` block.

    Raises:
        LocalFleetError: The fleet can't be started; nothing of it is left.
    """
    proxies: dict[int, Proxy] = {}
    with ExitStack() as stack:

        def through(port: int) -> int:
            if port not in proxies:
                proxies[port] = Proxy(port)
                stack.callback(proxies[port].end)
            return proxies[port].port

        def told(name: str, phase: Phase) -> None:
            if phase is Phase.FAILED:
                tell(f"{name} ended too often, and is not started again")

        fleet = stack.enter_context(LocalFleet(home, plan, progress=told, through=through))
        yield fleet, {REDIS: proxies[fleet.redis.port], RABBITMQ: proxies[fleet.rabbitmq.port]}


class Course:
    """One run of a subject.

    Args:
        run: What to run.
        subject: What is put to the test.
        proxies: What stands before each broker, by its name.
        tell: Takes a line on what happens.
    """

    def __init__(self, run: Run, subject: Subject, proxies: Mapping[str, Proxy], tell: Tell) -> None:
        self._run, self._subject, self._proxies, self._tell = run, subject, proxies, tell
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
                notes=[*subject.notes, *self._gave_up()],
            )

    @contextmanager
    def _pulses(self) -> Iterator[Mapping[str, Pulse]]:
        fleet = self._subject.fleet
        ports = {name: fleet.process(name).metrics_port for name in self._subject.targets.workers}
        host = fleet.settings.metrics_host
        seen = pulses({name: f"http://{host}:{port}/metrics" for name, port in ports.items() if port})
        try:
            yield seen
        finally:
            for pulse in seen.values():
                pulse.stop()

    @contextmanager
    def _load(self) -> Iterator[Load]:
        load = self._subject.load(submissions(self._run.amounts, self._run.seconds))
        try:
            yield load
        finally:
            load.stop()

    @contextmanager
    def _striker(self, seen: Mapping[str, Pulse]) -> Iterator[Striker]:
        subject = self._subject
        striker = Striker(
            faults_of(self._run, subject.targets),
            services=subject.fleet.services,
            proxies=self._proxies,
            in_flight={**{name: pulse.active for name, pulse in seen.items()}, **subject.in_flight},
            behind=subject.behind,
            redis_url=subject.fleet.redis.url(),
            seed=self._run.seed,
            tell=self._tell,
        )
        try:
            yield striker
        finally:
            striker.stop()

    def _settle(self, receipts: Receipts) -> Tally:
        """Wait until everything has ended, or nothing moves any more; count then."""
        before, since = (-1, -1), time.monotonic()
        while time.monotonic() - since < STUCK_SECONDS:
            with suppress(LedgerError, SQLAlchemyError):
                tally = self._subject.check(receipts)
                if not tally.lost:
                    break
                news = (len(tally.lost), self._subject.mail.read())
                if news != before:
                    before, since = news, time.monotonic()
                self._tell_now_and_then(receipts, len(tally.lost))
            time.sleep(1)
        until = time.monotonic() + QUIET_SECONDS
        while time.monotonic() < until:
            time.sleep(0.5)
        return self._subject.check(receipts)

    def _tell_now_and_then(self, receipts: Receipts, not_ended: int | None = None) -> None:
        if time.monotonic() - self._told < TELL_SECONDS:
            return
        self._told = time.monotonic()
        rest = "" if not_ended is None else f", {not_ended:,} not ended"
        arrived = self._subject.mail.read()
        self._tell(f"{receipts.accepted:,} accepted, {arrived:,} messages arrived{rest}")

    def _gave_up(self) -> list[str]:
        state = read_state(self._subject.fleet.home)
        services = state.services.values() if state else ()
        return [
            f"{service.name} ended too often, and was not started again (see its log)."
            for service in services
            if service.phase is Phase.FAILED
        ]
