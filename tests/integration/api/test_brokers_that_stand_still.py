"""Brokers that stand still hold up those who ask them, and nobody else; what dies over one is not done twice."""

from __future__ import annotations

import select
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from functools import partial
from urllib.parse import urlsplit

import httpx2
import pytest
import redis
from sqlalchemy import update

from services.core.ledger.models import IdempotentRequest
from services.core.local.brokers import LocalRedis
from services.core.usecases.acting import CLAIM_LASTS, list_audit
from services.core.usecases.api_keys import Role
from tests.fixtures.api import ApiProcess, problem
from tests.fleet.inspection import wait_for

MANY = 60
"""More than the API has threads."""
QUEUE = "core.maintenance"
ENTRY = "remove dead letters that are too old"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRedis]:
    with LocalRedis(tmp_path_factory.mktemp("redis")) as started:
        yield started


@pytest.fixture
def client(server: LocalRedis) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(server.url(0), decode_responses=True) as found:
        found.flushall()
        yield found


def api_over(server: LocalRedis, home) -> ApiProcess:
    return ApiProcess(
        home, broker_default_url=server.url(0), broker_critical_url=server.url(1), results_url=server.url(2),
        state_url=server.url(3),
    )  # fmt: skip


@pytest.fixture(scope="module")
def api(server: LocalRedis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiProcess]:
    with api_over(server, tmp_path_factory.mktemp("api") / "home") as started:
        yield started


@contextmanager
def standing_still(server: LocalRedis) -> Iterator[None]:
    [process] = server.processes
    process.pause()
    try:
        yield
    finally:
        process.resume()


def send(api: ApiProcess, stack: ExitStack, path: str) -> socket.socket:
    """Send a request, and leave its answer for later."""
    parts = urlsplit(api.url)
    connection = stack.enter_context(socket.create_connection((parts.hostname, parts.port), timeout=60))
    key = api.keys[Role.OPERATOR].secret
    request = f"GET {path} HTTP/1.1\r\nHost: api\r\nConnection: close\r\nAuthorization: Bearer {key}\r\n\r\n"
    connection.sendall(request.encode())
    return connection


def waiting(client: redis.Redis) -> int:
    """How many messages the queue has, of whatever priority."""
    return sum(client.llen(key) for key in client.scan_iter(f"{QUEUE}*"))


def answer_of(connection: socket.socket) -> str:
    return b"".join(iter(lambda: connection.recv(65536), b"")).decode()


@pytest.mark.parametrize("path", [f"/api/v1/queues/{QUEUE}/peek", "/api/v1/queues", "/api/v1/schedule"])
def test_all_else_is_served_while_brokers_stand_still(server, client, api, path):
    with ExitStack() as stack:
        with standing_still(server):
            asking = [send(api, stack, path) for _ in range(MANY)]
            for other in ("/healthz", "/readyz", "/api/v1/jobs", "/api/v1/overview"):
                assert api.get(other).status_code == 200
            early = select.select(asking, [], [], 0)[0]
            assert all("urn:switchyard:problem:brokers-busy" in answer_of(each) for each in early)
            late = [answer_of(each) for each in asking if each not in early]
            assert late
            assert all(answer.startswith("HTTP/1.1 ") for answer in late)
        wait_for(lambda: api.get(path).status_code == 200, "the broker to be asked again")


def test_who_asks_for_a_fresh_answer_gets_one(client, api):
    before = api.get("/api/v1/queues").json()
    client.lpush(QUEUE, "{}", "{}")
    after = api.get("/api/v1/queues?fresh=1").json()
    [queue] = [entry for entry in after["entries"] if entry["name"] == QUEUE]
    assert queue["ready"] == 2
    assert after["sampled_at"] > before["sampled_at"]
    assert after["every_seconds"] > 0


@pytest.mark.parametrize("act", [f"queues/{QUEUE}/purge", f"schedule/{ENTRY}/run"])
def test_what_the_api_died_over_is_not_done_again(server, client, tmp_path, act):
    client.lpush(QUEUE, "{}")
    api = api_over(server, tmp_path / "home")
    ask = partial(api.post, f"/api/v1/{act}", key="once")
    with api, ThreadPoolExecutor(1) as pool, standing_still(server):
        asked = pool.submit(ask)
        wait_for(lambda: list_audit(api.ledger, limit=1).entries, "the act to be under way")
        api.end(signal.SIGKILL)
        with pytest.raises(httpx2.TransportError):
            asked.result(60)
    client.lpush(QUEUE, "{}")
    before = waiting(client)
    api.log = tmp_path / "second.log"
    with api:
        problem(ask(), 409, "under-way")
        long_ago = api.ledger.clock() - CLAIM_LASTS - timedelta(seconds=1)
        with api.ledger.writing() as session:
            session.execute(update(IdempotentRequest).values(claimed_at=long_ago))
        for _ in range(2):
            problem(ask(), 409, "outcome-unknown")
        assert waiting(client) == before
        assert api.post(f"/api/v1/{act}", key="anew").status_code in (200, 202)
        assert waiting(client) != before
    died, anew = list_audit(api.ledger, limit=10).entries[-1], list_audit(api.ledger, limit=1).entries[0]
    assert (died["status"], anew["status"] // 100) == (None, 2)


def test_what_was_not_begun_may_be_asked_for_again(api):
    """The broker of the files is not reached at all."""
    for _ in range(2):
        problem(api.post("/api/v1/queues/file.images/purge", key="later"), 503, "broker-out-of-reach")


def test_keys_are_counted_over_all_processes(server, client, tmp_path):
    rate = {"api_requests_per_second": 0.05, "state_url": server.url(3)}
    with (
        ApiProcess(tmp_path / "one", **rate) as one,
        ApiProcess(tmp_path / "two", database_url=f"sqlite:///{tmp_path / 'one' / 'ledger.db'}", **rate) as two,
    ):
        two.keys = one.keys
        assert one.get("/api/v1/me").status_code == 200
        refused = two.get("/api/v1/me")
        problem(refused, 429, "too-many-requests")
        assert 1 <= int(refused.headers["retry-after"]) <= 20
        assert two.get("/api/v1/me", Role.VIEWER).status_code == 200
