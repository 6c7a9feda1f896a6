"""A result store goes away and comes back: no outcome is lost, and who waits gets it, or a clear error in time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from celery import chord
from celery.exceptions import BackendGetMetaError, TimeoutError  # noqa: A004 - the one that get() raises

from shared.queues import Pool
from tests.fixtures.store_outages import POOLS, Scene, scene_of
from tests.fleet.inspection import wait_for
from tests.fleet.storing import go_on, has_begun

pytestmark = pytest.mark.concept("result store")


@pytest.fixture(scope="module", params=["redis", "postgresql", "memcached"])
def scene(request, brokers, tmp_path_factory) -> Iterator[Scene]:
    with scene_of(request.param, tmp_path_factory.mktemp(request.param)) as made:
        yield made


@pytest.mark.parametrize("pool", POOLS)
def test_a_task_that_ends_while_the_store_is_away_has_its_result(scene, pool):
    key, result = scene.begun(pool=pool, value="kept")
    with ThreadPoolExecutor(1) as waiting:
        got = waiting.submit(result.get, timeout=60)
        with scene.away():
            go_on(key)
        assert got.result(60) == "kept"
    assert scene.store.app.AsyncResult(result.id).state == "SUCCESS"


@pytest.mark.parametrize("pool", POOLS)
def test_a_failure_while_the_store_is_away_is_not_lost(scene, pool):
    with scene.away():
        result = scene.send("fail", pool=pool)
    with pytest.raises(ValueError, match="as asked"):
        result.get(timeout=60)


@pytest.mark.parametrize("pool", POOLS)
def test_progress_that_cannot_be_told_fails_no_task(scene, pool):
    key = uuid4().hex
    result = scene.send("progress", key, 3, pool=pool)
    wait_for(lambda: has_begun(key) == 1, "a first step")
    with scene.away(0):
        go_on(key)
        wait_for(lambda: has_begun(key) == 2, "a step that the store does not hear of")
    go_on(key)
    wait_for(lambda: has_begun(key) == 3, "the last step")
    go_on(key)
    assert result.get(timeout=60) == 3


def test_a_client_that_comes_while_the_store_is_away_gets_its_result(scene):
    key, result = scene.begun(pool=Pool.THREADS, value="later")
    asked = scene.store.app.AsyncResult(result.id)
    with ThreadPoolExecutor(1) as waiting:
        with scene.away():
            got = waiting.submit(asked.get, timeout=60)
        go_on(key)
        assert got.result(60) == "later"


def test_a_chord_outlasts_an_outage(scene):
    keys = [uuid4().hex for _ in POOLS]
    header = [scene.sig("wait", key, n, pool=pool) for n, (key, pool) in enumerate(zip(keys, POOLS, strict=True))]
    result = chord(header, scene.sig("total")).apply_async()
    wait_for(lambda: all(has_begun(key) for key in keys), "every member to begin")
    before = 0 if scene.store.name == "memcached" else 1  # which forgets what it had
    for key in keys[:before]:
        go_on(key)
    with scene.away():
        for key in keys[before:]:
            go_on(key)
    assert result.get(timeout=60) == 6


def test_who_waits_longer_than_the_store_is_away_is_told_in_time(scene):
    key, result = scene.begun(pool=Pool.PREFORK, value="never seen")
    with scene.away(0):
        started = time.monotonic()
        with pytest.raises(TimeoutError, match=r"No result within 3 s: .*out of reach") as raised:
            result.get(timeout=3)
        assert time.monotonic() - started < 3 + 5, "it tried longer than it was told to"
        with pytest.raises(BackendGetMetaError, match="out of reach"):
            _ = scene.store.app.AsyncResult(result.id).state
    assert not any(part in str(raised.value) for part in passwords(scene))
    go_on(key)
    assert result.get(timeout=60) == "never seen"


def passwords(scene: Scene) -> list[str]:
    """The parts of the URL that nobody may see."""
    user = scene.store.url.rpartition("@")[0].rpartition("/")[2]
    return [user.rpartition(":")[2]] if user else []
