"""What counting costs a task: CPU of the process, for all that is counted of one task from its message to its end.

Measured is what a worker adds to each task for the sake of metrics: one look-up of where the message came from, three
records, their way to the subscriber, the counters and histograms, and one message that the task itself publishes.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from statistics import median
from time import process_time

from services.core.app import app
from shared.events import Outcome, TaskEnded, TaskReceived, TaskStarted
from shared.metrics import WorkerMetrics
from shared.names import QueueName, TaskName
from shared.tallies import SENT, open_tallies

TASKS = 100_000
ROUNDS = 5
MOST_MICROSECONDS = 10.0
WITHIN_SECONDS = 120.0
DELIVERY = {"exchange": "", "routing_key": QueueName.CORE_DEFAULT.value, "priority": 0, "redelivered": False}


def one_task() -> None:
    """Count one task that publishes another."""
    name = TaskName.CORE_RECORD_FILE.value
    queue, broker = app.amqp.origin(DELIVERY)
    app.subscribers.emit(TaskReceived(name, queue, broker, redelivered=False))
    app.subscribers.emit(TaskStarted(name, queue, broker, 0.1))
    SENT.count(name, queue, broker)
    app.subscribers.emit(TaskEnded(name, queue, broker, Outcome.SUCCEEDED, 0.02, None))


def microseconds() -> float:
    """Return the CPU that one task takes, the mean of many."""
    began = process_time()
    for _ in range(TASKS):
        one_task()
    return (process_time() - began) / TASKS * 1e6


def measured() -> float:
    """Return the CPU that one task takes, the median of some rounds, as a process of its own prints it last."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.metrics"],
        check=True,
        capture_output=True,
        text=True,
        timeout=WITHIN_SECONDS,
        cwd=Path(__file__).parents[1],
    )
    return float(done.stdout.splitlines()[-1].split()[3])


def main() -> None:
    """Print what is promised, and what a task costs, round by round."""
    app.join([QueueName.CORE_DEFAULT])  # as a worker does
    open_tallies()
    metrics = WorkerMetrics(
        "benchmark",
        lambda: True,
        tasks=app.routing.tasks,
        queues=app.queue_table,
        served={QueueName.CORE_DEFAULT: "default"},
        processes=lambda: 1,
    )
    app.subscribers.add(metrics.on_event)
    microseconds()
    rounds = [microseconds() for _ in range(ROUNDS)]
    print(f"Promised: {MOST_MICROSECONDS:g} µs at most")
    print(f"CPU per task {median(rounds):.1f} µs (rounds: {', '.join(f'{found:.1f}' for found in rounds)})")


if __name__ == "__main__":
    main()
