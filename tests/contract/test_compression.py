"""What lies in a broker is compressed."""

from __future__ import annotations

import base64
import json

import pytest
import redis
from kombu import Connection
from kombu.compression import decompress

from shared.brokers import BrokerKind
from tests.fleet.app import fleet
from tests.fleet.inspection import ParkedMessages
from tests.fleet.tables import BROKERS, parked

TEXT = "a long argument " * 10_000


@pytest.fixture
def compressing(brokers):
    with fleet() as app:
        app.conf.task_compression = "gzip"
        ParkedMessages(app).look()
        yield app


@pytest.mark.concept("compression")
@pytest.mark.parametrize("target", BROKERS)
def test_it_is_compressed_on_its_broker(compressing, target):
    compressing.send_task(f"try.parked_{target}", (TEXT,))
    compression, body = lying_in(compressing.brokers[target])
    assert compression == "application/x-gzip"
    assert len(body) < len(TEXT) / 10
    assert json.loads(decompress(body, compression))[0] == [TEXT]


def lying_in(broker) -> tuple[str, bytes]:
    """Take the one message of a parked queue; return its compression and its body, as they lay there."""
    url = broker.url.get_secret_value()
    if broker.kind is BrokerKind.REDIS:
        with redis.Redis.from_url(url) as client:
            [key] = client.keys(f"{parked(broker.alias)}*")
            raw = client.rpop(key)
            assert isinstance(raw, bytes)
            message = json.loads(raw)
        return message["headers"]["compression"], base64.b64decode(message["body"])
    with Connection(url) as connection, connection.channel() as channel:
        found = channel.basic_get(parked(broker.alias), no_ack=True)
        return found.headers["compression"], bytes(found.body)
