"""The base class of every task in a fleet."""

from __future__ import annotations

from celery.app.task import Task


class FleetTask(Task):
    """A Celery task whose executions are counted in the worker's parent process."""

    abstract = True
    Request = "shared.worker.request:CountedRequest"
