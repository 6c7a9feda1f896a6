"""The queue table contradicts neither itself nor what a pool can do, and says how its workers are set up."""

from __future__ import annotations

import pytest

from shared.brokers import BrokerKind, switchyard_brokers
from shared.errors import ConfigurationError, InvalidTable
from shared.fleet import HOME_BROKER, switchyard_app
from shared.names import QueueName, ServiceName, TaskName
from shared.queues import QUEUES, Pool, QueueSpec, redis_queue, worker_setup
from shared.tasks import TASKS


def spec(name: str = "q", **options) -> QueueSpec:
    return QueueSpec(queue=redis_queue(name, "x"), broker="default", service="s", **options)


def test_every_name_has_its_row():
    assert {row.name for row in QUEUES} == set(QueueName)
    assert set(TaskName) <= {task.name for task in TASKS}


def test_queues_of_rabbitmq_are_declared_with_the_whole_scale():
    fleet = switchyard_brokers()
    for row in QUEUES:
        arguments = row.queue.queue_arguments or {}
        assert (arguments.get("x-max-priority") == 9) == (fleet[row.broker].kind is BrokerKind.RABBITMQ)


@pytest.mark.parametrize("service", ServiceName)
def test_a_worker_without_queues_serves_those_of_its_service_at_home(service):
    served = switchyard_app(service).default_worker_queues
    assert served
    rows = {row.name: row for row in QUEUES}
    assert all(rows[name].service == service and rows[name].broker == HOME_BROKER[service] for name in served)


@pytest.mark.parametrize("pool", [Pool.THREADS, Pool.GEVENT, Pool.SOLO])
def test_limits_that_a_pool_cannot_enforce_are_refused(pool):
    with pytest.raises(InvalidTable, match=f"{pool}', which can't enforce a hard time limit"):
        spec(pool=pool, time_limit=5)
    if pool is Pool.THREADS:
        with pytest.raises(InvalidTable, match="soft time limit"):
            spec(pool=pool, soft_time_limit=5)
    else:
        assert spec(pool=pool, soft_time_limit=5).soft_time_limit == 5


def test_a_task_that_may_not_even_be_executed_once_is_refused():
    with pytest.raises(InvalidTable, match="max_lost_executions"):
        spec(max_lost_executions=0)


def test_a_soft_limit_at_or_above_the_hard_one_is_refused():
    with pytest.raises(InvalidTable, match="soft"):
        spec(soft_time_limit=5, time_limit=5)


def test_queues_served_together_share_a_worker_that_suits_each():
    setup = worker_setup([spec("a", concurrency=2, time_limit=9, prefetch=4), spec("b", concurrency=1, time_limit=5)])
    assert (setup.pool, setup.concurrency, setup.prefetch, setup.time_limit) == ("prefork", 3, 1, 9)
    assert worker_setup([spec("a", time_limit=9), spec("b")]).time_limit is None


def test_queues_of_different_pools_want_a_choice():
    rows = [spec("a"), spec("b", pool=Pool.SOLO)]
    with pytest.raises(ConfigurationError, match="--pool"):
        worker_setup(rows)
    assert worker_setup(rows, "threads").pool == "threads"
