"""Opens the result store that an app is configured with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery.app import backends

from shared.results.store import FleetStore
from shared.results.urls import understood
from shared.usage_errors import as_usage_error

if TYPE_CHECKING:
    from shared.celery_app import FleetCelery

STORES = {
    "redis": "shared.results.redis:RedisBackend",
    "rediss": "shared.results.redis:RedisBackend",
    "db": "shared.results.database:DatabaseBackend",
    "database": "shared.results.database:DatabaseBackend",
    "cache": "shared.results.memcached:MemcachedBackend",
}
"""The result stores that differ from Celery's, by the scheme of their URL."""


def open_store(app: FleetCelery) -> Any:
    """Make the result store of an app; nothing is connected yet.

    Raises:
        InvalidResultStore: The setting leads to no result store; says how it is spelt.
    """
    app.loader.override_backends = {**STORES, **app.loader.override_backends}
    chosen = app.backend_cls or app.conf.result_backend
    with as_usage_error():
        if isinstance(chosen, str):
            chosen = understood(chosen)
        store, url = backends.by_url(chosen, app.loader)
        return store(app=app, url=url)


def close_store(store: Any) -> None:
    """Close the connections of a result store, where it is one of ours and was opened at all."""
    if isinstance(store, FleetStore):
        store.close()
