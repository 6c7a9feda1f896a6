"""Of many losses that are found together none is taken over by others while a slow result store takes one of them."""

from __future__ import annotations

import re
from uuid import uuid4

import pytest
import redis
from celery import states

from services.core.local.brokers import LocalRedis
from shared.brokers import Broker, Brokers
from shared.celery_app import FleetCelery
from shared.errors import LostAfterAcknowledgement
from shared.queues import QueueSpec, redis_queue
from shared.secret import SecretStr
from shared.worker.acknowledged import LEASE_SECONDS, LEASES, OWNERS, Acknowledged, Beginning, Holding
from shared.worker.keeper import RecordKeeper
from shared.worker.losses import AT_ONCE, LossWatch, keepsake
from tests.fixtures.proxy import proxy_to
from tests.fleet.inspection import wait_for

QUEUE = "losses"


@pytest.fixture
def server(tmp_path):
    with LocalRedis(tmp_path / "redis") as server:
        yield server


@pytest.fixture
def results(server):
    with proxy_to(server.port) as proxy:
        yield proxy


@pytest.fixture
def app(server, results):
    behind = re.sub(r":\d+/", f":{results.port}/", server.url(2))
    app = FleetCelery(
        "losses",
        brokers=Brokers([Broker("only", SecretStr(server.url()))]),
        queues=[QueueSpec(queue=redis_queue(QUEUE, "losses"), broker="only", service="losses")],
        defaults={"result_backend": behind},
        state=SecretStr(server.url(3)),
    )
    yield app
    app.close()


def request_of(task_id: str) -> dict:
    return {
        "id": task_id,
        "task": "losses.any",
        "args": [],
        "kwargs": {},
        "delivery_info": {"exchange": "losses", "routing_key": QUEUE},
    }


def test_all_that_were_found_are_kept_until_they_are_recorded(server, results, app, caplog):
    records = Acknowledged(app.state)
    lost = [str(uuid4()) for _ in range(AT_ONCE)]
    kept = {task_id: keepsake(request_of(task_id), broker="only", store_errors=True) for task_id in lost}
    records.begin([Beginning(Holding(f"{task_id}:1", "dead"), kept[task_id]) for task_id in lost])
    keeper = RecordKeeper(app.state, green=False)
    watch = LossWatch(app, records, keeper, "watching")
    with redis.Redis.from_url(server.url(3)) as state:

        def now() -> float:
            seconds, microseconds = state.time()
            return float(seconds + microseconds / 1e6)

        for message in state.hkeys(OWNERS):
            state.zadd(LEASES, {message: now()})
        results.freeze()
        keeper.start()
        watch.start()
        try:
            wait_for(lambda: set(state.hvals(OWNERS)) == {b"watching"}, "the losses to be found", 30)
            until = now() + LEASE_SECONDS
            wait_for(lambda: now() > until, "the time of a lease to pass", 2 * LEASE_SECONDS)
            tried = caplog.text.count("can't be recorded now")
            held = state.zcount(LEASES, now(), "+inf")
            assert held >= AT_ONCE - tried > AT_ONCE / 2
            results.thaw()
            wait_for(lambda: not state.exists(OWNERS), "all to be recorded", 90)
        finally:
            watch.end()
            keeper.close()
    for task_id in lost:
        meta = app.backend.get_task_meta(task_id)
        assert meta["status"] == states.FAILURE
        assert isinstance(meta["result"], LostAfterAcknowledgement)
