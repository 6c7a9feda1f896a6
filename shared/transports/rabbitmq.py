"""kombu's RabbitMQ transport, which knows what became of each message and waits for nothing without end.

What is added: every publish is confirmed, and one that reaches no queue raises; every answer of the server is awaited
for a limited time; a connection on which nothing arrives is noticed within some seconds.
"""

from __future__ import annotations

import selectors
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from socket import SHUT_RDWR
from struct import Struct
from time import monotonic
from typing import Any

from amqp import spec
from amqp.exceptions import ConnectionForced, MessageNacked, RecoverableConnectionError
from kombu.transport import pyamqp

from shared.deadlines import at_most, time_left
from shared.handover import message_leaves
from shared.transports.blocking import Blockable, Blocked
from shared.transports.confirmations import PublishesTogether
from shared.transports.decoding import PlainMessage
from shared.transports.loop_reader import LoopReader
from shared.transports.streams import CLOSE_WITHIN_SECONDS, LAST_BYTE, BoundedTCPStream, BoundedTLSStream
from shared.transports.unreadable import tolerant_frame_handler

ANSWER_WITHIN_SECONDS = 5.0
"""How long the server may take to answer a question; after that the connection counts as broken, and is dropped."""
CONNECT_WITHIN_SECONDS = 4.0
TRANSIENT = 1
"""The ``delivery_mode`` of a message that a restart of the server loses."""
REMOTE_CONTROL = ".pidbox"
"""How kombu's exchanges for commands and replies end.  A worker sends those from its loop."""
SILENCE_IN_HEARTBEATS = 1.2
"""After how many heartbeat intervals of silence a connection is broken.

The server sends something at least every half interval, so two of its heartbeats are missing then.
"""


ACK = Struct(">BHIHHQ?B")
"""A frame: kind, channel, size, class and method, delivery tag, whether it is for all before as well, last byte."""
METHOD, ACK_BYTES = 1, 13


class Message(PlainMessage, pyamqp.Message):
    """A message of RabbitMQ."""


class Channel(PublishesTogether, pyamqp.Channel):
    """Confirms every publish, and waits for answers for a limited time."""

    Message = Message
    _confirm_selected: bool

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._returned: Exception | None = None
        self._published = 0
        """The delivery tag of the last publish."""
        self._methods = {}
        super().__init__(*args, **kwargs)
        self.events["basic_return"].add(self._note_return)

    def basic_publish_confirm(
        self,
        message: Any,
        exchange: str = "",
        routing_key: str = "",
        mandatory: bool = False,
        immediate: bool = False,
        timeout: float | None = None,
        confirm_timeout: float | None = None,
    ) -> None:
        """Publish a message and wait until the server has it; of those published ``together``, nobody waits for each.

        A transient message that need not reach a queue (events, remote control) may be lost by its own declaration:
        nobody waits for it, least of all the loop of a worker.  Nor does remote control wait for a server that takes no
        messages now.

        Args:
            message: What ``prepare_message`` made.
            exchange: The exchange; empty for straight into the queue ``routing_key``.
            routing_key: The routing key.
            mandatory: Whether it is an error when no queue takes the message.
            immediate: Refused by every RabbitMQ since 3.0.
            timeout: Seconds for writing, and for the confirmation without ``confirm_timeout``.
            confirm_timeout: Seconds for the confirmation.

        Raises:
            amqp.ChannelError: The server refused the message, or no queue took a mandatory one.
            amqp.MessageNacked: The server could not take it.
            OSError: No connection, or no answer in time.
        """
        with self._patience(exchange):
            self._publish(message, exchange, routing_key, mandatory, immediate, timeout, confirm_timeout or timeout)

    basic_publish = basic_publish_confirm

    def settle_together(self, messages: Sequence[Any]) -> None:
        """Acknowledge messages, all with one write; each by itself took 15 µs and a system call.

        Raises:
            OSError, amqp.RecoverableConnectionError: The connection is gone, and RabbitMQ hands them out again.
        """
        if self.connection is None:
            raise RecoverableConnectionError("connection already closed")
        frames = [
            ACK.pack(METHOD, self.channel_id, ACK_BYTES, *spec.Basic.Ack, message.delivery_tag, False, LAST_BYTE)
            for message in messages
        ]
        self.connection.transport.write(b"".join(frames))
        self.connection.bytes_sent += len(frames)  # from which it knows that no heartbeat is due
        for message in messages:
            message._state = "ACK"  # noqa: SLF001 - as its own ``ack`` does

    def exchange_declare(self, exchange: str, *args: Any, **options: Any) -> Any:
        """Declare an exchange; that of remote control is not waited for where the server takes no messages now."""
        with self._patience(exchange):
            return super().exchange_declare(exchange, *args, **options)

    def wait(self, method: Any, callback: Any = None, timeout: float | None = None, returns_tuple: bool = False) -> Any:
        """Wait for an answer, for some seconds if nobody says how long."""
        if self.connection is None:
            raise RecoverableConnectionError("connection already closed")
        with self.connection.within(timeout):
            return super().wait(method, callback, None, returns_tuple)

    def close(self, *args: Any, **kwargs: Any) -> Any:
        """Close the channel, whether the server agrees or not."""
        with at_most(CLOSE_WITHIN_SECONDS):
            return super().close(*args, **kwargs)

    def _publish(
        self,
        message: Any,
        exchange: str,
        routing_key: str,
        mandatory: bool,
        immediate: bool,
        timeout: float | None,
        confirm_timeout: float | None,
    ) -> None:
        waits = mandatory or message.properties.get("delivery_mode") != TRANSIENT
        if not waits and self.connection.takes_nothing():
            return
        arguments = (0, exchange, routing_key, mandatory, immediate)
        self.write_gathered()
        self._send(
            lambda: self.send_method(spec.Basic.Publish, "Bssbb", arguments, message),
            timeout or ANSWER_WITHIN_SECONDS,
            waits=waits,
        )
        if waits and self._together is not None:
            self._together.expect(self._published, message.properties.get("correlation_id"))
        elif waits:
            self._settle(confirm_timeout or ANSWER_WITHIN_SECONDS)

    def _send(self, write: Callable[[], Any], timeout: float, *, waits: bool = True) -> None:
        """Write a message, when the server takes any."""
        if waits:
            self._select_confirms()
            self.connection.wait_until_unblocked()
        if self._together is None:
            self._returned = None
        with self.connection.transport.having_timeout(time_left(timeout)):
            message_leaves()
            write()
        self._published += 1

    def _select_confirms(self) -> None:
        if not self._confirm_selected:
            self.confirm_select()
            self._confirm_selected = True
            self._published = 0

    def _settle(self, timeout: float) -> None:
        """Wait until the server says that it has the message."""
        with at_most(timeout):
            self._wait_for_confirmation()
        self._raise_returned()

    def _patience(self, exchange: str) -> AbstractContextManager[None]:
        """Return a context in which a server that takes no messages is waited for; not if it is for remote control."""
        hurried = self.connection is not None and exchange.endswith(REMOTE_CONTROL)
        return self.connection.without_patience() if hurried else nullcontext()

    def _wait_for_confirmation(self) -> None:
        settled: list[Any] = []

        def note(method: Any, delivery_tag: int, *_: Any) -> None:
            if delivery_tag >= self._published:  # else that of a publish that was given up
                settled.append(method)

        while not settled:
            self._wait_for_settling(note)
        if spec.Basic.Nack in settled:
            raise MessageNacked("RabbitMQ could not take the message")

    def _wait_for_settling(self, callback: Any = None) -> None:
        """Wait until the server says of a message that it has it, or can't take it."""
        try:
            self.wait([spec.Basic.Ack, spec.Basic.Nack], callback=callback)
        except TimeoutError:
            if self.connection and self.connection.blocked:
                raise Blocked from None
            raise

    def _raise_returned(self) -> None:
        if self._returned is not None:
            # The queue is gone.  Whoever publishes next declares it again.
            self.connection.client.declared_entities.clear()
            raise self._returned

    def _note_return(self, error: Exception, *_: Any) -> None:
        # Raised only after the confirmation, which follows: it must not be taken for that of the next message.
        self._returned = error


class Connection(Blockable, pyamqp.Connection):
    """Keeps the deadline of the caller, and notices when the server has fallen silent."""

    Channel = Channel
    _ticked = 0.0
    _silence: ConnectionForced | None = None
    """Why the connection was given up, if it was for silence."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{"frame_handler": tolerant_frame_handler, **options})

    def connect(self, callback: Any = None) -> Any:
        """Connect and log in, within four seconds; in gevent Celery takes the usual time limit away."""
        with at_most(self.connect_timeout or CONNECT_WITHIN_SECONDS):
            return super().connect(callback)

    def Transport(  # noqa: N802
        self,
        host: str,
        connect_timeout: float | None,
        ssl: Any = False,
        read_timeout: float | None = None,
        write_timeout: float | None = None,
        **options: Any,
    ) -> Any:
        """Return the stream to a server, not yet connected."""
        stream = BoundedTLSStream if ssl else BoundedTCPStream
        return stream(
            host,
            connect_timeout=connect_timeout,
            ssl=ssl,
            read_timeout=read_timeout,
            write_timeout=write_timeout,
            **options,
        )

    def blocking_read(self, timeout: float | None = None) -> Any:
        """Read one frame, within the deadline of the caller."""
        frame = self.transport.frame_at_hand()
        if frame is not None:
            return self.on_inbound_frame(frame)
        try:
            return super().blocking_read(time_left(timeout))
        except OSError:
            if self._silence is not None:
                raise self._silence from None
            raise

    def wait(self, method: Any, callback: Any = None, timeout: float | None = None, returns_tuple: bool = False) -> Any:
        """Wait for an answer, for some seconds if nobody says how long."""
        with self.within(timeout):
            return super().wait(method, callback, None, returns_tuple)

    @contextmanager
    def within(self, timeout: float | None) -> Iterator[None]:
        """Bound a wait for an answer; a connection without one is dropped, so that the next question costs no time."""
        try:
            with at_most(timeout or ANSWER_WITHIN_SECONDS):
                yield
        except TimeoutError:
            if not self.blocked:
                self.collect()
            raise

    def close(self, *args: Any, **kwargs: Any) -> Any:
        """Close the connection, whether the server agrees or not."""
        with at_most(CLOSE_WITHIN_SECONDS):
            return super().close(*args, **kwargs)

    def heartbeat_tick(self, rate: float = 2) -> None:
        """Send a heartbeat where one is due, and look whether the server still sends any.

        Raises:
            amqp.ConnectionForced: Nothing has arrived for more than an interval.
        """
        now = monotonic()
        if now - self._ticked > self.heartbeat or self._has_unread():
            # This process did not run, or does something else: a worker that stops reads nothing while tasks end.
            self.last_heartbeat_received = now
        self._ticked = now
        super().heartbeat_tick(rate)
        silent = monotonic() - self.last_heartbeat_received
        if self.heartbeat and silent > SILENCE_IN_HEARTBEATS * self.heartbeat:
            self._silence = ConnectionForced(f"RabbitMQ has been silent for {silent:.0f} s")
            with suppress(OSError, AttributeError):  # it may be closed already
                self.transport.sock.shutdown(SHUT_RDWR)  # a greenlet waits for it to say something, and is told now
            raise self._silence

    def _has_unread(self) -> bool:
        """Tell whether the server has said something that nobody has read yet."""
        if self._transport is None or self._transport.sock is None:
            return False
        with selectors.DefaultSelector() as selector, suppress(OSError, ValueError):  # it is closed meanwhile
            selector.register(self._transport.sock, selectors.EVENT_READ)
            return bool(selector.select(0))
        return False


class Transport(pyamqp.Transport):
    """Chosen by ``FleetCelery`` for every ``amqp://`` broker."""

    Connection = Connection

    def register_with_event_loop(self, connection: Any, loop: Any) -> None:
        """Have a loop read what comes."""
        connection.transport.raise_on_initial_eintr = True
        LoopReader(connection, loop).start()


class TLSTransport(Transport, pyamqp.SSLTransport):
    """Chosen by ``FleetCelery`` for every ``amqps://`` broker."""
