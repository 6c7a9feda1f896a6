"""Switchyard put to the test."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import kombu
import redis
from sqlalchemy.exc import SQLAlchemyError

from services.core.chaos.checker import Checker
from services.core.chaos.course import RABBITMQ, REDIS, Course, Run, Subject, proxied_fleet
from services.core.chaos.faults import Tell
from services.core.chaos.load import ClientLoad
from services.core.chaos.mail_folder import MailFolder
from services.core.chaos.report import Report
from services.core.chaos.schedule import Targets
from services.core.ledger.dead_letters import LetterFilter, count_letters
from services.core.ledger.engine import Ledger, open_ledger
from services.core.ledger.errors import LedgerError
from services.core.local.fleet import LocalFleet
from services.core.local.plan import switchyard_plan
from services.core.usecases.outbox_lag import outbox_lag
from shared.names import BrokerName
from shared.queues import QUEUES, Pool
from shared.storage import Storage
from shared.transports.claims import DEAD

HELPERS = ("beat", "relay", "observer", "recorder", "api")
NO_DATABASE = "The ledger is SQLite, a file: there is no database process to kill."

TARGETS = Targets(
    workers=[spec.name for spec in QUEUES],
    forking=[spec.name for spec in QUEUES if spec.pool is Pool.PREFORK],
    helpers=HELPERS,
    redis=REDIS,
    rabbitmq=RABBITMQ,
)
"""What can be struck in a fleet on one machine."""


def play(run: Run, home: Path, *, tell: Tell) -> Report:
    """Run a scenario below a folder; nothing is left running, whatever ends it.

    Args:
        run: What to run.
        home: Folder for everything that it writes; empty or missing.
        tell: Takes a line on what happens.

    Raises:
        LocalFleetError: The fleet can't be started.
    """
    with proxied_fleet(home, switchyard_plan, tell) as (fleet, proxies):
        return Course(run, _subject(run, fleet), proxies, tell).take()


def _subject(run: Run, fleet: LocalFleet) -> Subject:
    ledger = open_ledger(fleet.settings.ledger_url)
    mail = MailFolder(fleet.mail.folder)
    on_rabbitmq = [spec.name for spec in QUEUES if spec.broker == BrokerName.BATCH]
    return Subject(
        name=str(run.scenario),
        fleet=fleet,
        targets=TARGETS,
        load=lambda plan: ClientLoad(plan, fleet.home, run.seed),
        mail=mail,
        check=Checker(ledger, Storage(fleet.settings.storage), mail).check,
        behind={RABBITMQ: on_rabbitmq, REDIS: [spec.name for spec in QUEUES if spec.name not in on_rabbitmq]},
        in_flight={"beat": lambda: 0, "observer": lambda: 0, "relay": lambda: _outbox_entries(ledger)},
        dead_letters=lambda: _dead_letters(fleet, ledger),
        notes=(NO_DATABASE,),
    )


def _outbox_entries(ledger: Ledger) -> int:
    with suppress(LedgerError, SQLAlchemyError):
        return outbox_lag(ledger).entries
    return 0


def _dead_letters(fleet: LocalFleet, ledger: Ledger) -> int:
    """Count those that the ledger has, and those that still lie on the brokers."""
    with ledger.reading() as session:
        count = sum(count_letters(session, LetterFilter(replayed=None)).values())
    for database in (0, 1):
        with redis.Redis.from_url(fleet.redis.url(database), socket_timeout=5) as client:
            count += int(client.llen(DEAD))
    connection = kombu.Connection(fleet.rabbitmq.url, connect_timeout=5)
    with connection, suppress(connection.channel_errors):  # nothing was ever dropped
        count += connection.default_channel.queue_declare(DEAD, passive=True).message_count
    return count
