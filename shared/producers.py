"""Producers that hand a message over within a bounded time, or say whether it may have arrived."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import sleep
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self

import redis
from amqp.exceptions import ChannelError, MessageNacked
from kombu import Producer
from kombu.exceptions import BatchPublishError, EncodeError, OperationalError

from shared.brokers import Broker
from shared.deadlines import time_left
from shared.errors import PublishError
from shared.handover import Handover, hand_over, leaving
from shared.transports.blocking import Blocked
from shared.transports.confirmations import PublishesTogether

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

    @classmethod
    def by(cls, broker: str, error: BaseException, sent: Literal["no", "unknown"]) -> Self:
        """Make the error for a broker, named as it may be shown to anyone."""
        outcome = "Nothing was sent." if sent == "no" else "The message may have arrived all the same."
        reason = str(error).rstrip(".") or type(error).__name__
        failed = cls(f"Broker {broker} did not take the message: {reason}. {outcome}")
        failed.sent = sent
        return failed


class RetryPolicy(NamedTuple):
    """How often a publish is tried again, and after how many seconds: what ``task_publish_retry_policy`` says."""

    max_retries: int | None = 3
    interval_start: float = 0.2
    interval_step: float = 0.2
    interval_max: float = 1.0
    errors: tuple[type[BaseException], ...] = ()
    """Errors after which to try again, whatever they mean."""

    @classmethod
    def of(cls, policy: Mapping[str, Any] | None) -> RetryPolicy:
        """Read a policy as Celery and kombu write it; what they know beyond this is ignored."""
        policy = dict(policy or {})
        known = {name: value for name, value in policy.items() if name in cls._fields}
        return cls(**known, errors=tuple(policy.get("retry_errors") or ()))

    def pauses(self) -> Iterator[float]:
        """Yield how long to wait before each retry."""
        pause, retries = self.interval_start, 0
        while self.max_retries is None or retries < self.max_retries:
            yield min(pause, self.interval_max)
            pause += self.interval_step
            retries += 1


NO_RETRY = RetryPolicy(max_retries=0)


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

    def publish_together(
        self, messages: Sequence[tuple[Any, dict[str, Any]]], retry_policy: Mapping[str, Any] | None = None
    ) -> None:
        """Publish encoded messages, each with its options, and wait once for the broker to have them all.

        Where the connection breaks all are sent again, so that some may arrive twice.

        Raises:
            PublishFailed: ``sent`` says whether any of the messages may have arrived.
        """

        def publish_all() -> None:
            with self._together():
                for body, options in messages:
                    super(FleetProducer, self).publish(body, **options)

        self._hand_over(publish_all, RetryPolicy.of(retry_policy), ())

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

    @contextmanager
    def _together(self) -> Iterator[None]:
        """Send what is published in a ``with`` block with one answer of the broker."""
        if isinstance(self.channel, PublishesTogether):
            with self.channel.together():
                yield
            return
        try:
            with self.batch() as batch:
                yield
                with leaving():
                    batch.flush()
        except BatchPublishError as error:
            raise error.__cause__ or error from error

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


def waited(pause: float | None) -> bool:
    """Wait before a retry; tell whether there is time for one."""
    if pause is None:
        return False
    try:
        left = time_left()
    except TimeoutError:
        return False
    if left is not None and left <= pause:
        return False
    sleep(pause)
    return True


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
