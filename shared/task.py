"""The base class of every task in a fleet."""

from __future__ import annotations

from typing import Any

from celery.app.task import Task
from celery.exceptions import Reject
from kombu.exceptions import OperationalError


class FleetTask(Task):
    """A Celery task whose executions are counted in the worker's parent process."""

    abstract = True
    Request = "shared.worker.request:CountedRequest"

    def retry(self, *args: Any, **options: Any) -> Any:
        """Retry as Celery does, but lose nothing when the retry can't be published.

        Celery drops the message then, and with it the work.  Here it goes back to its broker when the other broker
        is out of reach; when the retry can never be published (an unknown queue, an argument that is no JSON), the
        task fails with that error, and its errbacks run.
        """
        try:
            return super().retry(*args, **options)
        except Reject as rejected:
            if isinstance(rejected.reason, OperationalError):
                raise Reject(rejected.reason, requeue=True) from rejected
            raise rejected.reason from rejected
