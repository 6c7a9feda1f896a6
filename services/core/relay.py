"""The relay: publishes what is in the outbox, as soon as its broker is there."""

from __future__ import annotations

import logging
import signal
from collections.abc import Sequence
from datetime import datetime, timedelta
from threading import Event
from time import monotonic

import redis
from celery import Signature
from kombu.exceptions import OperationalError

from services.core.app import app
from services.core.collector import Collector
from services.core.ledger.engine import Ledger
from services.core.ledger.errors import LedgerUnavailable
from services.core.ledger.models import OutboxEntry
from services.core.ledger.outbox import claim_due, give_back, is_due, postpone, remove_entries
from services.core.ledger.relays import note_relay
from services.core.outgoing import REPLAY
from shared.chords.repeating import may_be_repeated
from shared.errors import ResultStoreOutOfReach
from shared.health import clock
from shared.heartbeat import Heartbeat, Look
from shared.publishing import PUBLISHED_AT_HEADER
from shared.replaying import publish_again
from shared.settings import load_settings

logger = logging.getLogger(__name__)

LOOK_EVERY_SECONDS = 0.05
"""How long an entry lies in an idle outbox at most; looking takes less than a millisecond."""
NOTE_EVERY_SECONDS = 2.0
LEASE = timedelta(seconds=60)
"""What a relay took and did not publish in this time goes to another."""
WORK_WITHIN_SECONDS = 30.0
"""After so much of a lease nothing more of a turn is begun."""
AT_ONCE = 50
REST_SECONDS = 1.0
"""How long a broker that did not answer, or a ledger, is left alone."""
LONGEST_PAUSE = timedelta(minutes=10)
"""The longest pause before an entry is tried again that can't be published although its broker is there."""
OUT_OF_REACH = (OperationalError, redis.RedisError, OSError, ResultStoreOutOfReach)
"""Errors that come from a server, and hold for all entries of a broker; any other is of the entry alone."""


class Relay:
    """Publishes entries of the outbox: urgent ones first, and each until its broker has taken it.

    Any number may run at once; each entry is taken by one.  One that is killed leaves what it had taken to the others
    after a minute, and they publish the same task ids again: effects are guarded by these.
    """

    def __init__(self, ledger: Ledger, ended: Event) -> None:
        self._ledger = ledger
        self._ended = ended
        self._resting: dict[str, float] = {}
        """Until when nothing is published to a broker, by ``time.monotonic``."""
        self._noted = float("-inf")
        self._complained = False
        self.turned = clock()
        self.trouble: str | None = None
        """Why it can't do its work now."""

    def run(self) -> None:
        """Publish until it is told to end."""
        pause = 0.0
        while not self._ended.wait(pause):
            self.turned = clock()
            pause = self._turn()

    def _turn(self) -> float:
        """Publish once what is due; return for how long to wait then."""
        try:
            entries = self._claim()
            if entries:
                self._publish_all(entries)
        except LedgerUnavailable as error:
            self.trouble = str(error)
            if not self._complained:
                logger.warning("The outbox can't be read: %s", error)
            self._complained = True
            return REST_SECONDS
        self.trouble, self._complained = None, False
        return 0.0 if len(entries) == AT_ONCE else LOOK_EVERY_SECONDS

    def _claim(self) -> Sequence[OutboxEntry]:
        now = self._ledger.clock()
        with self._ledger.reading() as session:
            due = is_due(session, now)
        if not due and monotonic() - self._noted < NOTE_EVERY_SECONDS:
            return ()
        resting = [broker for broker, until in self._resting.items() if until > monotonic()]
        with self._ledger.writing() as session:
            note_relay(session, now)
            self._noted = monotonic()
            return claim_due(session, now, LEASE, AT_ONCE, without=resting)

    def _publish_all(self, entries: Sequence[OutboxEntry]) -> None:
        deadline = monotonic() + WORK_WITHIN_SECONDS
        published: list[OutboxEntry] = []
        untouched: list[OutboxEntry] = []
        failed: list[tuple[OutboxEntry, datetime, str]] = []
        for entry in entries:
            self.turned = clock()
            if self._ended.is_set() or monotonic() > deadline or self._resting.get(entry.broker, 0.0) > monotonic():
                untouched.append(entry)
                continue
            try:
                publish(entry)
            except Exception as error:  # noqa: BLE001 - one entry must not hold up the others, whatever is wrong
                failed.append((entry, self._try_again_at(entry, error), f"{type(error).__name__}: {error}"))
            else:
                published.append(entry)
        with self._ledger.writing() as session:
            remove_entries(session, published)
            give_back(session, untouched, self._ledger.clock())
            for entry, due_at, error_text in failed:
                postpone(session, entry, due_at, error_text)

    def _try_again_at(self, entry: OutboxEntry, error: Exception) -> datetime:
        """Say when to try an entry again: soon where a server is away, and ever later where the entry is at fault."""
        if isinstance(error, OUT_OF_REACH):
            pause = timedelta(seconds=REST_SECONDS)
            if not entry.tries:
                logger.warning("Entry %d of the outbox, of %s, waits: %s", entry.id, entry.subject, error)
            self._resting[entry.broker] = monotonic() + REST_SECONDS
        else:
            pause = min(LONGEST_PAUSE, timedelta(seconds=2.0 ** min(entry.tries, 20)))
            why = f"{type(error).__name__}: {error}"
            logger.error("Entry %d of the outbox, of %s, can't be published: %s", entry.id, entry.subject, why)
        return self._ledger.clock() + pause


def publish(entry: OutboxEntry) -> None:
    """Publish what is in an entry: a canvas, or the message of a dead letter as it was.

    Raises:
        Exception: Whatever a client of a broker, of shared state or of the result store raises.
    """
    if message := entry.signature.get(REPLAY):
        # The time belongs to the name, for numbers of letters and of entries are given again once they are free.
        publish_again(app, message, f"{entry.subject}/{entry.id}/{message['headers'].get(PUBLISHED_AT_HEADER)}")
    else:
        with may_be_repeated():  # a relay that was killed may have published it
            Signature.from_dict(entry.signature, app=app).apply_async()


def run(ledger: Ledger) -> None:
    """Publish what is in the outbox, and collect dead letters, until SIGTERM or Ctrl-C."""
    ended = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    app.set_current()
    relay = Relay(ledger, ended)
    settings = load_settings()
    heartbeat = Heartbeat("relay", lambda: Look(relay.turned, relay.trouble), settings.run_folder)
    collector = Collector(ledger, settings.dead_letters_per_queue)
    heartbeat.start()
    collector.start()
    logger.info("The relay publishes what is in the outbox, and collects dead letters.")
    try:
        relay.run()
    finally:
        collector.end()
        heartbeat.end()
