"""Time limits hold in every pool that says so, and are refused or warned of where they can't."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from celery import chord
from celery.exceptions import SoftTimeLimitExceeded, TimeLimitExceeded

from shared.errors import UnenforceableTimeLimit
from shared.queues import ENFORCE_SOFT_LIMITS, Pool
from shared.settings import child_environment
from tests.fixtures import mishaps
from tests.fixtures.workers import ROOT
from tests.fleet.inspection import wait_for
from tests.fleet.mishaps import BROKERS, app, noted, queue_of

pytestmark = pytest.mark.usefixtures("afresh")

SOFT_POOLS = sorted(ENFORCE_SOFT_LIMITS)


def send(task: str, *args, queue: str, **options):
    return app.send_task(f"mishap.{task}", args, queue=queue, **options)


@pytest.mark.concept("soft, hard, combined timeouts")
@pytest.mark.parametrize("pool", SOFT_POOLS)
@pytest.mark.parametrize("broker", BROKERS)
def test_a_soft_limit_interrupts_a_sleep_and_lets_the_task_clean_up(brokers, tmp_path, broker, pool):
    key, queue = f"soft-{broker}-{pool}", queue_of(broker, pool)
    with mishaps.worker(broker, pool, tmp_path, "-c1") as worker:
        sent = time.time()
        cleaned = send("sleep_with_cleanup", key, 60, queue=queue, soft_time_limit=1)
        failed = send("sleep_limited", 60, queue=queue)
        in_time = send("sleep_with_cleanup", key, 0.1, queue=queue, soft_time_limit=1)
        assert cleaned.get(timeout=30) == "cleaned up"
        with pytest.raises(SoftTimeLimitExceeded):
            failed.get(timeout=30)
        assert in_time.get(timeout=30) == "slept"
        assert send("good", f"{key}-good", "1", queue=queue).get(timeout=30) == "1"
        wait_for(lambda: worker.output.count("Soft time limit (1s) exceeded") == 2, "both limits in the log")
    (interrupted,) = noted(key)
    assert float(interrupted) >= sent + 1, "it runs from when the worker accepts the task, a little before its body"


@pytest.mark.concept("soft, hard, combined timeouts")
@pytest.mark.parametrize("broker", BROKERS)
def test_a_hard_limit_leaves_one_record_and_spares_the_neighbours(brokers, tmp_path, broker):
    key, queue = f"hard-{broker}", queue_of(broker, Pool.PREFORK)
    limits = {"soft_time_limit": 1, "time_limit": 2}
    with mishaps.worker(broker, Pool.PREFORK, tmp_path, "-c2") as worker:
        neighbour = send("slow", f"{key}-neighbour", 5, queue=queue)
        killed = send("ignore_limits", 60, queue=queue, link_error=app.signature("mishap.tell"), **limits)
        with pytest.raises(TimeLimitExceeded):
            killed.get(timeout=30)
        header = [app.signature("mishap.good", (key, "1")), app.signature("mishap.ignore_limits", (60,), **limits)]
        body = chord([member.set(queue=queue) for member in header], app=app)(
            app.signature("mishap.gather", queue=queue)
        )
        with pytest.raises(Exception, match="TimeLimitExceeded"):
            body.get(timeout=30)
        neighbour.get(timeout=30)
        results = [send("slow", f"{key}-after", 0.2, queue=queue) for _ in range(4)]
        for result in results:
            result.get(timeout=30)
        assert worker.output.count(f"mishap.ignore_limits[{killed.id}] received") == 1
    assert noted(f"{key}-neighbour") == ["began", "ended"]
    assert noted(f"errback-{killed.id}") == ["TimeLimitExceeded"]
    assert [letter.id for letter in mishaps.letters(broker, queue)].count(killed.id) == 1


@pytest.mark.parametrize(
    ("pool", "limit"),
    [("threads", "soft_time_limit"), ("threads", "time_limit"), ("solo", "time_limit"), ("gevent", "time_limit")],
)
def test_a_call_with_a_limit_that_its_queue_cannot_hold_is_refused(brokers, pool, limit):
    with pytest.raises(UnenforceableTimeLimit, match=f"pool '{pool}', which can't enforce") as refused:
        send("good", "refused", "1", queue=queue_of("default", pool), **{limit: 5})
    assert refused.value.sent == "no"


def test_a_tasks_own_limit_that_its_pool_cannot_hold_is_warned_of(brokers, tmp_path):
    queue = queue_of("default", "threads")
    with mishaps.worker("default", "threads", tmp_path, "-c1") as worker:
        for _ in range(2):
            send("sleep_limited", 0.01, queue=queue).get(timeout=30)
        assert worker.output.count("Task mishap.sleep_limited has a soft time limit, which pool threads") == 1


@pytest.mark.parametrize("limit", ["--soft-time-limit=5", "--time-limit=5"])
def test_a_worker_is_not_started_with_a_limit_that_its_pool_cannot_hold(brokers, limit):
    command = [sys.executable, "-m", "celery", "-A", "tests.fleet.mishaps", "worker", "--pool=threads", limit]
    ended = subprocess.run(
        [*command, f"-Q{queue_of('default', 'threads')}"],
        env=child_environment({}),
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 1
    assert f"This pool can't enforce {limit.partition('=')[0]}; use prefork." in ended.stderr
