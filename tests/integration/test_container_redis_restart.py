"""What Redis in containers kept is there after a restart: with its own accounts, and with its own way to keep it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import redis

from services.core.containers.accounts import ACCOUNTS, OPERATOR, redis_users
from services.core.local.ports import free_ports
from shared.names import ServiceName
from tests.fleet.inspection import wait_for

PASSWORDS = {account: f"password of {account}" for account in ACCOUNTS}
WRITE_TWO = "redis.call('SET', KEYS[1], 'kept') redis.call('LPUSH', KEYS[2], 'kept')"
KEYS = ("fleet.one", "fleet.two")
REFUSED = redis.AuthenticationError


@contextmanager
def running(folder, port: int) -> Iterator[None]:
    """Run a Redis with the accounts and the append-only file of a folder."""
    program = shutil.which("redis-server") or pytest.fail("redis-server is not installed")
    words = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--aclfile", str(folder / "users.acl")]
    words += ["--appendonly", "yes", "--appendfsync", "always", "--save", ""]
    with (
        (folder / "log").open("ab") as log,
        subprocess.Popen([program, *words], stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT) as server,
    ):
        try:
            wait_for(lambda: answers(port), "Redis")
            yield
        finally:
            server.kill()


def answers(port: int) -> bool:
    try:
        with client_of(OPERATOR, port) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def client_of(account: str, port: int) -> redis.Redis:
    return redis.Redis(port=port, username=account, password=PASSWORDS[account], decode_responses=True)


@pytest.fixture
def port(tmp_path) -> int:
    (tmp_path / "users.acl").write_text(redis_users(PASSWORDS))
    return free_ports(1)[0]


def test_what_a_script_or_a_transaction_wrote_outlives_a_restart(tmp_path, port):
    """Redis replays its file as the user ``default``, and asks for each transaction whether that user may do it."""
    with running(tmp_path, port), client_of(ServiceName.CORE, port) as client:
        client.eval(WRITE_TWO, 2, *KEYS)
        client.pipeline(transaction=True).set("fleet.three", "kept").set("fleet.four", "kept").execute()
    with running(tmp_path, port), client_of(OPERATOR, port) as client:
        assert sorted(client.keys()) == ["fleet.four", "fleet.one", "fleet.three", "fleet.two"]


@pytest.mark.parametrize("password", [None, "", "any"])
def test_nobody_logs_in_as_the_user_default(tmp_path, port, password):
    with running(tmp_path, port), redis.Redis(port=port, password=password) as client, pytest.raises(REFUSED):
        client.ping()
