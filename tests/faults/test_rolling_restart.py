"""A rolling restart under load: four workers are replaced one after the other, and nothing is lost or done again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

import pytest
from kombu import Connection

from shared.celery_app import FleetCelery
from shared.queues import AFTER_GRACE_SECONDS, GRACE_WITHOUT_LIMIT_SECONDS
from tests.chaos.app import fleet
from tests.chaos.databases import own_database
from tests.chaos.records import ENDED, STARTED, Records
from tests.chaos.setup import QUEUE, Setup
from tests.chaos.tasks import WORK
from tests.chaos.workers import FLEET, Crew
from tests.fleet.inspection import wait_for

WORKERS = 4
TASK_SECONDS = 0.3
EVERY_SECONDS = 0.05
"""A task each: three quarters of what four workers with two slots can do."""


@pytest.fixture(params=["redis", "rabbitmq"])
def setup(request, brokers, tmp_path):
    """A queue that is gone afterwards, and a folder for records."""
    records = tmp_path / "records"
    records.mkdir()
    if request.param == "redis":
        with own_database(brokers["YARD_BROKER_DEFAULT_URL"]) as url:
            yield Setup(broker=url, records=records, state=brokers["YARD_STATE_URL"])
        return
    url = brokers["YARD_BROKER_BATCH_URL"]
    yield Setup(broker=url, records=records, state=brokers["YARD_STATE_URL"])
    with Connection(url) as connection:
        connection.default_channel.queue_delete(QUEUE)


@contextmanager
def load(publisher: FleetCelery) -> Iterator[list[str]]:
    """Publish tasks all the time; yields the ids of those that were accepted."""
    accepted: list[str] = []
    over = Event()

    def publish() -> None:
        while not over.wait(EVERY_SECONDS):
            accepted.append(publisher.send_task(WORK, (TASK_SECONDS,), queue=QUEUE).id)

    thread = Thread(target=publish)
    thread.start()
    try:
        yield accepted
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_four_workers_are_rolled_under_load_and_nothing_is_lost_or_repeated(setup, tmp_path, capsys, pool):
    records = Records(setup.records)

    def works(name: str) -> bool:
        records.read()
        return name in records.seen

    def wait_until_it_works(name: str) -> None:
        wait_for(lambda: works(name), f"{name} to work", 60)

    with Crew(FLEET, setup, tmp_path, (f"--pool={pool}", "--concurrency=2")) as crew, fleet(setup) as publisher:
        first = [crew.add() for _ in range(WORKERS)]
        with load(publisher) as accepted:
            for name in first:
                wait_until_it_works(name)
            for name in first:
                worker = crew.workers.pop(name)
                worker.stop(GRACE_WITHOUT_LIMIT_SECONDS + AFTER_GRACE_SECONDS)
                assert worker.exit_code == 0, worker.log_tail()
                wait_until_it_works(crew.add())
        wait_for(lambda: works(first[0]) and records.ended >= set(accepted), "all to end", 60)
        crew.stop()
    records.read()
    lost, repeated = len(set(accepted) - records.ended), records.repeated(accepted)
    interrupted = sum(records.count(STARTED, task) != records.count(ENDED, task) for task in accepted)
    with capsys.disabled():
        print(f"\n{pool}: {WORKERS} workers rolled, {len(accepted)} tasks accepted: lost {lost}, repeated {repeated}")
    assert (lost, repeated, interrupted) == (0, 0, 0)
    assert not crew.deaths
