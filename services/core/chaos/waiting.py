"""What waits to be published, and what was taken out of circulation."""

from __future__ import annotations

from contextlib import suppress

import kombu
import redis
from sqlalchemy.exc import SQLAlchemyError

from services.core.ledger.dead_letters import LetterFilter, count_letters
from services.core.ledger.engine import Ledger
from services.core.ledger.errors import LedgerError
from services.core.usecases.outbox_lag import outbox_lag
from shared.settings import FleetSettings
from shared.transports.claims import DEAD

ANSWER_SECONDS = 5


def count_outbox(ledger: Ledger) -> int:
    """Count what is accepted and not published yet; 0 while the database is out of reach."""
    with suppress(LedgerError, SQLAlchemyError):
        return outbox_lag(ledger).entries
    return 0


def count_dead_letters(ledger: Ledger, settings: FleetSettings) -> int:
    """Count those that the ledger has, and those that still lie on the brokers.

    Raises:
        LedgerUnavailable: The database is out of reach.
    """
    with ledger.reading() as session:
        count = sum(count_letters(session, LetterFilter(replayed=None)).values())
    for url in (settings.broker_default_url, settings.broker_critical_url):
        with redis.Redis.from_url(url.get_secret_value(), socket_timeout=ANSWER_SECONDS) as client:
            count += int(client.llen(DEAD))
    connection = kombu.Connection(settings.broker_batch_url.get_secret_value(), connect_timeout=ANSWER_SECONDS)
    with connection, suppress(connection.channel_errors):  # nothing was ever dropped
        count += connection.default_channel.queue_declare(DEAD, passive=True).message_count
    return count
