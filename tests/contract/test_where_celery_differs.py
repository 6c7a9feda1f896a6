"""What the guide says of plain Celery is so: each sentence of it that can be measured in seconds is measured here."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from contextlib import ExitStack

import pytest
import redis
from celery import chain, chord, group, signature

from shared.settings import child_environment
from tests.fixtures.workers import ROOT
from tests.fleet.inspection import wait_for
from tests.fleet.stock import BROKER, NOTES, notes, prioritised, stock
from tests.guide.pages import GUIDE

pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated setex")  # Celery stores results with it

HERE, ELSEWHERE = "stock.here", "stock.elsewhere"


SAID: list[tuple[str, str]] = []


def said(page: str, sentence: str):
    """Mark a test that measures what a page says."""
    SAID.append((page, sentence))
    return lambda test: test


@pytest.fixture(scope="module")
def on_redis(brokers) -> str:
    """A database that no fleet uses."""
    return re.sub(r"/\d+$", "/9", brokers["YARD_BROKER_DEFAULT_URL"])


@pytest.fixture(autouse=True)
def lists(on_redis):
    """What lies in the queues on Redis."""
    with redis.Redis.from_url(on_redis, decode_responses=True) as client, notes() as journal:
        client.flushdb()
        journal.delete(NOTES)
        yield client


@pytest.fixture
def start(tmp_path):
    """Start a worker or a beat of the plain app."""
    with ExitStack() as stack:

        def start_program(broker: str, *arguments: str, ready: str = " ready."):
            log = tmp_path / f"log-{time.monotonic_ns()}"
            with log.open("wb") as output:
                process = subprocess.Popen(
                    [sys.executable, "-m", "celery", "-A", "tests.fleet.stock", *arguments, "-l", "INFO"],
                    env=child_environment({BROKER: broker}), cwd=ROOT, stdout=output, stderr=subprocess.STDOUT,
                )  # fmt: skip
            stack.callback(process.wait, 10)
            stack.callback(process.kill)
            wait_for(lambda: ready in log.read_text(), f"{arguments} to be ready", 60)
            return process

        yield start_program


def noted(count: int):
    with notes() as client:
        wait_for(lambda: client.llen(NOTES) >= count, f"{count} notes")
        return client.lrange(NOTES, 0, -1)


@said("first-steps", "A misspelt one fails in the worker that takes it.")
def test_a_task_of_any_name_is_published(start, on_redis):
    with stock(on_redis) as app:
        result = app.send_task("stock.ecko", queue=HERE)
        start(on_redis, "worker", f"-Q{HERE}", "--pool=solo")
        assert type(result.get(timeout=30, propagate=False)).__name__ == "NotRegistered"


@said("first-steps", "In Celery the app that was made last is current.")
def test_the_app_that_was_made_last_is_current():
    code = "from celery import Celery, current_app\nCelery('one'), Celery('two')\nprint(current_app.main)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "two\n"


@said("chains", "A chain over two brokers stops after the first step there")
@said("callbacks", "A worker of Celery's publishes callbacks and errbacks on its own broker")
@said("chords", "publishes the body, on its own broker")
@pytest.mark.parametrize(
    "canvas",
    [
        lambda task, last: chain(task("stock.echo", 1), last),
        lambda task, last: chord([task("stock.echo", 1), task("stock.echo", 2)], last),
        lambda task, last: task("stock.echo", [1]).set(link=[last]),
        lambda task, last: task("stock.fail").set(link_error=[last]),
    ],
    ids=["chain", "chord", "callback", "errback"],
)
def test_what_follows_lands_on_the_broker_of_the_worker_before(start, on_redis, brokers, lists, canvas):
    with stock(on_redis) as app:
        start(on_redis, "worker", f"-Q{HERE}", "--pool=solo")
        start(brokers["YARD_BROKER_BATCH_URL"], "worker", f"-Q{ELSEWHERE}", "--pool=solo")
        last = signature("stock.total", queue=ELSEWHERE, app=app)
        canvas(lambda task, *args: signature(task, args=args, queue=HERE, app=app), last).apply_async()
        wait_for(lambda: lists.llen(ELSEWHERE) == 1, "the next step, in a queue that nobody serves there")


@said("queues-and-routing", "Celery reads `broker` in a route and ignores it")
@said("queues-and-routing", "Celery makes a queue of any name that a call mentions")
def test_a_broker_in_a_route_is_ignored_and_a_misspelt_queue_is_made(on_redis, brokers, lists):
    url = brokers["YARD_BROKER_BATCH_URL"]
    with stock(on_redis, task_routes={"stock.*": {"queue": "misspelt", "broker": url}}) as app:
        app.send_task("stock.echo", (1,))
    assert lists.llen("misspelt") == 1


@said("groups", "A group of Celery's is published through one producer, and so on one broker.")
def test_a_group_goes_to_one_broker(on_redis, lists):
    with stock(on_redis) as app:
        group(signature("stock.echo", queue=queue, app=app) for queue in (HERE, ELSEWHERE)).apply_async()
    assert [lists.llen(queue) for queue in (HERE, ELSEWHERE)] == [1, 1]


@said(
    "priorities", "On Redis Celery's scale is reversed: 0 is the most urgent there. It merges the ten levels into four."
)
def test_on_redis_the_scale_is_reversed(start, on_redis, lists):
    with stock(on_redis) as app:
        for priority in (9, 4, 0, 5):
            app.send_task("stock.note", (f"{priority}",), priority=priority, queue=HERE)
    assert len(lists.keys(f"{HERE}*")) == 3
    start(on_redis, "worker", f"-Q{HERE}", "--pool=solo", "--prefetch-multiplier=1")
    assert noted(4) == ["0", "4", "5", "9"]


@said("priorities", "On RabbitMQ a queue knows no priorities unless it was declared with `x-max-priority`.")
@pytest.mark.parametrize("declared", [False, True])
def test_on_rabbitmq_a_queue_has_priorities_when_it_says_so(start, brokers, declared):
    name, url = f"stock.prioritised.{declared}", brokers["YARD_BROKER_BATCH_URL"]
    with stock(url) as app:
        if declared:
            app.conf.task_queues = [prioritised(name)]
        for priority in (0, 9, 4):
            app.send_task("stock.note", (f"{priority}",), priority=priority, queue=name)
        if declared:
            with app.connection_for_write() as connection:
                queue = prioritised(name).bind(connection.default_channel)
                assert [queue.get(no_ack=True).properties["priority"] for _ in range(3)] == [9, 4, 0]
            return
    start(url, "worker", f"-Q{name}", "--pool=solo", "--prefetch-multiplier=1")
    assert noted(3) == ["0", "9", "4"]


@said("priorities", "Celery takes a priority of 10.")
def test_a_priority_of_ten_is_taken(on_redis, lists):
    with stock(on_redis) as app:
        app.send_task("stock.echo", (1,), priority=10, queue=HERE)
    assert lists.keys(f"{HERE}*")


@said("results", "fails after 19 seconds with `RuntimeError`, although the broker would have taken it")
def test_a_publish_fails_without_the_result_store(on_redis, lists):
    call = "send_task('stock.echo', (1,), queue='stock.here')"
    code = f"from tests.fleet.stock import stock; stock({on_redis!r}, backend='redis://127.0.0.1:9/0').{call}"
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, cwd=ROOT, env=child_environment(), capture_output=True, text=True,
        timeout=120,
    )  # fmt: skip
    assert re.search(r"^RuntimeError", done.stderr, re.MULTILINE)
    assert not lists.keys(f"{HERE}*")


@said("acknowledgement", "A task that was acknowledged early and lost its worker stays `PENDING`; nobody learns of it.")
def test_early_work_of_a_killed_worker_stays_pending(start, on_redis):
    with stock(on_redis) as app:
        worker = start(on_redis, "worker", f"-Q{HERE}", "--pool=solo")
        result = app.send_task("stock.sleep", (600,), queue=HERE)
        noted(1)
        worker.kill()
        worker.wait(10)
        start(on_redis, "worker", f"-Q{HERE}", "--pool=solo")
        assert app.send_task("stock.echo", ("goes on",), queue=HERE).get(timeout=30) == "goes on"
        assert result.status == "PENDING"


@said("timeouts", "In threads and solo Celery ignores time limits without a word.")
@pytest.mark.parametrize("pool", ["threads", "solo"])
def test_time_limits_are_ignored(start, on_redis, pool):
    with stock(on_redis) as app:
        start(on_redis, "worker", f"-Q{HERE}", f"--pool={pool}")
        result = app.send_task("stock.sleep", (2,), queue=HERE, soft_time_limit=1, time_limit=1)
        assert result.get(timeout=30) == "slept"


@said("timeouts", "its errbacks run twice")
def test_an_errback_runs_twice_at_the_hard_limit(start, on_redis):
    with stock(on_redis) as app:
        start(on_redis, "worker", f"-Q{HERE}", "--pool=prefork", "-c1")
        result = app.send_task(
            "stock.sleep", (600,), queue=HERE, time_limit=1, link_error=app.signature("stock.failed")
        )
        assert noted(3) == ["began", f"failed {result.id}", f"failed {result.id}"]


@said("eta-and-expires", "In Celery a worker takes a delayed message at once and holds it until it is due.")
def test_a_delayed_message_is_held_by_a_worker(start, on_redis, lists):
    with stock(on_redis) as app:
        start(on_redis, "worker", f"-Q{HERE}", "--pool=solo", "-nholds@stock")
        app.send_task("stock.echo", (1,), queue=HERE, countdown=600)
        wait_for(lambda: (app.control.inspect(["holds@stock"]).scheduled() or {}).get("holds@stock"), "it to be held")
    assert not lists.llen(HERE)


@said("beat", "Two of them fire every entry twice")
def test_two_beats_fire_every_entry_twice(start, on_redis, lists, tmp_path):
    began = time.monotonic()
    for number in range(2):
        schedule = f"--schedule={tmp_path / str(number)}"
        start(on_redis, "beat", schedule, "--pidfile=", ready="Scheduler: Sending due task")
    wait_for(lambda: lists.llen(HERE) > time.monotonic() - began + 3, "more firings than one beat has", 60)


@said("stamping", 'so `stamp(priority="high")` is taken for the priority of the message')
def test_a_stamp_is_kept_among_the_options(on_redis):
    with stock(on_redis) as app:
        sig = signature("stock.echo", app=app)
        sig.stamp(priority="high")
        assert sig.options["priority"] == "high"


@said("recipe-client", "without one a call by name goes to a default app, which looks for RabbitMQ on this machine")
def test_a_call_by_name_without_an_app_goes_to_a_default_one():
    code = "from celery import current_app\nprint(current_app.main, current_app.connection_for_write().as_uri())"
    assert (
        subprocess.check_output([sys.executable, "-c", code], text=True) == "default amqp://guest:**@localhost:5672//\n"
    )


@pytest.mark.parametrize(("page", "sentence"), SAID)
def test_the_guide_says_what_is_measured_here(page, sentence):
    assert sentence in " ".join((GUIDE / f"{page}.md").read_text(encoding="utf-8").split())
