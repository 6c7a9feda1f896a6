"""One message that waits, with everything that is needed to publish it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple, Self, TypedDict

from celery.utils.time import maybe_iso8601, maybe_make_aware
from kombu.utils.json import dumps, loads

from shared.errors import PublishError

LEAST_SECONDS = 0.05
"""A shorter delay is not worth the way through shared state."""


class Delay(NamedTuple):
    """What the caller said: a countdown, or else an eta."""

    countdown: float | None
    eta: datetime | str | None
    due: float
    """In seconds since the epoch by the clock of the caller, to whom an eta refers."""

    @classmethod
    def of(cls, countdown: float | None, eta: datetime | str | None, timezone: Any) -> Self | None:
        """Return the delay of a call, or ``None`` when its task may run at once.

        Args:
            countdown: Seconds from now.  Wins over an eta, as in Celery.
            eta: A time, or the same in ISO 8601.
            timezone: What an eta without one is in.

        Raises:
            PublishError: The eta is no time.  Nothing was sent.
        """
        now = datetime.now(UTC).timestamp()
        if countdown:
            due = now + countdown
        elif eta:
            due = _timestamp(eta, timezone)
        else:
            return None
        return cls(countdown or None, None if countdown else eta, due) if due > now + LEAST_SECONDS else None


AT_ONCE = Delay(None, None, 0.0)
"""The delay of what is due whatever any clock says, and goes through shared state all the same."""


def _timestamp(eta: datetime | str, timezone: Any) -> float:
    try:
        return float(maybe_make_aware(maybe_iso8601(eta), timezone).timestamp())
    except (AttributeError, TypeError, ValueError, OverflowError) as error:
        raise PublishError(f"An eta is a datetime, or text in ISO 8601, and not {eta!r}; nothing was sent.") from error


class Message(TypedDict):
    """What ``kombu.Producer.publish`` takes; the body is serialised and compressed already."""

    body: str | bytes
    content_type: str
    content_encoding: str
    exchange: str
    routing_key: str
    delivery_mode: int | None
    headers: dict[str, Any]
    properties: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """A message on its way to a queue."""

    id: str
    """Begins with the id of the task, and is new for each publish of it."""
    broker: str
    """The alias of the queue's owner when it was published."""
    queue: str
    declare: tuple[str, ...]
    """The queues that must exist before it is published."""
    message: Message

    @property
    def task_id(self) -> str:
        """The id of the task."""
        return str(self.message["properties"]["correlation_id"])

    @property
    def task(self) -> str:
        """The name of the task."""
        return str(self.headers["task"])

    @property
    def headers(self) -> Mapping[str, Any]:
        """The headers of the message."""
        return self.message["headers"]

    def encode(self) -> bytes:
        """Return the entry as it lies in the table; the scripts there read the first line of it.

        Raises:
            TypeError: A header or property can't be written as JSON.
        """
        content = {"id": self.id, "declare": list(self.declare), "message": self.message}
        return f"{self.broker} {self.queue}\n{dumps(content)}".encode()

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        """Return the entry of what lay in the table.

        Raises:
            ValueError: It is none, or one of another release that this one can't read.
        """
        try:
            where, content = raw.decode().split("\n", 1)
            broker, queue = where.split(" ", 1)
            fields = loads(content)
            return cls(fields["id"], broker, queue, tuple(fields["declare"]), fields["message"])
        except (KeyError, TypeError, UnicodeDecodeError) as error:
            raise ValueError(f"This is no delayed message: {error!r}") from error
