"""Publishes delayed messages when they are due, from a thread for each broker, in any process of the fleet.

Of several movers one claims an entry for ten seconds, publishes it and removes it.  When it is killed in between, the
entry is handed to another.  On Redis the message is put into its queue once all the same (``shared.transports.once``);
on RabbitMQ, which knows no such step, it may then be there twice, with the same task id.

A message that is refused, for a reason of its own, steps aside, so that the others go on (``refusals``).
"""

from __future__ import annotations

import logging
from threading import Event, Thread
from time import monotonic
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import redis
from kombu.exceptions import OperationalError

from shared.brokers import Broker, BrokerKind
from shared.delays.entry import Entry
from shared.delays.refusals import Refusals
from shared.delays.table import Due
from shared.errors import UnknownName
from shared.handover import hand_over
from shared.transports.once import once, settle

if TYPE_CHECKING:
    from shared.celery_app import FleetCelery

logger = logging.getLogger(__name__)

LOOK_EVERY_SECONDS = 0.2
"""How often the lookout of a broker looks: an entry that was stored since, due before the others, is found then."""
OTHERS_LOOK_EVERY_SECONDS = 1.0
"""How often each of the others does: to help when much is due, and when the lookout is gone.  If a hundred workers on
three brokers all looked often, they would ask shared state 1,500 times a second, to find nothing."""
REST_SECONDS = 1.0
"""How long a mover leaves a server alone that did not answer."""
WORK_WITHIN_SECONDS = 3.0
"""Of the ten seconds of a claim: what is not begun by then is given up.  The last publish, and the question whether
others would be taken, have the rest."""


class Mover:
    """The movers of one process, one for each broker, so that one that hangs holds up no other."""

    def __init__(self, app: FleetCelery) -> None:
        self._ended = Event()
        self._threads = [
            Thread(target=BrokerMover(app, broker, self._ended).run, name=f"mover-{alias}", daemon=True)
            for alias, broker in app.brokers.items()
        ]

    def start(self) -> None:
        """Begin; the threads end with the process."""
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Claim nothing from now on; what is claimed is finished or given up, for another process to take."""
        self._ended.set()

    def join(self, seconds: float) -> None:
        """Wait until all is given up, for so long at most."""
        deadline = monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - monotonic()))


class BrokerMover:
    """Moves what is due for one broker."""

    def __init__(self, app: FleetCelery, broker: Broker, ended: Event) -> None:
        self._app = app
        self._broker = broker
        self._ended = ended
        self._token = uuid4().hex
        self._refusals = Refusals(app, self._token)
        self._published: list[str] = []
        """What is not removed from the table yet."""
        self._complained = False

    def run(self) -> None:
        """Move what is due, until the end of the process."""
        pause = 0.0
        while not self._ended.wait(pause):
            pause = self._turn()
        self._turn_out()

    def _turn(self) -> float:
        """Claim and move once; return for how long to wait then."""
        try:
            self._note_published()
            started = monotonic()
            due = self._app.delays.claim_due(self._broker.alias, self._token)
            if not due.entries:
                self._complained = False
                return pause_after(due)
            return self._move(due.entries, started + WORK_WITHIN_SECONDS)
        except (redis.RedisError, OSError) as error:
            self._complain("Shared state does not answer; delayed tasks wait: %s", type(error).__name__)
        except Exception:  # without this thread, nothing of this broker would be moved from here
            logger.exception("Delayed tasks of broker %s can't be moved now.", self._broker)
        return REST_SECONDS

    def _move(self, entries: list[tuple[str, bytes]], deadline: float) -> float:
        left = dict(entries)
        try:
            for identity, raw in entries:
                if self._ended.is_set() or monotonic() > deadline:
                    break
                try:
                    self._publish(Entry.decode(raw))
                except Exception as error:  # noqa: BLE001 - one message must not hold up the others, whatever is wrong
                    broker = self._destination(raw)
                    if not self._refusals.takes_others(broker):
                        self._complain("What is due on broker %s waits: %s", broker, error)
                        return REST_SECONDS
                    self._refusals.note(identity, raw, broker, error)
                else:
                    self._published.append(identity)
                    if self._broker.kind is not BrokerKind.REDIS:
                        self._note_published()  # at once: nothing else keeps it from being published again
                del left[identity]
        finally:
            self._note_published()
            self._app.delays.release(list(left), self._token)
        return 0.0

    def _destination(self, raw: bytes) -> Broker:
        """Return the broker that owns the queue of an entry today; that of this mover if nobody can tell."""
        try:
            return self._app.brokers[self._app.routing.owner(Entry.decode(raw).queue)]
        except (ValueError, UnknownName):
            return self._broker

    def _publish(self, entry: Entry) -> None:
        """Publish an entry to the broker that owns its queue today."""
        broker = self._app.brokers[self._app.routing.owner(entry.queue)]
        message = entry.message
        with once(entry.id), hand_over(), self._app.amqp.pools[broker].acquire(block=True) as producer:
            producer.publish(
                message["body"],
                content_type=message["content_type"],
                content_encoding=message["content_encoding"],
                exchange=message["exchange"],
                routing_key=message["routing_key"],
                delivery_mode=message["delivery_mode"],
                headers=message["headers"],
                declare=[self._app.amqp.queues[name] for name in entry.declare],
                mandatory=True,
                **message["properties"],
            )

    def _note_published(self) -> None:
        """Remove from the table what was published."""
        if not self._published:
            return
        self._app.delays.remove(self._published)
        published, self._published = self._published, []
        if self._broker.kind is BrokerKind.REDIS:
            try:
                with hand_over(), self._app.amqp.pools[self._broker].acquire(block=True) as producer:
                    settle(producer.channel, published)
            except (OperationalError, redis.RedisError, OSError) as error:
                logger.debug("Broker %s keeps the markers of moved tasks for longer: %s", self._broker, error)

    def _turn_out(self) -> None:
        try:
            self._note_published()
        except (redis.RedisError, OSError) as error:
            self._complain("Shared state does not answer; some tasks may be published again: %s", type(error).__name__)

    def _complain(self, text: str, *values: Any) -> None:
        """Log an outage, once for as long as it lasts."""
        logger.log(logging.DEBUG if self._complained else logging.WARNING, text, *values)
        self._complained = True


def pause_after(due: Due) -> float:
    """Return when to look again, of what nothing was due."""
    if not due.is_lookout:
        return OTHERS_LOOK_EVERY_SECONDS
    return LOOK_EVERY_SECONDS if due.next_in is None else min(LOOK_EVERY_SECONDS, due.next_in)
