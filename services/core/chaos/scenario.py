"""Switchyard put to the test."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from services.core.chaos.amounts import Submission
from services.core.chaos.checker import Checker
from services.core.chaos.course import RABBITMQ, REDIS, Course, Run, Subject
from services.core.chaos.faults import Tell
from services.core.chaos.load import CLIENT, ClientLoad
from services.core.chaos.local_faults import LocalFaults
from services.core.chaos.mail_folder import MailFolder
from services.core.chaos.proxied_fleet import gave_up, lookers, proxied_fleet
from services.core.chaos.proxy import Proxy
from services.core.chaos.report import Report
from services.core.chaos.schedule import Targets
from services.core.chaos.waiting import count_dead_letters, count_outbox
from services.core.ledger.engine import open_ledger
from services.core.local.fleet import LocalFleet
from services.core.local.plan import switchyard_plan
from services.core.local.processes import ChildProcess
from shared.names import BrokerName
from shared.queues import QUEUES, Pool
from shared.settings import child_environment
from shared.storage import Storage

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
        return Course(run, _subject(run, fleet, proxies), tell).take()


def _subject(run: Run, fleet: LocalFleet, proxies: Mapping[str, Proxy]) -> Subject:
    ledger = open_ledger(fleet.settings.ledger_url)
    mail = MailFolder(fleet.mail.folder)
    on_rabbitmq = [spec.name for spec in QUEUES if spec.broker == BrokerName.BATCH]
    return Subject(
        name=str(run.scenario),
        targets=TARGETS,
        faults=LocalFaults(fleet.services, proxies=proxies, redis_url=fleet.redis.url(), seed=run.seed),
        load=lambda plan: _load(plan, fleet.home, run.seed),
        arrived=mail.read,
        check=Checker(ledger, Storage(fleet.settings.storage), mail).check,
        workers=lookers(fleet, TARGETS.workers),
        behind={RABBITMQ: on_rabbitmq, REDIS: [spec.name for spec in QUEUES if spec.name not in on_rabbitmq]},
        in_flight={**dict.fromkeys(HELPERS, lambda: 0), "relay": partial(count_outbox, ledger)},
        dead_letters=partial(count_dead_letters, ledger, fleet.settings),
        gave_up=partial(gave_up, fleet),
        notes=(NO_DATABASE,),
    )


def _load(plan: Sequence[Submission], home: Path, seed: int) -> ClientLoad:
    path = home / "plan.json"
    client = ChildProcess(
        "client",
        [sys.executable, "-m", CLIENT, str(path), str(seed)],
        log=home / "logs" / "client.log",
        environment=child_environment({"YARD_HOME": str(home)}, without=("YARD_",)),
    )
    return ClientLoad(plan, path, client)
