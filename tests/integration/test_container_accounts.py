"""What each account may do at a real Redis: give work to everybody, put back what others lost, take its own only."""

from __future__ import annotations

from contextlib import closing

import pytest
import redis
from redis.exceptions import NoPermissionError
from sqlalchemy import NullPool, create_engine, delete, make_url
from sqlalchemy.exc import ProgrammingError

from services.core.containers.accounts import ACCOUNTS, OBSERVER, OPERATOR, YARD, redis_users
from services.core.containers.secrets import make_secrets
from services.core.ledger.engine import open_ledger
from services.core.ledger.migrations import upgrade
from services.core.ledger.models import Job
from services.core.local.brokers import LocalRedis
from services.core.usecases.measures import ledger_measures
from shared.depths import NEXT_OF_LISTS
from shared.names import ServiceName
from shared.queues import QUEUES
from shared.secret import SecretStr
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


def test_the_observer_reads_the_ledger_and_changes_nothing(postgres_server, tmp_path):
    for reader in (*ACCOUNTS, "kept", "redis", "rabbitmq", "postgres", "grafana"):
        (tmp_path / reader).mkdir()
    make_secrets(tmp_path)
    url = make_url(postgres_server.new_database()).set(drivername="postgresql+psycopg")
    with create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool).connect() as superuser:
        for name in ("ledger.sql", "observer.sql", "observer.sql"):  # the last one again, as an upgrade does
            for line in (tmp_path / "postgres" / name).read_text().splitlines():
                superuser.exec_driver_sql(line)
    ledger_url, reading_url = (
        make_url((tmp_path / reader / "yard_database_url").read_text()).set(host=url.host, port=url.port)
        for reader in ("core", "observer")
    )
    upgrade(SecretStr(ledger_url.render_as_string(hide_password=False)))
    with closing(open_ledger(SecretStr(reading_url.render_as_string(hide_password=False)))) as ledger:
        assert "switchyard_jobs" in {measure.name for measure in ledger_measures(ledger)}
        with pytest.raises(ProgrammingError, match="permission denied"), ledger.writing() as session:
            session.execute(delete(Job))
