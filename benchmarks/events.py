"""What events cost: CPU for each task, of whoever publishes it, of the worker that runs it, and of the recorder.

Monitors are told of a task four times: by its publisher, and by its worker when it has it, begins it and ends it.  A
publisher gathers its events and sends them together (``shared.sent_events``); Celery's own way, a message for each, is
measured beside it.  A worker sends up to 24 together, as Celery's do.

It needs the brokers of the settings, such as those of ``yard up``, and removes what it publishes.  Figures of a fleet
whose queues are worked off meanwhile are too high.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from statistics import median
from time import process_time, time
from typing import Any
from uuid import uuid4

from services.core.history.buffer import Buffer
from services.core.history.sightings import sighting
from shared.celery_app import FleetCelery
from shared.fleet import switchyard_app
from shared.names import BrokerName, QueueName, ServiceName, TaskName

TASKS = 500
ROUNDS = 5
QUEUES = {BrokerName.DEFAULT: QueueName.CORE_MAINTENANCE, BrokerName.BATCH: QueueName.FILE_IMAGES}
OF_A_WORKER: Mapping[str, Mapping[str, Any]] = {
    "task-received": {"name": TaskName.CORE_CLEAN_HISTORY.value, "args": "()", "kwargs": "{}", "retries": 0},
    "task-started": {"queue": QueueName.CORE_MAINTENANCE.value, "group": None},
    "task-succeeded": {"result": "0", "runtime": 0.1},
}


def publisher(way: str) -> FleetCelery:
    """Return an app that tells of what it publishes in a certain way, or not at all."""
    app = switchyard_app(ServiceName.CORE)
    app.conf.task_send_sent_event = way != "without"
    if way == "one by one":
        app.amqp.__dict__["_event_dispatcher"] = app.events.Dispatcher(enabled=False)  # before anything is published
    return app


def per_task(act: Callable[[], object], after: Callable[[], object] = lambda: None) -> float:
    """Return the microseconds of CPU of this process, its threads among it, for one of many."""
    began = process_time()
    for _ in range(TASKS):
        act()
    after()
    return (process_time() - began) / TASKS * 1e6


def publishing(broker: str, queue: str) -> dict[str, float]:
    """Return what a publish takes, in each way."""
    rounds: dict[str, list[float]] = {way: [] for way in ("without", "gathered", "one by one")}
    apps = {way: publisher(way) for way in rounds}
    for _ in range(ROUNDS + 1):
        for way, app in apps.items():
            flush = app.amqp._event_dispatcher.flush if way == "gathered" else lambda: None  # noqa: SLF001
            rounds[way].append(per_task(partial(app.send_task, TaskName.CORE_CLEAN_HISTORY, queue=queue), flush))
    with apps["without"].connection_for_write(broker) as connection:
        apps["without"].amqp.queues[queue](connection.default_channel).purge()
    return {way: median(found[1:]) for way, found in rounds.items()}  # the first one connects


def working(broker: str) -> float:
    """Return what a worker takes to tell of one task."""
    app = publisher("without")
    with app.connection_for_write(broker) as connection:
        told = app.events.Dispatcher(connection, hostname="w@host", buffer_group=["task"])

        def one_task() -> None:
            task_id = str(uuid4())
            for kind, fields in OF_A_WORKER.items():
                told.send(kind, uuid=task_id, **fields)

        rounds = [per_task(one_task, told.flush) for _ in range(ROUNDS + 1)]
        return median(rounds[1:])


def recording() -> float:
    """Return what the recorder takes to understand and merge what it hears of one task; the ledger comes on top."""
    buffer = Buffer()

    def one_task() -> None:
        task_id = str(uuid4())
        for kind, fields in OF_A_WORKER.items():
            heard = sighting("default", {"type": kind, "uuid": task_id, "timestamp": time(), "hostname": "w", **fields})
            buffer.add((heard,) if heard else ())

    rounds = [per_task(one_task, lambda: buffer.take(TASKS)) for _ in range(ROUNDS + 1)]
    return median(rounds[1:])


def main() -> None:
    """Print what a task costs."""
    for broker, queue in QUEUES.items():
        found = publishing(broker, queue)
        shown = ", ".join(f"{way} {cost:.0f}" for way, cost in found.items())
        print(
            f"{broker}: CPU of a publish, in µs, with events: {shown}; a worker's three events: {working(broker):.0f}"
        )
    print(f"The recorder, for one task: {recording():.0f} µs")


if __name__ == "__main__":
    main()
