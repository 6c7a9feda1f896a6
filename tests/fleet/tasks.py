"""Tasks that publish others on each of the paths that Celery has."""

from __future__ import annotations

from celery import Signature

from tests.fleet.app import app


@app.task(name="try.echo")
def echo(*values):
    return values[0] if len(values) == 1 else list(values)


@app.task(name="try.fail")
def fail():
    raise ValueError("as asked")


@app.task(name="try.note")
def note(task_id):
    return task_id


@app.task(name="try.call", bind=True)
def call(self, queue, task_id):
    return echo.apply_async(("called",), queue=queue, task_id=task_id).id


@app.task(name="try.retry_on", bind=True, max_retries=3)
def retry_on(self, queue):
    """Retry into another queue, of whichever broker."""
    raise self.retry(queue=queue, countdown=0)


@app.task(name="try.retry_here", bind=True, max_retries=3)
def retry_here(self):
    """Retry twice as one usually writes it."""
    if self.request.retries < 2:
        raise self.retry(countdown=0)
    return self.request.retries, self.request.delivery_info["routing_key"]


@app.task(name="try.replace", bind=True)
def replace(self, signature):
    raise self.replace(Signature.from_dict(signature, app=app))


@app.task(name="try.priority", bind=True)
def priority(self):
    return self.request.delivery_info["priority"]
