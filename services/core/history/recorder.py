"""The recorder: hears the events of all brokers, and keeps what they tell of tasks in the ledger."""

from __future__ import annotations

import logging
import signal
from threading import Event, Thread
from time import monotonic

from services.core.app import app
from services.core.history.buffer import Buffer
from services.core.history.sightings import Sighting, sighting
from services.core.ledger.engine import Ledger
from services.core.ledger.errors import LedgerUnavailable
from services.core.ledger.history import keep_sightings
from services.core.ledger.migrations import require_current
from services.core.ledger.recorders import note_recorder
from shared.health import clock
from shared.heartbeat import Heartbeat, Look
from shared.listening import FleetEvent, Found, Listening, Lost
from shared.settings import load_settings

logger = logging.getLogger(__name__)

HEAR_SECONDS = 0.5
WRITE_EVERY_SECONDS = 0.5
AT_ONCE = 500
"""Tasks in one transaction."""
NOTE_EVERY_SECONDS = 5.0
REST_SECONDS = 1.0
"""How long a ledger that does not answer is left alone."""
END_WITHIN_SECONDS = 10.0


class Recorder:
    """Keeps what is heard, some tasks at a time.

    Any number may run at once: each hears everything, and to keep the same twice changes nothing.  While the ledger
    does not answer, what is heard waits within a bound; beyond it tasks are dropped, counted and said.  While a broker
    does not answer, its events are lost: the next one of a task tells most of it again.

    Args:
        ledger: Where the history is kept.
        ended: Set when it shall end.
        buffer: What is heard and not kept yet.
    """

    def __init__(self, ledger: Ledger, ended: Event, buffer: Buffer | None = None) -> None:
        self._ledger = ledger
        self._ended = ended
        self._buffer = Buffer() if buffer is None else buffer
        self._noted = float("-inf")
        self._dropped = 0
        self.turned = clock()
        self.trouble: str | None = None
        """Why nothing is kept now."""

    def run(self) -> None:
        """Hear and keep until it is told to end; what was heard by then is kept."""
        writer = Thread(target=self._write, name="history", daemon=True)
        with Listening(app) as listening:
            writer.start()
            while not self._ended.is_set():
                self.turned = clock()
                for news in listening.news(HEAR_SECONDS):
                    self.hear(news)
                    self.turned = clock()
                    if self._ended.is_set():  # a busy fleet always has news
                        break
        writer.join(END_WITHIN_SECONDS)

    def hear(self, news: FleetEvent | Found | Lost) -> None:
        """Take in one piece of news."""
        match news:
            case FleetEvent(broker, event):
                known = sighting(broker, event)
                if known is not None:
                    self._buffer.add((known,))
            case Lost(broker, why):
                logger.warning("Events of broker %s are not heard: %s", app.brokers[broker], why)
            case Found(broker):
                logger.info("Events of broker %s are heard.", app.brokers[broker])

    def _write(self) -> None:
        pause = 0.0
        while not self._ended.wait(pause):
            pause = self.keep()
        while len(self._buffer) and not self.trouble:
            self.keep()

    def keep(self) -> float:
        """Keep some of what was heard; return for how long to wait then."""
        taken = self._buffer.take(AT_ONCE)
        try:
            self._keep(taken)
        except LedgerUnavailable as error:
            self._buffer.add(taken)
            if self.trouble is None:
                logger.warning("The history is not kept, what is heard waits: %s", error)
            self.trouble = str(error)
            return REST_SECONDS
        if self.trouble:
            logger.info("The history is kept again.")
        self.trouble = None
        return 0.0 if len(taken) == AT_ONCE else WRITE_EVERY_SECONDS

    def _keep(self, sightings: list[Sighting]) -> None:
        if not sightings and monotonic() - self._noted < NOTE_EVERY_SECONDS:
            return
        self._dropped += self._buffer.dropped()
        try:
            with self._ledger.writing() as session:
                keep_sightings(session, sightings)
        except LedgerUnavailable:
            raise
        except Exception:
            logger.exception("%d tasks can't be kept together; each is tried by itself.", len(sightings))
            self._keep_singly(sightings)
        with self._ledger.writing() as session:
            note_recorder(session, self._ledger.clock(), self._dropped)
        if self._dropped:
            logger.warning("%d tasks are not in the history: the ledger took nothing for too long.", self._dropped)
        self._dropped, self._noted = 0, monotonic()

    def _keep_singly(self, sightings: list[Sighting]) -> None:
        for known in sightings:
            try:
                with self._ledger.writing() as session:
                    keep_sightings(session, [known])
            except LedgerUnavailable:
                raise
            except Exception:
                self._dropped += 1
                logger.exception("Task %s can't be kept.", known.id)


def run(ledger: Ledger) -> None:
    """Keep the history of tasks until SIGTERM or Ctrl-C.

    Raises:
        LedgerOutdated: The tables are missing, or those of another release.
    """
    ended = Event()
    logging.getLogger("alembic").setLevel(logging.WARNING)  # it tells of each look at the revision
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    try:
        require_current(ledger)
    except LedgerUnavailable as error:
        logger.warning("The ledger does not answer yet: %s", error)
    recorder = Recorder(ledger, ended)
    heartbeat = Heartbeat("recorder", lambda: Look(recorder.turned, recorder.trouble), load_settings().run_folder)
    heartbeat.start()
    logger.info("The recorder keeps the history of tasks.")
    try:
        recorder.run()
    finally:
        heartbeat.end()
