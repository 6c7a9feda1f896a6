"""The queues of all brokers: how they stand, and what can be done with them."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import redis
from kombu.exceptions import OperationalError

from services.core.ledger.errors import LedgerError
from shared.asking import ask_fleet
from shared.brokers import BrokerKind
from shared.celery_app import FleetCelery
from shared.depths import PRIORITIES, QueueDepth, list_of, measured_by
from shared.errors import UnknownQueue
from shared.pauses import Pause, PauseTable
from shared.publishing import PUBLISHED_AT_HEADER

if TYPE_CHECKING:
    from services.core.ledger.engine import Ledger

logger = logging.getLogger(__name__)

MOST_PEEKED = 100
MOST_BYTES = 65_536
"""Of a message that is peeked at; of a larger one the id alone is told, if at all."""


class BrokerNotReached(OperationalError):
    """The broker of a queue could not be reached; nothing was done."""

    sent: Literal["no"] = "no"


@dataclass(frozen=True, slots=True)
class QueueView:
    """How a queue stands.  What could not be asked is ``None``: unknown is not zero."""

    name: str
    broker: str
    service: str
    up: bool
    """Whether its broker could be asked."""
    ready: int | None = None
    """Messages that no worker holds."""
    unacknowledged: int | None = None
    """Messages that workers hold."""
    delayed: int | None = None
    """Messages that wait for their time in shared state."""
    by_priority: Mapping[int, int] = field(default_factory=dict)
    oldest_seconds: float | None = None
    """How long the ready message has waited that goes out next."""
    consumers: int | None = None
    """Workers that serve it, where somebody could say."""
    paused: Pause | None = None
    pauses_known: bool = True
    """Whether shared state could be asked what is paused."""


@dataclass(frozen=True, slots=True)
class PeekedTask:
    """A task that waits in a queue."""

    id: str
    name: str | None
    priority: int | None
    published_at: float | None
    """In seconds since the epoch."""
    eta: str | None
    args: str | None
    kwargs: str | None
    """Arguments as text, as they are shown anywhere."""


@dataclass(frozen=True, slots=True)
class Peek:
    """What goes out next of a queue."""

    queue: str
    source: str
    """``broker``: read there, in the order in which they go out; ``history``: sent, and not heard of since."""
    tasks: tuple[PeekedTask, ...]


def list_queues(app: FleetCelery, *, ask_workers: bool = True, timeout: float = 1.0) -> list[QueueView]:
    """Ask every broker for its queues, all at once, and shared state for what waits there and what is paused.

    Args:
        app: Any app of the fleet.
        ask_workers: Whether to ask workers which queues they serve; Redis does not know its consumers.
        timeout: Seconds to wait for their answers.
    """
    measuring = measured_by(app.brokers, app.queue_table.values())
    with ThreadPoolExecutor(len(measuring) + 2) as pool:
        measured = [(each.alias, pool.submit(each.measure)) for each in measuring]
        state = pool.submit(_asked_state, app)
        serving = pool.submit(_serving, app, timeout) if ask_workers else None
        depths = {alias: found.result() for alias, found in measured}
        delayed, pauses = state.result()
        served = serving.result() if serving else None
    views = []
    for name, spec in app.queue_table.items():
        of_broker = depths[str(spec.broker)]
        depth = next((each for each in of_broker or () if each.queue == name), QueueDepth(name, 0, 0))
        known = QueueView(
            name, str(spec.broker), str(spec.service), of_broker is not None,
            delayed=None if delayed is None else delayed.get(name, 0),
            paused=(pauses or {}).get(name), pauses_known=pauses is not None,
        )  # fmt: skip
        views.append(known if of_broker is None else _with_depth(known, depth, served))
    return views


def pause_queue(app: FleetCelery, name: str, by: str) -> bool:
    """Pause a queue for all workers of the fleet, also those that start later; they follow within two seconds.

    What they hold ends; nothing new is taken.

    Returns:
        Whether it was not paused before.

    Raises:
        UnknownQueue: There is no such queue; nothing was changed.
        redis.RedisError: Shared state does not answer.
    """
    return PauseTable(app.state).pause(known_queue(app, name), by)


def resume_queue(app: FleetCelery, name: str) -> bool:
    """Have all workers take up a queue again; return whether it was paused.

    Raises:
        UnknownQueue: There is no such queue; nothing was changed.
        redis.RedisError: Shared state does not answer.
    """
    return PauseTable(app.state).resume(known_queue(app, name))


def purge_queue(app: FleetCelery, ledger: Ledger | None, name: str) -> int:
    """Remove every ready message of a queue for good; what workers hold, and what waits for its time, stays.

    Args:
        app: Any app of the fleet.
        ledger: Where the history is told that they are gone; it may be out of reach.
        name: The queue.

    Returns:
        How many there were.

    Raises:
        UnknownQueue: There is no such queue; nothing was removed.
        BrokerNotReached: Its broker is out of reach; nothing was removed.
        kombu.exceptions.OperationalError: Its broker went away over it; some, or all, may be removed.
    """
    broker = app.routing.owner(known_queue(app, name))
    with app.connection_for_write(broker) as connection:
        try:
            connection.ensure_connection(max_retries=1, timeout=4.0)
        except OperationalError as error:
            raise BrokerNotReached(str(error)) from error
        removed = int(app.amqp.queues[name](connection.default_channel).purge() or 0)
    if ledger is not None and removed:
        from services.core.history.search import note_purged  # noqa: PLC0415 - see peek_queue

        try:
            with ledger.writing() as session:
                note_purged(session, name, ledger.clock())
        except LedgerError as error:
            logger.warning("The history does not know that queue %s was purged: %s", name, error)
    return removed


def peek_queue(app: FleetCelery, ledger: Ledger, name: str, limit: int = 10) -> Peek:
    """Show what goes out next of a queue; no message is delivered by it, nor changes its place.

    RabbitMQ shows a message to nobody without delivering it, so there the history is asked.

    Raises:
        UnknownQueue: There is no such queue.
        redis.RedisError: The broker does not answer.
        LedgerUnavailable: The history does not answer.
    """
    broker = app.brokers[app.routing.owner(known_queue(app, name))]
    limit = min(limit, MOST_PEEKED)
    if broker.kind is BrokerKind.REDIS:
        with redis.Redis.from_url(broker.url.get_secret_value(), socket_timeout=4, socket_connect_timeout=4) as client:
            return Peek(name, "broker", tuple(_peeked(client, name, limit)))
    # Who lists queues, or pauses one, needs no database: importing SQLAlchemy takes a third of the command's time.
    from services.core.history.search import waiting_in  # noqa: PLC0415

    with ledger.reading() as session:
        seen = waiting_in(session, name, limit)
    tasks = [PeekedTask(task.id, task.name, None, task.sent_at, task.eta, task.args, task.kwargs) for task in seen]
    return Peek(name, "history", tuple(tasks))


def known_queue(app: FleetCelery, name: str) -> str:
    """Return the name of a queue of the table.

    Raises:
        UnknownQueue: There is no such queue; the message names close ones.
    """
    if name not in app.queue_table:
        raise UnknownQueue.named(name, app.queue_table)
    return name


def _asked_state(app: FleetCelery) -> tuple[Mapping[str, int] | None, Mapping[str, Pause] | None]:
    if not app.state.configured:
        return {}, {}
    state = app.state.apart()
    try:
        return type(app.delays)(state).by_queue(), PauseTable(state).paused()
    except (redis.RedisError, OSError) as error:
        logger.warning("Shared state can't be asked: %s", type(error).__name__)
        return None, None
    finally:
        state.close()


def _serving(app: FleetCelery, timeout: float) -> dict[str, int]:
    """Count the workers of each queue, of those that answer; queues of a broker that can't be asked are left out."""
    told = ask_fleet(app, "active_queues", {}, timeout=timeout)
    asked = {each.broker for each in told if not each.why_not}
    served = {name: 0 for name, owner in app.routing.owners.items() if owner in asked}
    for answers in told:
        for queues in answers.workers.values():
            for queue in queues if isinstance(queues, list) else ():
                if queue["name"] in served:  # another fleet, or another release, may share the broker
                    served[queue["name"]] += 1
    return served


def _with_depth(view: QueueView, depth: QueueDepth, served: Mapping[str, int] | None) -> QueueView:
    consumers = depth.consumers if depth.consumers is not None else (served or {}).get(view.name)
    return QueueView(
        view.name, view.broker, view.service, up=True, ready=depth.ready, unacknowledged=depth.unacknowledged,
        delayed=view.delayed, by_priority=dict(depth.by_priority), oldest_seconds=depth.oldest_seconds,
        consumers=consumers, paused=view.paused, pauses_known=view.pauses_known,
    )  # fmt: skip


def _peeked(client: Any, queue: str, limit: int) -> Iterable[PeekedTask]:
    """Read the lists of a queue from the end at which messages go out, the most urgent first."""
    left = limit
    for priority in reversed(PRIORITIES):
        if left <= 0:
            return
        for message in reversed(client.lrange(list_of(queue, priority), -left, -1)):
            left -= 1
            yield _read(message, priority)


def _read(message: bytes, priority: int) -> PeekedTask:
    try:
        told = json.loads(message) if len(message) <= MOST_BYTES else {}
        headers = told.get("headers") or {}
    except (ValueError, AttributeError):
        headers = {}
    text = {name: headers[name] if isinstance(headers.get(name), str) else None for name in (
        "id", "task", "eta", "argsrepr", "kwargsrepr")}  # fmt: skip
    published = headers.get(PUBLISHED_AT_HEADER)
    return PeekedTask(
        text["id"] or "", text["task"], priority, published if isinstance(published, int | float) else None,
        text["eta"], text["argsrepr"], text["kwargsrepr"],
    )  # fmt: skip
