"""Chords of every kind, over Redis and RabbitMQ, while one of four workers is killed each second: every chord ends.

Their members are fine, or some fail, have expired, are revoked, are of a task that no worker knows, are chords that
fail in turn, or lie in a queue that nobody serves.
"""

from __future__ import annotations

import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from celery import chain, chord
from celery.exceptions import TimeoutError as ResultTimeout

from services.core.local.brokers import LocalRabbitMQ, LocalRedis
from services.core.local.private_files import private_folder
from shared.bulk import bulk
from tests.chaos.chord_fleet import (
    BODY,
    BROKERS,
    ERRBACK,
    FAIL,
    RABBITMQ,
    REDIS,
    UNKNOWN,
    WORK,
    ChordSetup,
    fleet,
    nobodys,
    queue_of,
)
from tests.chaos.records import STARTED, Records
from tests.chaos.report import Report, Tell, percentile
from tests.chaos.stock_chords import with_best_settings, with_defaults
from tests.chaos.workers import Crew

KINDS = (
    *("fine",) * 10,
    *("failing", "expired", "revoked", "unknown", "nested", "expired chain", "revoked chain", "lost"),
)
"""How many of each kind there are, in turn."""
LATE_SECONDS = 3600
"""The countdown of a member that is revoked before it is over."""
BACKLOG = 12
"""Chords that are open at any time, beside those that wait for their deadline, so that a kill finds work."""
RECENT = 5 * BACKLOG
"""Among so many of the latest it is counted which are open: those that never end are not waited for."""
TAKEN_OVER = "nobody has ended it; done now"
"""What the watch of a worker says of such a chord."""
STUCK_SECONDS = 60.0
"""Beyond their deadlines; nothing here takes so long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """How long the scenario is."""

    chords: int
    """At least so many; more are published when they run out before the kills do."""
    members: int
    kills: int
    """At least so many."""
    deadline: float = 60.0
    """Seconds that a chord has of which a member is lost."""
    seed: int = 7


class End(NamedTuple):
    """The end of a chord, as its body or its errback wrote it down."""

    kind: str
    dispatch: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Who has to end the chords, and which."""

    name: str
    app: str
    """What ``celery -A`` takes."""
    make: Callable[[ChordSetup], Any]
    kinds: Sequence[str] = ("fine",)
    """In turn."""
    is_ours: bool = False
    """Whether promises were made for it."""


OURS = Subject(name="Redis and RabbitMQ", app="tests.chaos.chord_fleet", make=fleet, kinds=KINDS, is_ours=True)
ON_REDIS = {
    "defaults": Subject(name="stock Celery, defaults", app="tests.chaos.stock_chords:defaults", make=with_defaults),
    "stock": Subject(name="stock Celery, best settings", app="tests.chaos.stock_chords", make=with_best_settings),
    "redis": Subject(name="Switchyard", app=OURS.app, make=fleet, is_ours=True),
}
"""Who has chords of members that are fine, by the end of the scenario's name."""


class Chords:
    """One run of the scenario.

    Args:
        setup: The brokers.
        logs: Folder for the logs of the workers.
        amount: How long it is.
        tell: Takes a line on how far it has come.
        subject: Who is put to the test.
    """

    def __init__(
        self, setup: ChordSetup, logs: Path, amount: Amount, tell: Tell = lambda _: None, subject: Subject = OURS
    ) -> None:
        self._amount, self._tell, self._subject = amount, tell, subject
        self._app = subject.make(setup)
        self._crew, self._logs = Crew(subject.app, setup, logs), logs
        self._records = Records(setup.records)
        self._random = random.Random(amount.seed)
        self._kinds: list[str] = []
        self._published: list[float] = []
        self._served: dict[str, str] = {}

    def run(self) -> Report:
        """Publish, kill, wait for the ends, and count; nothing is left running."""
        with ExitStack() as stack:
            stack.callback(self._app.close)
            stack.enter_context(self._crew)
            for broker in (*BROKERS, *BROKERS):
                self._add_worker(broker)
            self._publish_and_kill()
            self._settle()
            self._crew.stop()
            self._records.read()
        return self._report()

    def _publish_and_kill(self) -> None:
        due = time.monotonic()
        last = due + self._amount.deadline + STUCK_SECONDS
        while time.monotonic() < last:
            self._records.read()
            open_ones = set(range(len(self._kinds))) - self._ends().keys()
            if len(self._kinds) < self._amount.chords or len(self._crew.kills) < self._amount.kills:
                recent = range(max(0, len(self._kinds) - RECENT), len(self._kinds))
                if sum(self._kinds[number] != "lost" for number in open_ones.intersection(recent)) < BACKLOG:
                    self._publish(len(self._kinds))
                    last = time.monotonic() + self._amount.deadline + STUCK_SECONDS
            elif not open_ones:
                return
            self._crew.replace_dead()
            ready = self._that_can_be_spared()
            if ready and time.monotonic() >= due:
                victim = self._random.choice(ready)
                self._crew.kill(victim)
                self._add_worker(self._served[victim])
                due = max(due + 1.0, time.monotonic())
            self._tell(f"chords: {len(self._crew.kills)} kills, {len(open_ones)} of {len(self._kinds)} chords are open")
            time.sleep(0.01)

    def _that_can_be_spared(self) -> list[str]:
        """Return the workers that work beside another of their broker; a busy machine starts new ones slowly."""
        ready = sorted(self._records.seen & self._crew.workers.keys())
        of_broker = Counter(self._served[name] for name in ready)
        return [name for name in ready if of_broker[self._served[name]] > 1]

    def _publish(self, number: int) -> None:
        kind = self._subject.kinds[number % len(self._subject.kinds)]
        header = [self._sig(WORK) for _ in range(self._amount.members)]
        at = self._random.randrange(len(header))
        late = self._sig(WORK).set(countdown=LATE_SECONDS)
        header[at] = {
            "failing": self._sig(FAIL),
            "expired": self._sig(WORK).set(expires=-1),
            "revoked": late,
            "unknown": self._sig(UNKNOWN),
            "nested": chord([self._sig(WORK), self._sig(FAIL)], self._sig(WORK)),
            "expired chain": chain(self._sig(WORK).set(expires=-1), self._sig(WORK)),
            "revoked chain": chain(late, self._sig(WORK)),
            "lost": self._app.signature(WORK, queue=nobodys(BROKERS[number % 2])),
        }.get(kind, header[at])
        body = self._sig(BODY, number).on_error(self._sig(ERRBACK, number))
        options = {"deadline": self._amount.deadline} if kind == "lost" else {}
        with bulk():
            sent = chord(header, body, app=self._app).apply_async(**options)
        self._published.append(time.time())
        self._kinds.append(kind)
        if kind.startswith("revoked"):
            member = sent.parent[at]
            self._app.control.revoke([each.id for each in (member, member.parent) if each is not None])

    def _sig(self, task: str, *args: Any) -> Any:
        return self._app.signature(task, args, queue=queue_of(self._random.choice(BROKERS)))

    def _add_worker(self, broker: str) -> None:
        name = self._crew.add("--concurrency=2", f"-Q{queue_of(broker)}")
        self._served[name] = broker

    def _settle(self) -> None:
        """Wait for what is in the queues still: nothing of it may end a chord again."""
        for _ in range(2):
            for sent in [self._app.send_task(WORK, queue=queue_of(broker)) for broker in BROKERS for _ in range(4)]:
                with nullcontext() if self._subject.is_ours else suppress(ResultTimeout):
                    sent.get(timeout=STUCK_SECONDS)

    def _ends(self) -> dict[int, list[End]]:
        ends: dict[int, list[End]] = defaultdict(list)
        for name, events in list(self._records.events.items()):
            if name.count("/") == 2:
                kind, number, dispatch = name.split("/")
                ends[int(number)] += [End(kind, dispatch, event.at) for event in events if event.kind == STARTED]
        return ends

    def _taken_over(self) -> int:
        """Count the chords that were complete, and whose end another process had to publish."""
        return sum(log.read_text(errors="replace").count(TAKEN_OVER) for log in self._logs.glob("w*.log"))

    def _report(self) -> Report:
        ends = self._ends()
        dispatches = {number: {(end.kind, end.dispatch) for end in of_chord} for number, of_chord in ends.items()}
        again = sum(len(of_chord) - len(dispatches[number]) for number, of_chord in ends.items())
        waits = sorted(min(end.at for end in ends[number]) - self._published[number] for number in ends)
        report = Report(
            f"chords, {self._subject.name}",
            published=len(self._kinds),
            executed=len(ends),
            repeated=again,
            kills=len(self._crew.kills),
            deaths=self._crew.deaths,
        )
        twice = {
            kind: sum(Counter(name for name, _ in of_chord)[kind] > 1 for of_chord in dispatches.values())
            for kind in ("body", "errback")
        }
        wrong = [
            f"{number} ({kind})"
            for number, kind in enumerate(self._kinds)
            if {end.kind for end in ends.get(number, ())} not in (set(), {"body" if kind == "fine" else "errback"})
        ]
        report.more = {
            "members": f"{len(self._kinds) * self._amount.members:,}",
            "chords that ended": f"{len(ends):,}",
            "bodies twice": str(twice["body"]),
            "errbacks twice": str(twice["errback"]),
            "ended otherwise than they should": ", ".join(wrong) or "0",
            "ends taken over from the killed": str(self._taken_over()),
            "from publishing to the end": f"p50 {percentile(waits, 50):.1f} s, p99 {percentile(waits, 99):.1f} s",
        }
        if not self._subject.is_ours:
            report.promised = False
            return report
        report.check()
        report.broken += [f"{number} times {kind} twice" for kind, number in twice.items() if number]
        report.broken += [f"chord {each} ended otherwise" for each in wrong]
        report.broken += [
            f"chord {number} ({kind}) did not end" for number, kind in enumerate(self._kinds) if number not in ends
        ]
        return report


def on_brokers_of_its_own(home: Path, amount: Amount, tell: Tell = lambda _: None) -> Report:
    """Start a Redis and a RabbitMQ below a folder and play the scenario on them."""
    with LocalRedis(home / REDIS) as server, LocalRabbitMQ(home / RABBITMQ) as other:
        setup = ChordSetup(
            broker=server.url(),
            rabbitmq=other.url,
            results=server.url(2),
            state=server.url(3),
            records=private_folder(home / "records"),
        )
        return Chords(setup, home, amount, tell).run()


def on_a_redis_of_its_own(home: Path, amount: Amount, subject: Subject, tell: Tell = lambda _: None) -> Report:
    """Start a Redis below a folder and play the scenario on it; where there are two brokers, on two databases."""
    with LocalRedis(home / REDIS) as server:
        setup = ChordSetup(
            broker=server.url(),
            rabbitmq=server.url(1),
            results=server.url(2),
            state=server.url(3),
            records=private_folder(home / "records"),
        )
        return Chords(setup, home, amount, tell, subject).run()
