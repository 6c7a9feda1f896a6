"""Producers that hand a message over within a bounded time, or say whether it may have arrived."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Literal, Self

import redis
from amqp.exceptions import ChannelError, MessageNacked
from kombu import Producer
from kombu.connection import is_connection
from kombu.exceptions import EncodeError, OperationalError
from kombu.utils.functional import ChannelPromise

from shared.brokers import Broker
from shared.errors import PublishError
from shared.handover import Handover, hand_over, may_have_left, message_leaves
from shared.prepared.message import Wired
from shared.retry_policies import NO_RETRY, RetryPolicy, waited
from shared.transports.batches import Batch, Message
from shared.transports.blocking import Blocked
from shared.transports.confirmations import NOTHING_AHEAD, Ahead, PublishesTogether

REFUSED = (ChannelError, redis.ResponseError, redis.exceptions.BusyLoadingError)
"""Answers of a broker that mean: I have not got it."""
FINAL = (ChannelError, redis.ResponseError, MessageNacked)
"""Answers that stay the same when one asks again at once."""
KEEPS_CONNECTION = (*FINAL, Blocked)
"""What does not come from the connection.  Where RabbitMQ is blocked, the next publish need not even be sent."""


class PublishFailed(PublishError, OperationalError):
    """The broker did not take the message in time; ``sent`` says whether it may have arrived all the same.

    It is one of kombu's ``OperationalError``, which is what Celery raises.
    """

    unsent: tuple[str, ...] = ()
    """Of messages that were published together: the ids of the tasks whose message is not at the broker."""
    unknown: tuple[str, ...] = ()
    """And of those whose message may be; the broker has all others."""

    @classmethod
    def by(cls, broker: str, error: BaseException, sent: Literal["no", "unknown"]) -> Self:
        """Make the error for a broker, named as it may be shown to anyone."""
        outcome = "Nothing was sent." if sent == "no" else "The message may have arrived all the same."
        reason = str(error).rstrip(".") or type(error).__name__
        failed = cls(f"Broker {broker} did not take the message: {reason}. {outcome}")
        failed.sent = sent
        return failed

    def add(self, other: PublishFailed) -> None:
        """Tell of the messages of another batch, too, that failed after this one."""
        self.unsent += other.unsent
        self.unknown += other.unknown


class FleetProducer(Producer):
    """A kombu producer whose ``publish`` returns within some seconds, whatever the broker does."""

    broker: Broker | None = None

    def publish(
        self,
        body: Any,
        *args: Any,
        retry: bool = False,
        retry_policy: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Any:
        """Publish a message, as ``kombu.Producer.publish`` does.

        Where nothing was sent, or the connection broke, it is tried again as the policy says.  A broker that does
        not answer gets no second message.  A pooled connection that broke while it lay idle costs no retry.

        Raises:
            PublishFailed: ``sent`` says whether the message may have arrived.
        """
        policy = RetryPolicy.of(retry_policy) if retry else NO_RETRY
        return self._hand_over(lambda: super(FleetProducer, self).publish(body, *args, **options), policy, REFUSED)

    def publish_prepared(self, message: Wired) -> None:
        """Publish a prepared message, as ``publish`` does.

        Raises:
            PublishFailed: ``sent`` says whether the message may have arrived.
        """
        self._hand_over(lambda: self.put_prepared(message), message.prepared.policy, REFUSED)

    def put_prepared(self, message: Wired) -> None:
        """Put a prepared message on its channel, once; its queue is declared on this connection if it was not yet."""
        channel = self.channel
        declared = channel.connection.client.declared_entities
        for identity, queue in message.prepared.declare:
            # kombu finds that out as well, having computed the hash of the queue, which takes 10 µs.
            if identity not in declared:
                self.maybe_declare(queue)
        channel.put_prepared(message)

    def publish_ahead(self, messages: Sequence[Message]) -> Ahead:
        """Write messages, and wait for nothing, where the broker confirms; ``publish_together`` has to follow.

        Never raises: what goes wrong does so again there, or is mended.
        """
        with hand_over():
            try:
                self._connect()
                channel = self.channel
                if not isinstance(channel, PublishesTogether):
                    return NOTHING_AHEAD
                with channel.ahead() as batch:
                    for message in messages:
                        self._put(message)
            except self._errors(NO_RETRY) as error:
                self._drop_connection(error)
                return Ahead(may_have_left=may_have_left())
        return Ahead(channel, batch, may_have_left=True)

    def publish_together(
        self,
        messages: Sequence[Message],
        retry_policy: Mapping[str, Any] | None = None,
        ahead: Ahead = NOTHING_AHEAD,
    ) -> None:
        """Publish messages, and wait once for the broker to have them all.

        Where the connection breaks those are sent again of which the broker has said nothing, so that some may arrive
        twice.

        Args:
            messages: In their order.
            retry_policy: As ``task_publish_retry_policy`` has it.
            ahead: What ``publish_ahead`` has returned, when they were written by that.

        Raises:
            PublishFailed: It says which messages are not at the broker, and which may be; it has all others.
        """
        left = list(messages)
        unknown = {message.id for message in left if ahead.may_have_left and ahead.channel is None}

        def publish_all() -> None:
            nonlocal left, ahead
            (channel, batch, _), ahead = ahead, NOTHING_AHEAD
            told: Batch = batch or Batch()
            try:
                if channel is not None and batch is not None:
                    message_leaves()  # it has; this is another hand-over
                    channel.settle(batch)
                    return
                with self.channel.together() as told:
                    for message in left:
                        self._put(message)
            except BaseException:
                if may_have_left():
                    unknown.update(message.id for number, message in enumerate(left) if number not in told.refused)
                raise
            finally:
                left = [message for number, message in enumerate(left) if number not in told.taken]

        try:
            self._hand_over(publish_all, RetryPolicy.of(retry_policy), ())
        except PublishFailed as failed:
            failed.unsent = tuple(message.id for message in left if message.id not in unknown)
            failed.unknown = tuple(message.id for message in left if message.id in unknown)
            raise

    def _put(self, message: Message) -> None:
        if isinstance(message, Wired):
            self.put_prepared(message)
        else:
            super().publish(message.body, **message.options)

    def _hand_over(
        self, publish: Callable[[], Any], policy: RetryPolicy, refusals: tuple[type[BaseException], ...]
    ) -> Any:
        """Publish, within some seconds and as often as the policy says.

        Args:
            publish: What may be tried again.
            policy: How often.
            refusals: The errors that mean that nothing has arrived.
        """
        pauses = policy.pauses()
        lay_idle = self._is_connected()
        with hand_over() as handover:
            while True:
                sent_before = handover.sent
                try:
                    self._connect()
                    return publish()
                except self._errors(policy) as error:
                    if isinstance(error, refusals):
                        handover.sent = sent_before
                    self._drop_connection(error)
                    pause = 0.0 if lay_idle and is_broken(error) else next(pauses, None)
                    if not self._may_retry(error, handover, policy) or not waited(pause):
                        raise PublishFailed.by(self._name(), error, handover.sent) from error
                    lay_idle = False

    def revive(self, channel: Any) -> None:
        """Use another connection or channel.

        kombu makes a copy of its exchange for that, 15 µs at each publish; the nameless one belongs to no channel.
        """
        if self.exchange.name or not is_connection(channel):
            super().revive(channel)
        else:
            self.__connection__ = channel
            self._channel = ChannelPromise(lambda: channel.default_channel)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, (PublishFailed, EncodeError)):
            # What was broken of its connection is dropped already; what can't be encoded has not touched it.
            self.release()
        else:
            super().__exit__(kind, error, trace)

    def _is_connected(self) -> bool:
        return bool(self.__connection__ and self.__connection__.connected)

    def _connect(self) -> None:
        if self.__connection__ and not self.__connection__.connected:
            self.__connection__.ensure_connection(max_retries=0, reraise_as_library_errors=False)

    def _errors(self, policy: RetryPolicy) -> tuple[type[BaseException], ...]:
        connection = self.__connection__ or self.connection
        known = (
            OperationalError,
            *connection.connection_errors,
            *connection.channel_errors,
            *connection.recoverable_connection_errors,
            *policy.errors,
        )
        return tuple(kind for kind in known if kind is not KeyError)

    def _drop_connection(self, error: BaseException) -> None:
        """Leave a connection that is of no use; the next attempt makes a new one."""
        connection = self.__connection__
        if connection and not isinstance(error, KEEPS_CONNECTION):
            connection.collect()
            self.revive(connection)

    def _may_retry(self, error: BaseException, handover: Handover, policy: RetryPolicy) -> bool:
        if isinstance(error, policy.errors):
            return True
        if self.__connection__ is None or isinstance(error, KEEPS_CONNECTION):
            return False
        return handover.sent == "no" or is_broken(error)

    def _name(self) -> str:
        return str(self.broker or (self.__connection__ or self.connection).as_uri())


def is_broken(error: BaseException) -> bool:
    """Tell whether an error means a connection that is gone, and no server that keeps us waiting.

    A time limit that the system itself keeps (``ETIMEDOUT``: nobody acknowledges our packets) has an error number.
    """
    if isinstance(error, TimeoutError):
        return error.errno is not None
    return not isinstance(error, (*FINAL, redis.TimeoutError))


@contextmanager
def as_publish_failed(broker: Callable[[], Broker]) -> Iterator[None]:
    """Bound a publish with all that belongs to it, and turn what Celery raises of a broker into ``PublishFailed``."""
    with hand_over() as handover:
        try:
            yield
        except PublishFailed:
            raise
        except OperationalError as error:
            raise PublishFailed.by(str(broker()), error, handover.sent) from error
