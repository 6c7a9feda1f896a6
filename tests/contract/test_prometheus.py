"""A real Prometheus scrapes real workers and an observer: what upstream's dashboards and ours ask finds data."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml
from celery.utils import uuid

from services.core.ledger.migrations import upgrade
from shared.settings import child_environment, load_settings
from tests.fixtures.prometheus import CONFIGURATION, LocalPrometheus, program
from tests.fixtures.upstream_queries import (
    BY_TASK,
    HIGH_FAIL_RATE,
    HIGH_QUEUE_LENGTH,
    OVERVIEW,
    VARIABLES,
    WORKER_DOWN,
)
from tests.fixtures.workers import WorkerProcess
from tests.fleet import tasks  # noqa: F401 - registers them
from tests.fleet.app import app
from tests.fleet.inspection import messages, wait_for
from tests.fleet.tables import parked, served

ROOT = Path(__file__).parents[2]
DASHBOARDS = sorted((ROOT / "deploy" / "grafana" / "dashboards").glob("*.json"))
WORKERS = [("batch", "prefork"), ("default", "threads")]
HIGH = 101


@dataclass
class Watched:
    """A Prometheus that watches a small fleet, which is given work whenever somebody asks."""

    prometheus: LocalPrometheus
    workers: dict[tuple[str, str], WorkerProcess]

    def work(self) -> None:
        """Have every worker run something, publish something, and fail something."""
        for worker in WORKERS:
            queue = served(*worker)
            app.send_task("try.call", (queue, uuid()), queue=queue)
            app.send_task("try.fail", queue=queue)

    def finds(self, expression: str) -> list[dict]:
        """What an expression finds, once it finds something."""

        def look():
            self.work()
            return self.prometheus.query(expression)

        found: list[dict] = wait_for(look, f"data for {expression}", 60)
        return found


@pytest.fixture(scope="module")
def watched(brokers, tmp_path_factory) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("watched")
    upgrade(load_settings().ledger_url)
    with app.connection_for_write("batch") as connection:
        app.queue_table[parked("batch")].queue.bind(connection.default_channel).declare()
    messages(app.brokers["batch"], parked("batch"))
    with ExitStack() as stack:
        workers = {}
        for worker in WORKERS:
            name = "-".join(worker)
            workers[worker] = WorkerProcess(
                "tests.fleet.counted",
                f"-Q{served(*worker)}",
                f"--pool={worker[1]}",
                "-c2",
                f"-nwatch@{name}",
                log=folder / f"{name}.log",
            )
            stack.callback(workers[worker].stop)
        log = folder / "observer.log"
        observer = observing(log)
        stack.callback(observer.wait, 30)
        stack.callback(observer.terminate)
        urls = {name: wait_for(process.metrics_url, "metrics") for name, process in workers.items()}
        urls["observer", ""] = wait_for(lambda: re.search(r"at (http://\S+)", log.read_text()), "it to serve").group(1)
        targets = {urlsplit(url).netloc: {"service": service} for (service, _), url in urls.items()}
        prometheus = stack.enter_context(LocalPrometheus(folder / "prometheus", targets))
        for number in range(HIGH):
            app.send_task("try.echo", (number,), queue=parked("batch"))
        yield Watched(prometheus, workers)
    for broker, queue in (("batch", parked("batch")), *((worker[0], served(*worker)) for worker in WORKERS)):
        messages(app.brokers[broker], queue)


def observing(log: Path) -> subprocess.Popen:
    with log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.fleet.observing"],
            env=child_environment({"YARD_METRICS_PORT": "0"}),
            cwd=ROOT,
            stdout=output,
            stderr=subprocess.STDOUT,
        )


@pytest.mark.parametrize(("series", "label"), VARIABLES, ids=[f"{label} of {series}" for series, label in VARIABLES])
def test_the_lists_of_upstreams_dashboards_are_filled(watched, series, label):
    watched.work()
    assert wait_for(lambda: watched.prometheus.label_values(series, label), f"{label} of {series}", 60)


@pytest.mark.parametrize("expression", [*OVERVIEW, *BY_TASK])
def test_every_query_of_upstreams_dashboards_finds_data(watched, expression):
    assert watched.finds(expression)


def test_upstreams_alerts_fire_on_what_is_wrong(watched):
    failing = {found["metric"]["name"] for found in watched.finds(HIGH_FAIL_RATE)}
    assert failing == {"try.fail"}
    assert {found["metric"]["queue_name"] for found in watched.finds(HIGH_QUEUE_LENGTH)} == {parked("batch")}


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_prometheus_understands_every_query_of_our_dashboards(watched, path):
    for expression in expressions(path):
        watched.prometheus.query(expression)  # raises where it is refused


def test_every_alert_of_ours_is_evaluated(watched):
    rules = yaml.safe_load((CONFIGURATION / "rules.yml").read_text())["groups"]
    expected = [rule["alert"] for group in rules for rule in group["rules"] if "alert" in rule]
    wait_for(lambda: watched.prometheus.alerts() == expected, "every alert to be evaluated", 60)


def test_numbers_are_those_of_the_brokers(watched):
    where = f'queue_name="{parked("batch")}"'
    (length,) = watched.finds(f"celery_queue_length{{{where}}}")
    assert float(length["value"][1]) == HIGH
    (oldest,) = watched.finds(f"switchyard_queue_oldest_message_seconds{{{where}}} > 0")
    assert float(oldest["value"][1]) < 180
    consumers = watched.finds(f'celery_active_consumer_count{{queue_name="{served("batch", "prefork")}"}}')
    assert [found["value"][1] for found in consumers] == ["1"]
    (processes,) = watched.finds(f'celery_active_process_count{{queue_name="{served("batch", "prefork")}"}}')
    assert processes["value"][1] == "2"


def test_a_worker_that_is_gone_is_down(watched):
    watched.finds("count(celery_worker_up == 1) == 2")
    watched.workers["default", "threads"].stop()
    (down,) = wait_for(lambda: watched.prometheus.query(WORKER_DOWN), "the worker to be down", 60)
    assert down["metric"]["hostname"] == "default-threads"


def expressions(path: Path) -> list[str]:
    """The queries of a dashboard, with its variables filled in."""
    dashboard = json.loads(path.read_text())
    targets = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    return [
        expression.replace("$__rate_interval", "1m")
        .replace("$__range", "5m")
        .replace("$queue", ".+")
        .replace("$campaign", ".+")
        for expression in targets
    ]


@pytest.mark.parametrize("arguments", [("check", "config", "prometheus.yml"), ("test", "rules", "rules_test.yml")])
def test_promtool_has_nothing_to_say(arguments):
    done = subprocess.run(
        [program("promtool"), *arguments], cwd=CONFIGURATION, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
