"""The base class of every task in a fleet."""

from __future__ import annotations

from typing import Any

from celery.app.task import Task
from celery.exceptions import Reject


class FleetTask(Task):
    """A Celery task whose executions are counted in the worker's parent process."""

    abstract = True
    Request = "shared.worker.request:CountedRequest"

    def retry(self, *args: Any, **options: Any) -> Any:
        """Retry as Celery does, but give the message back to its broker when the retry can't be published.

        Celery drops the message then, and with it the work.
        """
        try:
            return super().retry(*args, **options)
        except Reject as rejected:
            raise Reject(rejected.reason, requeue=True) from rejected
