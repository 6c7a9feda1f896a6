"""What each account may do at a real Redis: give work to everybody, put back what others lost, take its own only."""

from __future__ import annotations

import pytest
import redis
from redis.exceptions import NoPermissionError

from services.core.containers.accounts import ACCOUNTS, OBSERVER, OPERATOR, YARD, redis_users
from services.core.local.brokers import LocalRedis
from shared.depths import NEXT_OF_LISTS
from shared.names import ServiceName
from shared.queues import QUEUES
from shared.transports.claims import DEAD, Claims
from shared.transports.once import MARKER, PUT_ONCE

PASSWORDS = {account: f"password of {account}" for account in ACCOUNTS}
PARTICIPANTS = [*(service.value for service in ServiceName), YARD]
QUEUE_NAMES = [spec.name for spec in QUEUES]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with LocalRedis(tmp_path_factory.mktemp("redis")) as server, redis.Redis.from_url(server.url()) as client:
        for line in redis_users(PASSWORDS).splitlines():
            _, name, *rules = line.split(" ")
            if name in ACCOUNTS:
                client.execute_command("ACL", "SETUSER", name, *whole(rules))
        yield server


def whole(rules: list[str]) -> list[str]:
    """Put a selector, which is in brackets and has spaces, together again."""
    joined = " ".join(rules)
    plain, bracket, selector = joined.partition("(")
    return [*plain.split(), *([bracket + selector] if bracket else [])]


@pytest.fixture
def client_of(server):
    made = []

    def client_of(account: str) -> redis.Redis:
        made.append(redis.Redis(port=server.port, username=account, password=PASSWORDS[account]))
        return made[-1]

    yield client_of
    for client in made:
        client.close()
    with redis.Redis.from_url(server.url()) as client:
        client.flushdb()


@pytest.mark.parametrize("queue", QUEUE_NAMES)
@pytest.mark.parametrize("account", PARTICIPANTS)
def test_everybody_publishes_now_and_later_and_puts_back_what_a_dead_process_held(client_of, account, queue):
    client, operator = client_of(account), client_of(OPERATOR)
    client.lpush(queue, b"now")
    assert client.eval(PUT_ONCE, 2, f"{MARKER}some-id", queue, b"later", 60) == 1
    held = Claims(operator).claim([queue], 2, "dead:", 0, 10.0)
    assert Claims(client).give_back([(claim.id, b"") for claim in reversed(held)], where="front") == 2
    assert operator.lrange(queue, 0, -1) == [b"later", b"now"]


@pytest.mark.parametrize("queue", QUEUE_NAMES)
@pytest.mark.parametrize("account", PARTICIPANTS)
def test_a_service_takes_from_its_own_queues_only(client_of, account, queue):
    client_of(OPERATOR).lpush(queue, b"work")
    if queue in {spec.name for spec in QUEUES if spec.service == account}:
        assert Claims(client_of(account)).claim([queue], 1, "me:", 0, 10.0)
    else:
        with pytest.raises(NoPermissionError):
            Claims(client_of(account)).claim([queue], 1, "me:", 0, 10.0)


@pytest.mark.parametrize("account", [OBSERVER, YARD])
def test_who_watches_sees_how_old_messages_are_and_how_many_are_dead(client_of, account):
    client_of(OPERATOR).lpush(QUEUE_NAMES[0], b'{"headers": {"published_at": 12.5, "eta": null}}')
    client_of(OPERATOR).lpush(DEAD, b"{}")
    watcher = client_of(account)
    assert watcher.eval_ro(NEXT_OF_LISTS, 1, QUEUE_NAMES[0]) == [[b"12.5", b""]]
    assert watcher.llen(DEAD) == 1


def test_the_observer_reads_no_dead_letter(client_of):
    with pytest.raises(NoPermissionError):
        client_of(OBSERVER).lrange(DEAD, 0, -1)


def test_the_observer_changes_nothing(client_of):
    with pytest.raises(NoPermissionError):
        client_of(OBSERVER).lpush(QUEUE_NAMES[0], b"work")
