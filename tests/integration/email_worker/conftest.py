"""A relay, certificates and a Redis of its own for the tests of sending mail."""

from __future__ import annotations

import socket
import ssl
import subprocess
import time

import pytest
import redis
import trustme

from services.email_worker.claims import Claims
from services.email_worker.sending import Mailer
from shared.secret import SecretStr
from shared.settings import FleetSettings
from tests.integration.email_worker.relay_server import RelayServer


@pytest.fixture(scope="session")
def authority():
    return trustme.CA()


@pytest.fixture(scope="session")
def server_tls(authority):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.fixture(scope="session")
def ca_file(authority, tmp_path_factory):
    path = tmp_path_factory.mktemp("authority") / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return path


@pytest.fixture
def relay_server():
    with RelayServer() as server:
        yield server


@pytest.fixture(scope="session")
def redis_process(tmp_path_factory):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path_factory.mktemp("redis")
    command = ["redis-server", "--port", str(port), "--save", "", "--bind", "127.0.0.1", "--dir", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        process.port = port  # type: ignore[attr-defined]
        await_redis(port)
        yield process
        process.terminate()


def await_redis(port: int) -> None:
    deadline = time.monotonic() + 10
    with redis.Redis(port=port) as client:
        while True:
            try:
                client.ping()
            except redis.ConnectionError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            else:
                return


@pytest.fixture
def state(redis_process):
    """A client of an empty Redis database."""
    with redis.Redis(port=redis_process.port, db=3, decode_responses=True) as client:
        client.flushdb()
        yield client


@pytest.fixture
def state_url(redis_process, state):
    return SecretStr(f"redis://127.0.0.1:{redis_process.port}/3")


@pytest.fixture
def claims(state_url):
    claims = Claims(state_url)
    yield claims
    claims.close()


@pytest.fixture
def make_mailer(state_url):
    """Make mailers that are closed when the test ends."""
    made = []

    def make(port, **options):
        settings = FleetSettings(smtp_port=port, smtp_timeout_seconds=5, **{"state_url": state_url, **options})
        made.append(Mailer(settings))
        return made[-1]

    yield make
    for mailer in made:
        mailer.close()
