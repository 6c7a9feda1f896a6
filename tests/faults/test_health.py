"""What a process reports of its health is the truth, whatever happens to it and to its broker."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from services.core.local.brokers import LocalRabbitMQ, LocalRedis
from shared.health import LIVE_WITHIN_SECONDS, Verdict, verdicts
from shared.metrics import scrape
from shared.settings import child_environment
from shared.worker.readiness import STALLED_AFTER_SECONDS
from shared.worker.waiting import ANSWER_WITHIN_SECONDS, ASK_EVERY_SECONDS
from tests.fixtures.brokers import environment
from tests.fixtures.workers import ROOT, WorkerProcess
from tests.fleet.inspection import wait_for
from tests.fleet.watched import BUSY, DEAF, PAUSED, WORKERS, app

STATED_SECONDS = 25
"""Within how many seconds a worker that takes nothing is not ready: docs/how-to/check-health.md."""
SLACK_SECONDS = 5.0
"""For a machine with much to do."""


class WatchedFleet:
    """A worker for each row of ``WORKERS``, over brokers that may be stopped."""

    def __init__(self, redis: LocalRedis, rabbitmq: LocalRabbitMQ, home: Path, stack: ExitStack) -> None:
        self.brokers = (redis, rabbitmq)
        self.folder = home / "run"
        self.workers = {}
        for name in WORKERS:
            pool = name.split(".")[1]
            self.workers[name] = WorkerProcess(
                "tests.fleet.watched", f"-Q{name}", f"--pool={pool}", "-c1", f"-n{name}@here",
                log=home / f"{name}.log", ready=False,
            )  # fmt: skip
            stack.callback(self.workers[name].kill)
        for worker in self.workers.values():
            worker.wait_until_ready()

    def verdict(self, name: str) -> Verdict:
        (verdict,) = verdicts(self.folder, name)
        return verdict

    def address(self, name: str) -> str:
        return (self.workers[name].metrics_url() or "").removesuffix("/metrics")

    def metric(self, name: str, metric: str) -> float:
        (value,) = [reading.value for reading in scrape(f"{self.address(name)}/metrics") if reading.name == metric]
        return value

    def all(self, question: Callable[[Verdict], bool], names=WORKERS) -> bool:
        return all(question(self.verdict(name)) for name in names)

    def told(self, fate: str) -> list[str]:
        return [name for name in WORKERS if name.endswith(fate)]

    def those_that_are_not(self, question: Callable[[Verdict], bool], names=WORKERS) -> dict[str, str]:
        return {name: verdict.why for name in names if not question(verdict := self.verdict(name))}


def live(verdict: Verdict) -> bool:
    return verdict.live


def ready(verdict: Verdict) -> bool:
    return verdict.ready


def not_ready_but_live(verdict: Verdict) -> bool:
    return verdict.live and not verdict.ready


def disconnected(verdict: Verdict) -> bool:
    return not_ready_but_live(verdict) and "no connection to broker" in verdict.why


@pytest.fixture(scope="module")
def watched(tmp_path_factory) -> Iterator[WatchedFleet]:
    home = tmp_path_factory.mktemp("watched")
    with ExitStack() as stack:
        redis = stack.enter_context(LocalRedis(home / "redis"))
        rabbitmq = stack.enter_context(LocalRabbitMQ(home / "rabbitmq"))
        variables = {
            "YARD_HOME": str(home),
            "YARD_RUN_DIR": str(home / "run"),
            "YARD_BROKER_DEFAULT_URL": redis.url(0),
            "YARD_BROKER_CRITICAL_URL": redis.url(1),
            "YARD_RESULTS_URL": redis.url(2),
            "YARD_STATE_URL": redis.url(3),
            "YARD_BROKER_BATCH_URL": rabbitmq.url,
            "YARD_BROKER_BATCH_MANAGEMENT_URL": rabbitmq.management_url,
        }
        stack.enter_context(environment(variables))
        stack.callback(app.close)
        yield WatchedFleet(redis, rabbitmq, home, stack)


def yard_health(question: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "services.core.cli.main", "health", question, *arguments],
        cwd=ROOT, env=child_environment(), capture_output=True, text=True, check=False, timeout=20,
    )  # fmt: skip


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def stays(condition: Callable[[], dict], seconds: float) -> None:
    """Fail when a condition, which returns what is wrong, does not stay empty for so long."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        wrong = condition()
        assert not wrong
        time.sleep(0.2)


def send(name: str, task: str, *args):
    return app.send_task(task, args, queue=name)


def test_workers_of_every_pool_on_both_kinds_of_broker_are_live_and_ready(watched):
    wait_for(lambda: watched.all(ready), "all workers to be ready")
    done = yard_health("ready")
    assert done.returncode == 0, done.stdout
    assert [line.partition(": ready, ")[0] for line in done.stdout.splitlines()] == sorted(
        f"{name}@here" for name in WORKERS
    )
    assert yard_health("live", "--process", WORKERS[0]).returncode == 0
    assert not watched.those_that_are_not(live)


def test_what_a_worker_does_decides_whether_it_is_ready(watched):
    lost, busy, paused = watched.told(DEAF), watched.told(BUSY), watched.told(PAUSED)
    answers = app.control.broadcast("lose_consumer", destination=[f"{name}@here" for name in lost], reply=True)
    assert len(answers) == len(lost)
    for name in paused:
        (answer,) = app.control.cancel_consumer(name, destination=[f"{name}@here"], reply=True)
        assert "ok" in answer[f"{name}@here"]
    started = time.monotonic()
    long_enough = LIVE_WITHIN_SECONDS + 2 * SLACK_SECONDS
    for name in busy:
        send(name, "watch.sleep", long_enough + SLACK_SECONDS)
    waiting = [send(name, "watch.echo", 1) for name in WORKERS]

    wait_for(
        lambda: watched.all(not_ready_but_live, lost), "deaf workers not to be ready", STATED_SECONDS + SLACK_SECONDS
    )
    for name in lost:
        assert f"work waits in {name}" in watched.verdict(name).why
        done = yard_health("ready", "--process", name)
        assert done.returncode == 1
        assert "a slot is free" in done.stdout
        address = watched.address(name)
        status, reason = get(f"{address}/health/ready")
        assert status == 503
        assert f"work waits in {name}" in reason
        assert get(f"{address}/health/live")[0] == 200
        assert watched.metric(name, "switchyard_worker_ready") == 0
    assert yard_health("ready").returncode == 1
    assert yard_health("live").returncode == 0

    rest = started + long_enough - time.monotonic()
    stays(lambda: watched.those_that_are_not(ready, [*busy, *paused]), rest)
    for name in paused:
        app.control.add_consumer(name, destination=[f"{name}@here"], reply=True)
    for name, result in zip(WORKERS, waiting, strict=True):
        if name not in lost:
            assert result.get(timeout=30) == 1


def test_an_outage_of_the_brokers_leaves_workers_live_and_not_ready(watched):
    for broker in watched.brokers:
        broker.stop()
    wait_for(lambda: watched.all(disconnected), "workers without a broker not to be ready")
    stays(lambda: watched.those_that_are_not(not_ready_but_live), LIVE_WITHIN_SECONDS + SLACK_SECONDS)
    for broker in watched.brokers:
        broker.start()
    wait_for(lambda: watched.all(ready), "all workers to be ready again", 60)
    for name in WORKERS:
        assert send(name, "watch.echo", 2).get(timeout=30) == 2


def test_silent_brokers_leave_workers_live_and_not_ready(watched):
    for name in WORKERS:
        send(name, "watch.sleep", 5)  # it ends while nobody takes its acknowledgement
    wait_for(lambda: all(watched.metric(name, "celery_worker_tasks_active") for name in WORKERS), "all to be at work")
    for broker in watched.brokers:
        broker.pause()
    try:
        silence = STALLED_AFTER_SECONDS + ASK_EVERY_SECONDS + ANSWER_WITHIN_SECONDS + SLACK_SECONDS
        wait_for(lambda: watched.all(not_ready_but_live), "workers with a silent broker not to be ready", silence)
        stays(lambda: watched.those_that_are_not(not_ready_but_live), LIVE_WITHIN_SECONDS)
    finally:
        for broker in watched.brokers:
            broker.resume()
    wait_for(lambda: watched.all(ready), "all workers to be ready again", 60)


def test_a_worker_that_is_frozen_is_not_live_and_one_that_ended_leaves_no_report(watched):
    stopped, killed = watched.told(BUSY)[:2]
    frozen = [name for name in WORKERS if name not in (stopped, killed)]
    for name in frozen:
        watched.workers[name].process.send_signal(signal.SIGSTOP)
    watched.workers[killed].kill()
    verdict = watched.verdict(killed)
    assert not verdict.live
    assert "has ended" in verdict.why
    send(stopped, "watch.sleep", 5)
    wait_for(lambda: watched.metric(stopped, "celery_worker_tasks_active"), "it to be at work")
    watched.workers[stopped].process.terminate()
    wait_for(lambda: watched.verdict(stopped).why == "it is stopping", "it to be stopping")
    assert watched.verdict(stopped).live
    watched.workers[stopped].process.wait(30)
    assert verdicts(watched.folder, stopped) == []
    wait_for(
        lambda: not watched.those_that_are_not(lambda verdict: not verdict.live, frozen),
        "frozen workers not to be live",
        LIVE_WITHIN_SECONDS + SLACK_SECONDS,
    )
    done = yard_health("live", "--process", frozen[0])
    assert done.returncode == 1
    assert "has not turned for" in done.stdout
    for name in frozen:
        watched.workers[name].process.send_signal(signal.SIGCONT)
    wait_for(lambda: watched.all(live, frozen), "workers that were resumed to be live")
