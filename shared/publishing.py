"""The one gate for publishing: every message of the fleet leaves through ``FleetAMQP``.

Celery publishes everything (``delay``, canvas, callbacks, retries, beat) through ``Celery.send_task``, which asks
a router for the queue before it takes a producer.  The router here notes the owner of that queue in a
``Publication``, which lives for that one ``send_task``; the pools here then hand out a producer of that broker.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from time import time
from typing import TYPE_CHECKING, Any

from celery.app.amqp import AMQP, Queues
from celery.app.routes import Router
from celery.utils.collections import lpmerge
from kombu import Connection, Queue
from kombu.pools import ProducerPool
from kombu.utils.objects import cached_property

from shared.brokers import DEFAULT_VHOST, Broker, BrokerKind, Place
from shared.canvas.carriers import routed_as
from shared.canvas.stamps import unpack
from shared.chords.dispatching import headers_of_dispatch
from shared.delays.entry import Delay
from shared.errors import InvalidTable, UnknownQueue
from shared.message_size import MeasuringProducer
from shared.prepared.learning import Sample
from shared.priorities import checked
from shared.producer_pools import ProducerPools
from shared.producers import FleetProducer
from shared.sent_events import HIDDEN, SentEvents, place_in_workflow
from shared.steps import published_or_given_back
from shared.tallies import SENT
from shared.versions import VERSION_HEADER

if TYPE_CHECKING:
    from shared.celery_app import FleetCelery

PUBLISHED_AT_HEADER = "published_at"
"""Message header with the time of publishing, in seconds since the epoch; waiting times are counted from it."""


class Publication:
    """One publish on its way: its queue, the owner of that, and its delay, once they are known."""

    __slots__ = ("broker", "delay", "queue", "sample")

    def __init__(self, broker: Broker | None = None) -> None:
        self.broker = broker
        self.queue: str | None = None
        self.delay: Delay | None = None
        self.sample: Sample | None = None
        """The message, once it is published, of which others of its kind are learnt."""


_publication: ContextVar[Publication | None] = ContextVar("publication", default=None)


@contextmanager
def publication(broker: Broker | None = None) -> Iterator[Publication]:
    """Open a publication for the length of a ``with`` block, of this thread or greenlet alone."""
    cell = Publication(broker)
    token = _publication.set(cell)
    try:
        yield cell
    finally:
        _publication.reset(token)


def broker_of_publication() -> Broker | None:
    """Return the broker of the publish that is under way here, if there is one and it is known."""
    cell = _publication.get()
    return cell.broker if cell else None


def queue_of_publication() -> str | None:
    """Return the queue of the publish that is under way here, if there is one and it is known."""
    cell = _publication.get()
    return cell.queue if cell else None


def delay_of_publication() -> Delay | None:
    """Return the delay of the publish that is under way here, if it has one and has to wait in shared state."""
    cell = _publication.get()
    return cell.delay if cell else None


class FleetQueues(Queues):
    """The queues of all brokers, for routing; those of the app's own service are consumed by default."""

    def __missing__(self, name: str) -> Queue:
        raise UnknownQueue.named(name, self)

    def add(self, queue: Queue | str, **options: Any) -> Queue:
        """Add a declared queue; a bare name declares nothing and is refused.

        Raises:
            UnknownQueue: The queue is not in the table.
        """
        if isinstance(queue, Queue):
            return super().add(queue, **options)
        return self[queue]

    def consume_by_default(self, names: tuple[str, ...]) -> None:
        """Say which queues a worker without ``-Q`` serves."""
        self._default_consume_from = {name: self[name] for name in names}


class FleetRouter(Router):
    """Resolves a task and its options to a queue, and notes the owner of the queue for this publish.

    The options of the call win over ``task_routes``, those over the task table, that over the default queue.
    """

    app: FleetCelery

    def route(
        self,
        options: dict[str, Any],
        name: str,
        args: Any = (),
        kwargs: Mapping[str, Any] | None = None,
        task_type: Any = None,
    ) -> dict[str, Any]:
        """Return the options of a publish with its queue and priority filled in, and without ``broker``.

        Raises:
            UnknownQueue, UnknownBroker, MisroutedQueue, InvalidPriority: Nothing was sent.
        """
        name = routed_as(name, kwargs)
        # A copy: Celery also asks with what becomes the arguments of ``celery.chord_unlock``.
        options = self.expand_destination(dict(options))
        route = self.lookup_route(name, args, kwargs or {}, options, task_type)
        if route:
            options = lpmerge(self.expand_destination(route), options)
        if not (options.get("queue") or options.get("exchange")):
            options["queue"] = self.queues[self.app.routing.queue(name) or self.app.conf.task_default_queue]
        if options.get("exchange"):
            self._resolve_exchange(options)
        named = options.pop("broker", None)
        alias = self.app.brokers.find(named).alias if named else None
        owner = self.app.routing.destination(options["queue"].name, alias)
        priority = options.get("priority")
        options["priority"] = self._default_priority(name) if priority is None else checked(priority)
        if (cell := _publication.get()) is not None:
            cell.broker, cell.queue = self.app.brokers[owner], str(options["queue"].name)
        return options

    def expand_destination(self, route: str | dict[str, Any]) -> dict[str, Any]:
        """Replace the name of a queue by its declaration.

        Raises:
            UnknownQueue: The queue is not in the table.  Nothing was sent.
        """
        options = {"queue": route} if isinstance(route, str) else route
        queue = options.pop("queue", None)
        if queue:
            options["queue"] = self.queues[queue.name if isinstance(queue, Queue) else queue]
        return options

    def _resolve_exchange(self, options: dict[str, Any]) -> None:
        """Find the queue that an exchange and a routing key lead to, as a retry may name them.

        A direct exchange is left out once its queue is known, for a message goes straight to a queue.
        """
        exchange = getattr(options["exchange"], "name", options["exchange"])
        routing_key = options.get("routing_key")
        bound = [queue for queue in self.queues.values() if queue.exchange.name == exchange]
        if options.get("queue") and routing_key is None:
            bound = [queue for queue in bound if queue.name == options["queue"].name]
        elif any(queue.exchange.type == "direct" for queue in bound):
            bound = [queue for queue in bound if queue.routing_key == routing_key]
        owners = {self.app.routing.owner(queue.name) for queue in bound}
        if len(owners) != 1:
            raise UnknownQueue.named(f"{exchange}/{routing_key}", self.queues)
        options["queue"] = bound[0]
        if bound[0].exchange.type == "direct":
            del options["exchange"]
            options.pop("routing_key", None)

    def _default_priority(self, task: str) -> int:
        parent = self.app.current_worker_task if self.app.conf.task_inherit_parent_priority else None
        inherited = (parent.request.delivery_info or {}).get("priority") if parent else None
        return self.app.routing.priority(task) if inherited is None else checked(inherited)


class FleetConnection(Connection):
    """A kombu connection that shows itself as ``redis://…`` also where the transport is one of ours."""

    @property
    def qos_semantics_matches_spec(self) -> bool:
        """Whether a worker may raise its prefetch for one consumer alone, which no RabbitMQ since 3.3 allows.

        kombu 5.7 says that RabbitMQ 4 does (kombu#2481, kombu#2665).  A worker there would stop taking messages
        once it holds as many with a countdown as it has processes.
        """
        matches: bool = self.transport.driver_type != "amqp" and super().qos_semantics_matches_spec
        return matches

    def as_uri(self, *args: Any, **options: Any) -> str:
        """Return the URL, with stars for its password unless it is asked for."""
        uri: str = super().as_uri(*args, **options)
        scheme, _, rest = uri.partition("://")
        return f"{self.transport.driver_type}{'s' if self.ssl else ''}://{rest}" if ":" in scheme else uri


class FleetAMQP(AMQP):
    """Celery's AMQP with the fleet's queues and a producer pool for each broker."""

    app: FleetCelery
    queues_cls = FleetQueues
    Connection = FleetConnection
    Producer = FleetProducer

    def __init__(self, app: FleetCelery) -> None:
        super().__init__(app)
        self.pools = ProducerPools(app)

    @cached_property
    def queues(self) -> FleetQueues:
        """The queues of the table, by name.

        Raises:
            InvalidTable: ``task_queues`` was set beside the table.
        """
        if self.app.conf.task_queues:
            raise InvalidTable("Queues are declared in the queue table given to FleetCelery, not in task_queues.")
        queues: FleetQueues = self.Queues([spec.queue for spec in self.app.queue_table.values()])
        queues.consume_by_default(self.app.default_worker_queues)
        return queues

    def Router(self, queues: Any = None, create_missing: bool | None = None) -> FleetRouter:  # noqa: ARG002, N802
        """Return the router of the fleet; queues are never made on the fly."""
        return FleetRouter(self.routes, queues or self.queues, create_missing=False, app=self.app)

    def origin(self, delivery_info: Mapping[str, Any]) -> tuple[str, str]:
        """Return the names of the queue and the broker that a delivery came from.

        A message that was published straight to its queue bears the name of the queue as its routing key.
        """
        routing_key = str(delivery_info.get("routing_key"))
        if delivery_info.get("exchange") and routing_key not in self.queues:
            routing_key = next(
                (queue.name for queue in self.queues.values() if queue.routing_key == routing_key),
                routing_key,
            )
        return routing_key, self.app.broker.alias

    @property
    def producer_pool(self) -> ProducerPool:
        """The pool of the broker that the publish under way goes to, else of the app's own broker."""
        return self.pools[broker_of_publication() or self.app.broker]

    publisher_pool = producer_pool

    def as_task_v2(
        self,
        task_id: str,
        name: str,
        args: Any = None,
        kwargs: Any = None,
        countdown: float | None = None,
        eta: Any = None,
        *rest: Any,
        **options: Any,
    ) -> Any:
        """Return a message; its eta is that of the publish under way where ``send_task`` was not told of it."""
        if delay := delay_of_publication():
            countdown, eta = delay.countdown, delay.eta
        if self.app.hides_arguments(name):
            options.update(argsrepr=HIDDEN, kwargsrepr=HIDDEN)
        message = super().as_task_v2(task_id, name, args, kwargs, countdown, eta, *rest, **options)
        unpack(message.headers)
        return message

    @cached_property
    def _event_dispatcher(self) -> SentEvents:
        """What takes events about publishes; Celery's own sends each by itself, and with the producer at hand."""
        return SentEvents(self.app, lambda: (broker_of_publication() or self.app.broker).alias)

    def _retry_publish(self, publish: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """Publish a chain step or callback; a priority that nobody inherits leaves a chord's body its own."""
        of_a_task = "parent_id" in options  # and no body of a chord, which has a way of its own
        if options.get("priority", True) is None:
            del options["priority"]
        with published_or_given_back() if of_a_task else nullcontext():
            return super()._retry_publish(publish, *args, **options)

    def _refuse_unenforceable(self, task: str, hard: float | None, soft: float | None) -> None:
        """Refuse time limits of a call that its queue can't enforce; of a task's own, the worker warns."""
        spec, own = self.app.queue_table.get(str(queue_of_publication())), self.app.tasks.get(task)
        if spec is not None:
            spec.refuse_unenforceable(
                None if soft == getattr(own, "soft_time_limit", None) else soft,
                None if hard == getattr(own, "time_limit", None) else hard,
            )

    def _create_task_sender(self) -> Callable[..., Any]:
        send = super()._create_task_sender()

        def send_task_message(producer: Any, name: str, message: Any, **options: Any) -> Any:
            if any(limits := message.headers.get("timelimit") or ()):
                self._refuse_unenforceable(name, *limits)
            now, broker = time(), broker_of_publication()
            given = {**(options.get("headers") or {}), **headers_of_dispatch(name)}
            options["headers"] = {VERSION_HEADER: self.app.message_version, **given, PUBLISHED_AT_HEADER: now}
            if broker is not None and broker.kind is BrokerKind.RABBITMQ and delay_of_publication() is None:
                options["timestamp"] = int(now)  # by which RabbitMQ tells how old the head of a queue is
            options.pop("expiration", None)  # a worker records that it expired; RabbitMQ would tell nobody
            if message.sent_event is not None:
                message.sent_event.update(place_in_workflow(message.headers, message.body))
            options["mandatory"] = True  # work that reaches no queue is an error; RabbitMQ alone can tell
            measuring = MeasuringProducer(self.app, producer, name)
            sent = send(measuring, name, message, **options)
            if (cell := _publication.get()) is not None and broker is not None and cell.delay is None:
                cell.sample = Sample(
                    name, broker, str(cell.queue), message.headers, message.body, measuring.given, message.sent_event
                )
            if broker is not None:
                SENT.count(name, str(queue_of_publication()), broker.alias)
            return sent

        return send_task_message


def place_of(connection: Connection) -> Place:
    """Return where a kombu connection leads, to compare it with a broker's place."""
    found = connection.info()
    kind = BrokerKind(connection.transport.driver_type)
    return Place(
        kind, found["hostname"] or "localhost", found["port"], str(found["virtual_host"] or DEFAULT_VHOST[kind])
    )
