"""What the command line says when a broker or the result store does not answer."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from shared.brokers import Broker, switchyard_brokers
from shared.errors import FleetError
from shared.settings import load_settings

ANSWER_WITHIN_SECONDS = 2.0
ADVICE = "Start the fleet with `yard up`, or see what is missing with `yard check`."


class OutOfReach(FleetError):
    """A broker or the result store does not answer."""


def require_fleet() -> None:
    """Look whether every broker and the result store listen, before anything is recorded.

    Raises:
        OutOfReach: One of them does not.  Nothing was recorded or sent.
    """
    settings = load_settings()
    for server in (*switchyard_brokers(settings).values(), Broker("results", settings.results_url)):
        try:
            socket.create_connection(server.place[1:3], timeout=ANSWER_WITHIN_SECONDS).close()
        except OSError as error:
            raise OutOfReach(f"{server} does not answer: {error}. Nothing was recorded. {ADVICE}") from error


@contextmanager
def publishing(what: str) -> Iterator[None]:
    """Turn the failure of a publish into one line that says what to do.

    Raises:
        OutOfReach: The broker or the result store refused or did not answer.
    """
    try:
        yield
    except (OperationalError, RedisError, RuntimeError) as error:  # Celery's result store raises RuntimeError
        raise OutOfReach(f"{what} {' '.join(str(error).split())} {ADVICE}") from error
