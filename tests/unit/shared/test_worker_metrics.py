"""What a worker counts is told as celery-exporter tells it, with few series."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from shared.events import Outcome, TaskEnded, TaskReceived, TaskStarted
from shared.metrics import Measure, RecordCollector, Sample, WorkerMetrics
from shared.metrics.worker import MOST_EXCEPTIONS, MOST_REMEMBERED


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def metrics(registry) -> WorkerMetrics:
    made = WorkerMetrics(
        "here", lambda: False, tasks=["known"], queues=["queue"], served={"queue": "broker"}, processes=lambda: 3
    )
    registry.register(made)
    return made


def labels(name: str = "known", queue: str = "queue", **more: str) -> dict[str, str]:
    return {"name": name, "hostname": "here", "queue_name": queue, "broker": "broker", **more}


def series(registry: CollectorRegistry, name: str) -> list[dict[str, str]]:
    return [sample.labels for family in registry.collect() for sample in family.samples if sample.name == name]


def test_every_count_of_a_task_begins_at_zero(metrics, registry):
    metrics.on_event(TaskReceived("known", "queue", "broker", redelivered=False))
    assert registry.get_sample_value("celery_task_received_total", labels()) == 1
    for outcome in set(Outcome) - {Outcome.FAILED}:
        assert registry.get_sample_value(f"celery_task_{outcome}_total", labels()) == 0
    assert registry.get_sample_value("celery_task_failed_total", labels(exception="")) == 0
    assert registry.get_sample_value("celery_task_runtime_count", labels()) == 0
    assert registry.get_sample_value("switchyard_task_redelivered_total", labels()) == 0


def test_times_fall_into_their_buckets(metrics, registry):
    for waited, ran in ((0.05, 0.005), (0.06, 400.0), (None, 1.0)):
        metrics.on_event(TaskStarted("known", "queue", "broker", waited))
        metrics.on_event(TaskEnded("known", "queue", "broker", Outcome.SUCCEEDED, ran, None))
    metrics.on_event(TaskStarted("known", "queue", "broker", None))
    value = registry.get_sample_value
    assert value("celery_task_queue_wait_time_bucket", labels(le="0.05")) == 1
    assert value("celery_task_queue_wait_time_bucket", labels(le="0.1")) == 2
    assert value("celery_task_queue_wait_time_count", labels()) == 2
    assert value("celery_task_queue_wait_time_sum", labels()) == pytest.approx(0.11)
    assert value("celery_task_runtime_bucket", labels(le="0.005")) == 1
    assert value("celery_task_runtime_bucket", labels(le="300.0")) == 2
    assert value("celery_task_runtime_bucket", labels(le="+Inf")) == 3
    assert value("celery_worker_tasks_active", {"hostname": "here"}) == 1
    assert value("celery_active_process_count", {"hostname": "here", "queue_name": "queue", "broker": "broker"}) == 3


def test_names_that_nobody_knows_share_a_series(metrics, registry):
    for number in range(MOST_REMEMBERED + 10):
        metrics.on_event(TaskReceived(f"task {number}", f"queue {number}", "broker", redelivered=True))
    assert series(registry, "celery_task_received_total") == [labels("other", "other")]
    total = registry.get_sample_value("switchyard_task_redelivered_total", labels("other", "other"))
    assert total == MOST_REMEMBERED + 10


def test_exceptions_beyond_a_number_share_a_series(metrics, registry):
    for number in range(MOST_EXCEPTIONS + 5):
        metrics.on_event(TaskEnded("known", "queue", "broker", Outcome.FAILED, None, f"Error{number}"))
    assert len(series(registry, "celery_task_failed_total")) == MOST_EXCEPTIONS + 2
    assert registry.get_sample_value("celery_task_failed_total", labels(exception="other")) == 5


def test_records_that_cannot_be_read_leave_nothing_but_a_zero():
    answers = iter([[Measure("things", "Things.", ("state",), (Sample(("new",), 2.0),))]])

    def read() -> list[Measure]:
        for answer in answers:
            return answer
        raise OSError("gone")

    def collected(collector: RecordCollector) -> dict[str, float]:
        return {sample.name: sample.value for family in collector.collect() for sample in family.samples}

    up = Measure("records_up", "Whether they could be read.")
    collector = RecordCollector(up, read, OSError)
    assert collected(collector) == {"records_up": 1, "things": 2}
    assert collected(collector) == {"records_up": 1, "things": 2}  # not read again so soon
    assert collected(RecordCollector(up, read, OSError)) == {"records_up": 0}
