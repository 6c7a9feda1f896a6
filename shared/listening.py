"""The events of all workers as one stream, whichever broker they come over."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from queue import Empty, SimpleQueue
from threading import Event, Thread
from time import monotonic
from types import TracebackType
from typing import Any, NamedTuple, Self

from shared.brokers import Broker
from shared.celery_app import FleetCelery
from shared.control import CONNECT_WITHIN_SECONDS

TRY_AGAIN_SECONDS = 1.0
HEARTBEAT_EVERY_SECONDS = 1.0
"""How often a connection is asked whether a heartbeat is due."""


class FleetEvent(NamedTuple):
    """One event of Celery's, with the broker that it came over."""

    broker: str
    """Its alias."""
    event: Mapping[str, Any]
    """As Celery sends it: ``type``, ``timestamp``, ``hostname`` and what belongs to the type."""


class Lost(NamedTuple):
    """A broker that events can't be received from, until it is ``Found``."""

    broker: str
    why: str


class Found(NamedTuple):
    """A broker that events are received from now on."""

    broker: str


class Listening:
    """Receives Celery's events over every broker; each has a thread, which connects anew for as long as it takes.

    Use it in a ``with`` block.  Celery's events are for the eye: what happens while a broker is lost is not told later.

    Args:
        app: Any app of the fleet.
        brokers: Aliases of the brokers that are meant; all by default.

    Raises:
        UnknownBroker: An alias is not of this fleet.
    """

    def __init__(self, app: FleetCelery, brokers: Iterable[str] = ()) -> None:
        self._app = app
        self._brokers = [app.brokers.find(alias) for alias in brokers] or list(app.brokers.values())
        self._news: SimpleQueue[FleetEvent | Lost | Found] = SimpleQueue()
        self._receivers: dict[str, Any] = {}
        """Of each broker, while events are received."""
        self._ended = Event()

    def __enter__(self) -> Self:
        for broker in self._brokers:
            Thread(target=self._listen, args=(broker,), name=f"events-{broker.alias}", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        for receiver in list(self._receivers.values()):
            receiver.should_stop = True

    def news(self, seconds: float | None = None) -> Iterator[FleetEvent | Lost | Found]:
        """Yield what is received, as it arrives.

        Args:
            seconds: For how long; without end by default.
        """
        deadline = None if seconds is None else monotonic() + seconds
        while True:
            try:
                yield self._news.get(timeout=None if deadline is None else max(0.0, deadline - monotonic()))
            except Empty:
                return

    def _listen(self, broker: Broker) -> None:
        told = False
        while not self._ended.is_set():
            try:
                self._receive(broker)
            except Exception as error:  # noqa: BLE001 - whatever a driver raises: this broker tells nothing now
                if self._receivers.pop(broker.alias, None) or not told:
                    self._news.put(Lost(broker.alias, " ".join(str(error).split()) or type(error).__name__))
                told = True
                self._ended.wait(TRY_AGAIN_SECONDS)

    def _receive(self, broker: Broker) -> None:
        """Pass events on until the connection breaks or nobody listens any more."""
        # With heartbeats a silent connection is noticed.
        with self._app.connection_for_read(broker.alias, heartbeat=self._app.conf.broker_heartbeat) as connection:
            connection.ensure_connection(max_retries=1, timeout=CONNECT_WITHIN_SECONDS)
            receiver = self._app.events.Receiver(
                connection, handlers={"*": lambda event: self._news.put(FleetEvent(broker.alias, event))}
            )
            self._receivers[broker.alias] = receiver
            receiver.should_stop = self._ended.is_set()
            receiver.connect_max_retries = 1  # it has a connection of its own, and would try in silence for ever
            receiver.on_consume_ready = self._told_of(broker, receiver)
            receiver.capture()

    def _told_of(self, broker: Broker, receiver: Any) -> Callable[..., None]:
        """Tell that a broker is heard once its queue is there, and not when there is a connection."""
        ready = receiver.on_consume_ready

        def ready_and_found(connection: Any, *args: Any, **options: Any) -> None:
            # kombu sends heartbeats while nothing arrives, so none where events never pause.
            receiver.on_iteration = _at_most_each(HEARTBEAT_EVERY_SECONDS, connection.heartbeat_check)
            ready(connection, *args, **options)
            self._news.put(Found(broker.alias))

        return ready_and_found


def _at_most_each(seconds: float, act: Callable[[], Any]) -> Callable[[], None]:
    last = monotonic()

    def act_if_due() -> None:
        nonlocal last
        if monotonic() - last >= seconds:
            last = monotonic()
            act()

    return act_if_due
