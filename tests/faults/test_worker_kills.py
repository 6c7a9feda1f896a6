"""Workers are killed under load, and nothing is lost: the short form of ``make test-chaos``."""

from __future__ import annotations

import pytest
from kombu import Connection

from tests.chaos.databases import own_database
from tests.chaos.setup import QUEUE, Setup
from tests.chaos.worker_kills import Kills, WorkerKills

AMOUNT = Kills(kills=10, tasks=1000)


@pytest.fixture(params=["redis", "classic", "quorum"])
def setup(request, brokers, tmp_path):
    """A queue that is gone afterwards, and a folder for records."""
    records = tmp_path / "records"
    records.mkdir()
    if request.param == "redis":
        with own_database(brokers["YARD_BROKER_DEFAULT_URL"]) as url:
            yield Setup(broker=url, records=records)
        return
    url = brokers["YARD_BROKER_BATCH_URL"]
    yield Setup(broker=url, records=records, quorum=request.param == "quorum")
    with Connection(url) as connection:
        connection.default_channel.queue_delete(QUEUE)


def test_nothing_is_lost_and_all_starts_again_soon(setup, tmp_path):
    report = WorkerKills("worker kills", setup, tmp_path, AMOUNT, tell=print).run().check()
    print("\n".join(report.lines()))
    assert report.kills >= AMOUNT.kills
    assert report.waits, "no kill found its victim at work"
    assert not report.broken, "\n".join([*report.lines(), *report.deaths])
