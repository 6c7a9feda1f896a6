"""Where a broker's dead letters are taken out, a few at a time: read first, and removed when somebody else has them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from shared.brokers import BrokerKind
from shared.dead_letters import DeadLetter, read_letter
from shared.deadlines import at_most
from shared.queues import DEAD_LETTERS
from shared.transports.claims import DEAD

if TYPE_CHECKING:
    from shared.celery_app import FleetCelery

ANSWER_WITHIN_SECONDS = 5.0


class LetterBox:
    """The dead letters of one broker, over a connection of its own.

    What was taken and not removed is there again when the box is closed; on Redis it never left.  Any number of
    processes may take letters of one broker, and on Redis two may take the same.

    Every method may raise what the broker's client raises, within some seconds; close the box then.
    """

    def __init__(self, app: FleetCelery, broker: str) -> None:
        self._broker = broker
        with at_most(ANSWER_WITHIN_SECONDS):
            self._connection = app.connection_for_read(broker)
            self._channel: Any = self._connection.default_channel

    def take(self, most: int) -> Sequence[DeadLetter]:
        """Read the oldest letters that are not taken."""
        with at_most(ANSWER_WITHIN_SECONDS):
            return [letter if letter.broker else replace(letter, broker=self._broker) for letter in self._take(most)]

    def remove(self) -> None:
        """Remove for good what was taken last."""
        with at_most(ANSWER_WITHIN_SECONDS):
            self._remove()

    def close(self) -> None:
        """Close the connection, without waiting for an answer."""
        self._connection.collect()

    def _take(self, most: int) -> Sequence[DeadLetter]:
        raise NotImplementedError

    def _remove(self) -> None:
        raise NotImplementedError


class RedisLetterBox(LetterBox):
    """The list of a Redis broker, whose oldest letter is the last."""

    _taken: Sequence[bytes] = ()

    def _take(self, most: int) -> Sequence[DeadLetter]:
        self._taken = self._channel.client.lrange(DEAD, -most, -1)[::-1]
        return [DeadLetter.loads(kept) for kept in self._taken]

    def _remove(self) -> None:
        pipeline = self._channel.client.pipeline(transaction=False)
        for kept in self._taken:
            pipeline.lrem(DEAD, -1, kept)
        pipeline.execute()


class RabbitMQLetterBox(LetterBox):
    """The queue of a RabbitMQ broker; what is taken is nobody else's until it is removed or this box is closed."""

    _last: Any = None

    def __init__(self, app: FleetCelery, broker: str) -> None:
        super().__init__(app, broker)
        with at_most(ANSWER_WITHIN_SECONDS):
            DEAD_LETTERS.bind(self._channel).declare()

    def _take(self, most: int) -> Sequence[DeadLetter]:
        letters: list[DeadLetter] = []
        while len(letters) < most and (got := self._channel.basic_get(DEAD)) is not None:
            self._last = got
            letter = read_letter(self._channel.message_to_python(got), self._broker)
            letters.append(DeadLetter.loads(letter.dumps()))  # its headers may hold what JSON does not
        return letters

    def _remove(self) -> None:
        if self._last is not None:
            self._channel.basic_ack(self._last.delivery_tag, multiple=True)
            self._last = None


def open_letter_box(app: FleetCelery, broker: str) -> LetterBox:
    """Connect to a broker's dead letters.

    Args:
        app: The fleet.
        broker: Alias of the broker.
    """
    kinds: dict[BrokerKind, Callable[[FleetCelery, str], LetterBox]] = {
        BrokerKind.REDIS: RedisLetterBox,
        BrokerKind.RABBITMQ: RabbitMQLetterBox,
    }
    return kinds[app.brokers[broker].kind](app, broker)
