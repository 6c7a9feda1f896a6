"""Compression, expiry, retries by themselves and base classes work as Celery's guides say, on each broker and pool."""

from __future__ import annotations

from itertools import count, pairwise

import pytest
from celery.exceptions import TaskRevokedError

from tests.fixtures.workers import WorkerProcess
from tests.fleet.concepts import app, noted, queue_of
from tests.fleet.inspection import wait_for
from tests.fleet.tables import WORKERS

pytestmark = pytest.mark.parametrize(("target", "pool"), WORKERS, scope="module")
NAMES = (f"options-{number}" for number in count())


@pytest.fixture(scope="module")
def queue(brokers, target, pool, tmp_path_factory):
    """The queue of a worker."""
    options = (f"-Q{queue_of(target, pool)}", f"--pool={pool}", "-c2", "--without-mingle")
    worker = WorkerProcess("tests.fleet.concepts", *options, log=tmp_path_factory.mktemp("worker") / "log")
    yield queue_of(target, pool)
    worker.stop()


@pytest.fixture
def key():
    return next(NAMES)


def send(task, *args, queue, **options):
    return app.send_task(f"concept.{task}", args, queue=queue, **options)


@pytest.mark.concept("compression")
def test_what_is_published_is_compressed_and_read(queue):
    text = "a long argument " * 10_000
    assert send("echo", text, queue=queue).get(timeout=20) == text
    assert send("echo", text, queue=queue, compression="bzip2").get(timeout=20) == text
    assert send("echo", text, queue=queue, countdown=0.5).get(timeout=20) == text


@pytest.mark.concept("eta, countdown, expires")
@pytest.mark.parametrize("expires", [0.2, "2020-01-01T00:00:00+00:00"])
def test_expired_work_does_not_run_and_is_recorded(queue, key, expires):
    gone = send("limited", key, "gone", queue=queue, expires=expires, countdown=0.5)
    with pytest.raises(TaskRevokedError, match="expired"):
        gone.get(timeout=20)
    assert send("limited", key, "in time", queue=queue, expires=300).get(timeout=20) == "in time"
    assert [what for _, what in noted(key)] == ["in time"]


@pytest.mark.concept("retry")
def test_it_is_retried_by_itself_after_longer_and_longer_pauses(queue, key):
    assert send("unsteady", key, 3, queue=queue).get(timeout=30) == 3
    assert [what for _, what in noted(key)] == ["0", "1", "2", "3"]
    pauses = [after - before for (before, _), (after, _) in pairwise(noted(key))]
    assert all(pause > least - 0.05 for pause, least in zip(pauses, (0.5, 1, 1), strict=True))


@pytest.mark.concept("retry")
def test_in_the_end_it_fails_with_its_error(queue, key):
    result = send("unsteady", key, 9, queue=queue)
    assert "Unsteady" in repr(result.get(timeout=30, propagate=False))
    assert len(noted(key)) == 4


@pytest.mark.concept("retry")
def test_pauses_are_random_and_other_errors_are_not_retried(queue, key):
    assert send("jittery", key, None, queue=queue).get(timeout=30) == 1
    other = next(NAMES)
    assert "KeyError" in repr(send("jittery", other, "error", queue=queue).get(timeout=20, propagate=False))
    assert len(noted(other)) == 1


@pytest.mark.concept("custom base task")
def test_the_handlers_of_a_base_class_run(queue, key):
    assert send("debugged", key, queue=queue).get(timeout=20) == "done"
    wait_for(lambda: len(noted(key)) == 3, "its handlers")
    assert [what for _, what in noted(key)] == ["before", "success done", "after SUCCESS"]
    failing = next(NAMES)
    result = send("debugged", failing, queue=queue, kwargs={"fail": True})
    assert "as asked" in repr(result.get(timeout=20, propagate=False))
    wait_for(lambda: len(noted(failing)) == 3, "its handlers")
    assert [what for _, what in noted(failing)] == ["before", "failure as asked", "after FAILURE"]
    own = next(NAMES)
    assert send("own", own, queue=queue).get(timeout=20) == "hello, concept.own"
    assert wait_for(lambda: noted(own), "its handler")[0][1] == "hello hello, concept.own"
