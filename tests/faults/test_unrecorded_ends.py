"""What ends without having run while its result store is away: the worker lives, and the end is on record later."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from celery.exceptions import TaskRevokedError

from shared.errors import BadMessage
from tests.fixtures.store_outages import Scene, server_of
from tests.fixtures.stores import CREW, store_of
from tests.fleet.inspection import wait_for

GAVE_UP_WITHIN_SECONDS = 40.0

pytestmark = pytest.mark.concept("result store")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    made: Path = tmp_path_factory.mktemp("store")
    return made


@pytest.fixture(scope="module")
def scene(brokers, folder) -> Iterator[Scene]:
    with server_of("redis", folder) as (url, *ends), store_of("redis", url, folder, CREW[:2]) as store:
        yield Scene(store, *ends)


def log_of(folder: Path, broker: str, pool: str) -> str:
    return (folder / f"{broker}-{pool}.log").read_text()


@pytest.mark.parametrize(("broker", "pool"), CREW[:2])
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"expires": datetime.now(UTC) - timedelta(hours=1)}, TaskRevokedError),
        ({"headers": {"timelimit": "never"}}, BadMessage),
    ],
    ids=["expired", "bad"],
)
def test_an_end_that_the_store_did_not_take_is_told_when_it_is_back(scene, folder, broker, pool, options, expected):
    assert scene.store.send("echo", "before", target=broker, pool=pool).get(timeout=60) == "before"
    with scene.away(0):
        ended = scene.store.send("echo", target=broker, pool=pool, **options)
        wait_for(lambda: ended.id in unrecorded(folder, broker, pool), "the worker to give up", GAVE_UP_WITHIN_SECONDS)
    with pytest.raises(expected):
        ended.get(timeout=60)
    assert scene.store.send("echo", "after", target=broker, pool=pool).get(timeout=60) == "after"
    assert all(worker.process.poll() is None for worker in scene.store.workers)


def unrecorded(folder: Path, broker: str, pool: str) -> str:
    """What a worker logged of ends that it could not record."""
    lines = log_of(folder, broker, pool).splitlines()
    return "\n".join(line for line in lines if "can't be recorded now" in line)
