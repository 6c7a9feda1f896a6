"""Celery's test tasks as a fleet: they are dealt out by name over three brokers."""

from __future__ import annotations

import os
import re
from collections import Counter
from importlib import import_module
from itertools import cycle
from pathlib import Path
from typing import Any

from celery import Celery

from shared.brokers import switchyard_brokers
from shared.celery_app import FleetCelery
from shared.names import BrokerName
from shared.routing import TaskSpec
from tests.upstream.queues import QUEUES

CALL = re.compile(r"(\w+)\.(?:s|si|delay|apply_async|signature)\(")

tasks = import_module("t.integration.tasks")


def task_names() -> list[str]:
    """Return the names of Celery's test tasks, those that the tests call most often first.

    Dealt out in this order, the favourites (``add``, ``identity``, ``fail``) are neighbours on no broker.
    """
    bare = Celery(set_as_current=False)
    bare.register_task(tasks.ClassBasedAutoRetryTask())
    names = [name for name in bare.tasks if not name.startswith("celery.")]
    folder = Path(str(tasks.__file__)).parent
    sources = [(folder / f"{module}.py").read_text() for module in ("tasks", "test_canvas", "test_tasks")]
    calls = Counter(name for source in sources for name in CALL.findall(source))
    return sorted(names, key=lambda name: (-calls[name.rpartition(".")[2]], name))


TASKS = [TaskSpec(name, queue.name) for name, queue in zip(task_names(), cycle(QUEUES), strict=False)]


def fleet(main: str, **options: Any) -> FleetCelery:
    """Make an app of the fleet, at home on the broker that has the fewest favourites; takes what ``Celery`` takes."""
    return FleetCelery(main, brokers=switchyard_brokers, queues=QUEUES, tasks=TASKS, home=BrokerName.DEFAULT, **options)


app = fleet("three", backend=os.environ["TEST_BACKEND"])
app.conf.update(result_extended=True)
app.register_task(tasks.ClassBasedAutoRetryTask())
