"""A broker is found by alias or by any URL that leads to the same place."""

from __future__ import annotations

import pytest

from shared.brokers import Broker, Brokers
from shared.errors import InvalidTable, UnknownBroker
from shared.secret import SecretStr

FLEET = Brokers(
    [
        Broker("batch", SecretStr("amqp://user:p%2Fw@rabbit.example.org:5672//")),
        Broker("default", SecretStr("redis://:secret@redis.example.org/0")),
    ]
)


@pytest.mark.parametrize(
    ("named", "alias"),
    [
        ("batch", "batch"),
        ("amqp://rabbit.example.org", "batch"),
        ("amqp://someone:else@rabbit.example.org:5672//", "batch"),
        ("redis://redis.example.org:6379", "default"),
        ("redis://redis.example.org:6379/0", "default"),
    ],
)
def test_a_broker_is_found_by_alias_or_place(named, alias):
    assert FLEET.find(named).alias == alias


@pytest.mark.parametrize(
    "named", ["bach", "redis://redis.example.org/1", "amqp://rabbit.example.org/other", "amqp://:secret@elsewhere"]
)
def test_another_broker_is_refused_and_shown_without_a_password(named):
    with pytest.raises(UnknownBroker) as caught:
        FLEET.find(named)
    assert "secret" not in str(caught.value)


def test_a_broker_of_another_kind_is_refused():
    with pytest.raises(InvalidTable, match="sqs"):
        Brokers([Broker("queue", SecretStr("sqs://key:secret@"))])
