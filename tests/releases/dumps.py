"""What lies in brokers and in the ledger, as files that a person can read, and back again."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import amqp
import redis
from kombu import Connection

from shared.queues import DEAD_LETTERS, QUEUES

DATABASES = range(4)
RABBITMQ_QUEUES = [*(spec.queue for spec in QUEUES if spec.broker == "batch"), DEAD_LETTERS]
READ = {
    "string": lambda client, key: client.get(key),
    "list": lambda client, key: client.lrange(key, 0, -1),
    "hash": lambda client, key: client.hgetall(key),
    "zset": lambda client, key: client.zrange(key, 0, -1, withscores=True),
    "set": lambda client, key: sorted(client.smembers(key)),
}
WRITE = {
    "string": lambda client, key, value: client.set(key, value),
    "list": lambda client, key, value: client.rpush(key, *value),
    "hash": lambda client, key, value: client.hset(key, mapping=value),
    "zset": lambda client, key, value: client.zadd(key, dict(value)),
    "set": lambda client, key, value: client.sadd(key, *value),
}


def dump_redis(urls: Iterable[str], file: Path) -> None:
    """Write all keys of some databases; not for how much longer they live."""
    dumped = []
    for url in urls:
        with redis.Redis.from_url(url, decode_responses=True) as client:
            keys = {key: client.type(key) for key in sorted(client.keys())}
            dumped.append({key: {"type": kind, "value": READ[kind](client, key)} for key, kind in keys.items()})
    _write(file, dumped)


def load_redis(urls: Iterable[str], file: Path) -> None:
    """Put keys into databases."""
    for url, keys in zip(urls, json.loads(file.read_text()), strict=True):
        with redis.Redis.from_url(url) as client:
            for key, kept in keys.items():
                WRITE[kept["type"]](client, key, kept["value"])


def dump_rabbitmq(url: str, file: Path) -> None:
    """Take all messages out of Switchyard's queues, and write them."""
    dumped: dict[str, list[dict[str, Any]]] = {}
    with Connection(url) as connection, connection.channel() as channel:
        for queue in RABBITMQ_QUEUES:
            queue.bind(channel).declare()
            dumped[queue.name] = []
            while message := amqp.Channel.basic_get(channel, queue.name, no_ack=True):
                body = message.body
                text = body if isinstance(body, str) else bytes(body).decode()
                dumped[queue.name].append({"properties": message.properties, "body": text})
    _write(file, dumped)


def load_rabbitmq(url: str, file: Path) -> None:
    """Publish messages into Switchyard's queues."""
    with Connection(url) as connection, connection.channel() as channel:
        for queue in RABBITMQ_QUEUES:
            queue.bind(channel).declare()
        for name, messages in json.loads(file.read_text()).items():
            for kept in messages:
                message = amqp.Message(kept["body"], **kept["properties"])
                amqp.Channel.basic_publish(channel, message, exchange="", routing_key=name)


def dump_ledger(database: Path, file: Path) -> None:
    """Write the tables of an SQLite ledger as SQL."""
    with closing(sqlite3.connect(database)) as connection:
        file.write_text("\n".join(connection.iterdump()) + "\n")


def load_ledger(database: Path, file: Path) -> None:
    """Make an SQLite ledger."""
    with closing(sqlite3.connect(database)) as connection:
        connection.executescript(file.read_text())


def _write(file: Path, dumped: Any) -> None:
    file.write_text(json.dumps(dumped, indent=1, sort_keys=True) + "\n")
