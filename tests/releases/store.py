"""Store what this release leaves to the next one: ``python -m tests.releases.store [FOLDER]``.

It starts brokers of its own and a ledger, gives the fleet work of every kind, starts no worker, and writes down what
lies there then.  Run it once for each release, and add what it wrote to the repository; what is there already stays.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import sys
import tempfile
import tomllib
from functools import partial
from pathlib import Path
from typing import Any

import redis
from celery import Signature
from sqlalchemy import delete, select

from services.core import workflows
from services.core.ledger.engine import Ledger, open_ledger
from services.core.ledger.migrations import upgrade
from services.core.ledger.models import OutboxEntry
from services.core.local.fleet import LocalFleet
from services.core.local.specs import Plan
from services.core.usecases.release_chunks import release_chunks
from services.core.usecases.submit_campaign import submit_campaign
from services.core.usecases.submit_files import submit_files
from services.core.usecases.submit_mail import submit_mail
from services.email_worker.claims import Claims, Settled
from shared.dead_letters import DeadLetter, Reason, keep
from shared.names import BrokerName, TaskName
from shared.settings import FleetSettings, load_settings
from shared.storage import Storage
from tests.releases import dumps

HERE = Path(__file__).parent
TEN_YEARS_SECONDS = 10 * 365 * 86400
MAINTENANCE = (
    TaskName.CORE_ADVANCE_STALLED,
    TaskName.CORE_CLEAN_ARTEFACTS,
    TaskName.CORE_CLEAN_LEDGER,
)


class Work:
    """Gives the fleet of this release work, and remembers what has to become of it."""

    def __init__(self, ledger: Ledger, settings: FleetSettings, folder: Path) -> None:
        from services.core.app import app  # noqa: PLC0415 - its settings are read here

        self.app = app
        self.ends: dict[str, str] = {}
        """How each job, campaign and mail has to end, by id."""
        self.mails: dict[str, int] = {}
        """How many mails each address has to get."""
        self.to_replay: list[str] = []
        """Ids of tasks whose dead letters are replayed."""
        self._ledger, self._settings, self._folder = ledger, settings, folder

    def mail(self, name: str, end: str = "sent", mails: int = 1) -> str:
        """Accept a mail; its entry lies in the outbox."""
        address = f"{name}@example.org" if end == "sent" else name
        accepted = submit_mail(self._ledger, address, "welcome", {"name": name}, publish=workflows.mail_to_publish)
        mail_id = str(accepted["key"])
        self.ends[mail_id] = end
        if end == "sent":
            self.mails[address] = mails
        return mail_id

    def job(self, name: str) -> None:
        """Accept a job of two files."""
        folder = self._folder / name
        folder.mkdir()
        for number in range(2):
            (folder / f"{number}.txt").write_text(f"Text {number} of {name}.\n")
        notify = f"{name}@example.org"
        publish = partial(workflows.job_to_publish, notify=True)
        submitted = submit_files(self._ledger, Storage(self._settings.storage), [folder], notify, publish=publish)
        self.ends[submitted.job_id] = "done"
        self.mails[notify] = 1

    def campaign(self, name: str) -> str:
        """Accept a campaign of three recipients, in two chunks."""
        addresses = [f"{name}-{number}@example.org" for number in range(3)]
        path = self._folder / f"{name}.csv"
        rows = "".join(f"{address},{address},Headline,Story\n" for address in addresses)
        path.write_text(f"address,name,headline,story\n{rows}")
        publish = workflows.campaign_to_publish
        submit_campaign(self._ledger, path, "newsletter", name, chunk_size=2, publish=publish)
        self.ends[name] = "done"
        self.mails |= dict.fromkeys(addresses, 1)
        return name

    def publish(self, **options: Any) -> None:
        """Publish what lies in the outbox, as a relay does."""
        with self._ledger.writing() as session:
            for entry in session.scalars(select(OutboxEntry).order_by(OutboxEntry.id)):
                Signature.from_dict(entry.signature, app=self.app).apply_async(**options)
            session.execute(delete(OutboxEntry))

    def dead_letters(self) -> None:
        """Keep a mail on Redis as a dead letter, and on RabbitMQ a task that nobody knows."""
        mail_id = self.mail("dead-letter")
        self.publish()
        url = self._settings.broker_critical_url.get_secret_value()
        with redis.Redis.from_url(url) as client:
            [raw] = [
                raw for key in client.scan_iter() if client.type(key) == b"list" for raw in client.lrange(key, 0, -1)
            ]
            client.flushdb()
        message = json.loads(raw)
        letter = DeadLetter(
            id=mail_id,
            task=TaskName.EMAIL_SEND.value,
            queue="email.critical",
            broker=BrokerName.CRITICAL.value,
            reason=Reason.BAD_MESSAGE,
            detail="Kept for the stored release.",
            headers=message["headers"],
            properties=message["properties"],
            content_type=message["content-type"],
            content_encoding=message["content-encoding"],
            body=base64.b64decode(message["body"]),
        )
        keep(self.app, self.app.brokers[BrokerName.CRITICAL], letter)
        self.to_replay.append(mail_id)
        unknown = DeadLetter(
            id="unknown", task="no.such.task", queue="email.bulk", broker=BrokerName.BATCH.value,
            reason=Reason.UNKNOWN_TASK, detail="Kept for the stored release.", body=b"[[], {}, {}]",
        )  # fmt: skip
        keep(self.app, self.app.brokers[BrokerName.BATCH], unknown)

    def all(self) -> None:
        """Leave work of every kind: in the brokers, in shared state, in the outbox."""
        self.dead_letters()
        self.mail("published")
        self.mail("no address", end="failed")
        claimed = self.mail("claimed", mails=0)
        Claims(self._settings.state_url).settle(claimed, Settled("sent"))
        self.job("published-job")
        self.campaign("published-campaign")
        self.publish()
        self.mail("delayed")
        self.publish(countdown=2)
        release_chunks(
            self._ledger,
            self.campaign("released-campaign"),
            10,
            publish=partial(workflows.chunk_to_publish, ask_dns=False),
        )
        self.publish()
        for task in MAINTENANCE:
            self.app.send_task(task.value)
        self.mail("accepted")
        self.job("accepted-job")
        self.campaign("accepted-campaign")


def store(target: Path) -> None:
    """Write what this release leaves to the next one into a new folder."""
    target.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as folder:
        home, files = Path(folder) / "home", Path(folder) / "files"
        files.mkdir()
        os.environ |= {"YARD_HOME": str(home), "YARD_CHORD_DEADLINE_SECONDS": str(TEN_YEARS_SECONDS)}
        with LocalFleet(home, lambda _: Plan(processes=())) as fleet:
            load_settings.cache_clear()
            settings = fleet.settings
            upgrade(settings.ledger_url)
            ledger = open_ledger(settings.ledger_url)
            work = Work(ledger, settings, files)
            work.all()
            ledger.close()
            dumps.dump_redis([fleet.redis.url(number) for number in dumps.DATABASES], target / "redis.json")
            dumps.dump_rabbitmq(fleet.rabbitmq.url, target / "rabbitmq.json")
            dumps.dump_ledger(home / "ledger.db", target / "ledger.sql")
            work.app.close()
        shutil.copytree(settings.storage, target / "storage")
    expected = {"ends": work.ends, "mails": work.mails, "to_replay": work.to_replay}
    (target / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")


def main(arguments: list[str]) -> None:
    """Store this release under its version, or in the folder that is named."""
    version = tomllib.loads((HERE.parents[1] / "pyproject.toml").read_text())["project"]["version"]
    target = Path(arguments[0]) if arguments else HERE / version
    if target.exists():
        raise SystemExit(f"{target} is stored already; a release is stored once.")
    store(target)
    print(f"Stored in {target}; add it to the repository.")


if __name__ == "__main__":
    main(sys.argv[1:])
