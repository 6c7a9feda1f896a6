"""How a delayed task ends that never reaches a worker: it is recorded as a worker would record it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from celery.app.task import Context
from kombu.compression import decompress
from kombu.serialization import loads

from shared.delays.entry import Entry

if TYPE_CHECKING:
    from shared.celery_app import FleetCelery


def revoke(app: FleetCelery, entry: Entry) -> None:
    """Store that a task was revoked, and let its chord know."""
    backend, request, store = _recording(app, entry)
    backend.mark_as_revoked(entry.task_id, "revoked", request=request, store_result=store)


def fail(app: FleetCelery, entry: Entry, error: Exception) -> None:
    """Store that a task failed, and let its chord, chain and errbacks know."""
    backend, request, store = _recording(app, entry)
    backend.mark_as_failure(entry.task_id, error, request=request, store_result=store)


def body_of(entry: Entry) -> str | bytes:
    """Return the body of a message, not compressed."""
    body, compression = entry.message["body"], entry.headers.get("compression")
    if compression is None:
        return body
    plain: str | bytes = decompress(body, compression)
    return plain


def payload_of(entry: Entry) -> tuple[Any, Any, Mapping[str, Any]]:
    """Return positional arguments, keyword arguments, and what comes after the task.

    Raises:
        kombu.exceptions.KombuError: The body can't be decoded.
    """
    message = entry.message
    content_type = message["content_type"]
    args, kwargs, embedded = loads(body_of(entry), content_type, message["content_encoding"], accept=[content_type])
    return args, kwargs, embedded


def _recording(app: FleetCelery, entry: Entry) -> tuple[Any, Context, bool]:
    """Return the result store of a task, its request, and whether its result is wanted."""
    args, kwargs, embedded = payload_of(entry)
    delivery = {"exchange": entry.message["exchange"], "routing_key": entry.message["routing_key"]}
    request = Context({**entry.headers, "args": args, "kwargs": kwargs, "delivery_info": delivery, **embedded})
    task = app.tasks.get(entry.task)
    backend = task.backend if task is not None else app.backend
    return backend, request, not entry.headers.get("ignore_result")
