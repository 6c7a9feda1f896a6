"""Asks the workers of every broker, and tells of each broker whether it could be asked at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from kombu.exceptions import OperationalError

from shared.brokers import Broker
from shared.celery_app import FleetCelery
from shared.control import CONNECT_WITHIN_SECONDS


@dataclass(frozen=True, slots=True)
class Answers:
    """What the workers of one broker answered."""

    broker: str
    """Its alias."""
    why_not: str | None = None
    """Why it could not be asked; ``None`` when it was."""
    workers: Mapping[str, Any] = field(default_factory=dict)
    """The answer of each worker that gave one, by node name."""


def ask_fleet(
    app: FleetCelery,
    command: str,
    arguments: Mapping[str, Any],
    *,
    destination: Sequence[str] = (),
    brokers: Iterable[str] = (),
    timeout: float = 1.0,
) -> list[Answers]:
    """Send a remote control command to the workers of every broker, all at once.

    ``app.control`` does the same and merges the replies; here it is known of each from which broker it came, and two
    workers of one name on two brokers are told apart.

    Args:
        app: Any app of the fleet.
        command: Its name, as Celery's ``inspect`` and ``control`` have it.
        arguments: Its arguments.
        destination: Node names of the workers that are meant; all by default.
        brokers: Aliases of the brokers that are meant; all by default.
        timeout: Seconds to wait for answers.

    Returns:
        For each broker the answers of its workers, or why it could not be asked; the others were asked all the same.

    Raises:
        UnknownBroker: An alias is not of this fleet.  Nothing was sent.
    """
    meant = [app.brokers.find(alias) for alias in brokers] or list(app.brokers.values())

    def ask(broker: Broker) -> Answers:
        return _ask(app, broker, command, dict(arguments), list(destination) or None, timeout)

    with ThreadPoolExecutor(len(meant)) as pool:
        return list(pool.map(ask, meant))


def _ask(
    app: FleetCelery,
    broker: Broker,
    command: str,
    arguments: dict[str, Any],
    destination: list[str] | None,
    timeout: float,
) -> Answers:
    connection = app.connection_for_write(broker.alias)
    try:
        with connection:
            connection.ensure_connection(max_retries=1, timeout=CONNECT_WITHIN_SECONDS)
            replies = app.control.broadcast(
                command, arguments, destination=destination, connection=connection, reply=True, timeout=timeout
            )
    except (OperationalError, *connection.connection_errors) as error:
        return Answers(broker.alias, why_not=" ".join(str(error).split()) or type(error).__name__)
    return Answers(broker.alias, workers={node: answer for reply in replies for node, answer in reply.items()})
