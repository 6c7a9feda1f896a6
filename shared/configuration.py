"""Celery settings of a fleet: safe defaults, transports per kind of broker, and a check of every name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from inspect import isclass, ismodule, isroutine
from types import MappingProxyType
from typing import Any, Self

from celery.app.defaults import _OLD_SETTING_KEYS, SETTING_KEYS
from celery.app.utils import Settings
from celery.utils.collections import DictAttribute

from shared.brokers import BrokerKind
from shared.errors import UnknownSetting

FLEET_DEFAULTS: Mapping[str, Any] = MappingProxyType(
    {
        # Work is given back when its worker dies: acknowledged after it ran, one message held per slot.
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        "worker_prefetch_multiplier": 1,
        # Queues exist only in the table; a misspelt one is an error and not a new queue.
        "task_create_missing_queues": False,
        # A worker waits for its broker and outlives errors of it.
        "broker_connection_retry_on_startup": True,
        "broker_channel_error_retry": True,
        "broker_connection_max_retries": None,
        # RabbitMQ advises 5 s at least.  Looked at every second, a connection on which nothing arrives is given up
        # after 7 s, so that a worker consumes again within 10.
        "broker_heartbeat": 5,
        "broker_heartbeat_checkrate": 5,
        # No command on results waits without end; redis-py's own limits are two minutes and none.
        "redis_socket_timeout": 10,
        "redis_socket_connect_timeout": 4,
        # Neither a publish nor the start of a worker needs the result store: it makes its tables when first used.
        "database_create_tables_at_setup": False,
        "worker_consumer": "shared.worker.consumer:FleetConsumer",
        "beat_scheduler": "shared.beat:FleetScheduler",
        # About two seconds of tries, then the caller hears of it; FleetProducer bounds them in all.
        "task_publish_retry_policy": {
            "max_retries": 3,
            "interval_start": 0.2,
            "interval_step": 0.5,
            "interval_max": 1,
        },
        "timezone": "UTC",
    }
)

TRANSPORTS: Mapping[str, str] = MappingProxyType(
    {
        "redis": "shared.transports.redis:Transport",
        "rediss": "shared.transports.redis:Transport",
        "amqp": "shared.transports.rabbitmq:Transport",
        "pyamqp": "shared.transports.rabbitmq:Transport",
        "amqps": "shared.transports.rabbitmq:TLSTransport",
    }
)
"""By the scheme of a URL."""

FIXED_TRANSPORT_OPTIONS = frozenset(
    {"priority_steps", "queue_order_strategy", "sep", "unacked_key", "unacked_index_key", "global_keyprefix"}
)
"""Workers, publishers and the count of depths must agree on these, hence nobody may change them."""

TRANSPORT_OPTIONS: Mapping[BrokerKind, Mapping[str, Any]] = MappingProxyType(
    {
        BrokerKind.REDIS: {
            # Bounds every command on a silent connection; a third of a lease, so that a wait in vain loses none.
            "socket_timeout": 3,
            "socket_connect_timeout": 4,
            "socket_keepalive": True,
        },
        BrokerKind.RABBITMQ: {},
    }
)

NAMESPACES = frozenset(key.partition("_")[0] for key in SETTING_KEYS if "_" in key)
UNLISTED = frozenset(
    {
        "deprecated_settings",
        "result_backend_thread_safe",
        "cassandra_secure_bundle_path",
        "firestore_project",
        "gcs_threadpool_maxsize",
    }
)
"""Settings that Celery reads and does not list among its defaults."""

USER_AND_PASSWORD = re.compile(r"://[^/@\s]*@")


class CheckedSettings(Settings):
    """Celery's settings, in which a name that does not exist is refused instead of ignored."""

    generation = 0
    """Another number after each change; what is prepared from settings is then prepared anew."""

    @classmethod
    def over(cls, settings: Settings) -> Self:
        """Return checked settings that share the maps of given ones."""
        return cls(settings.changes, settings.defaults, settings._keys, settings.prefix)  # noqa: SLF001

    def __repr__(self) -> str:
        return "<CheckedSettings; humanize() shows them without their secrets>"

    def __setitem__(self, key: str, value: Any) -> None:
        self._refuse_unknown([key])
        self._count_change()
        super().__setitem__(key, value)

    def __delitem__(self, key: str) -> None:
        self._count_change()
        super().__delitem__(key)

    def update(self, *args: Any, **kwargs: Any) -> Any:
        """Change several settings at once.

        Raises:
            UnknownSetting: One of them does not exist; none was changed.
        """
        self._refuse_unknown(dict(*args, **kwargs))
        self._count_change()
        return super().update(*args, **kwargs)

    def refuse_unknown(self) -> None:
        """Check everything that was configured so far, from whatever source.

        Raises:
            UnknownSetting: A setting does not exist in Celery.
        """
        prefix = (self.prefix or "").upper()
        for source in self.maps[:-1]:
            names = [key for key in source if not key.startswith("_") and key.upper().startswith(prefix)]
            if isinstance(source, DictAttribute):  # a module or class: it holds imports and helpers too
                names = [key for key in names if looks_like_a_setting(key) and not is_code(source[key])]
            self._refuse_unknown(names)

    def add_defaults(self, d: Any) -> None:
        """Add defaults, as ``app.add_defaults`` does.

        Raises:
            UnknownSetting: One of them does not exist; none was added.
        """
        self._refuse_unknown(d)
        self._count_change()
        super().add_defaults(d)

    def table(self, with_defaults: bool = False, censored: bool = True) -> Any:
        """Return the settings as a dictionary, without passwords unless they are asked for."""
        shown = super().table(with_defaults, censored)
        routes = shown.get("task_routes")
        if censored and routes:
            shown["task_routes"] = USER_AND_PASSWORD.sub("://**@", repr(routes))
        return shown

    def add_below(self, defaults: Mapping[str, Any]) -> None:
        """Add defaults that win over Celery's own and over nothing else."""
        self.defaults.insert(-1, dict(defaults))
        self.maps.insert(-1, self.defaults[-2])

    def on_reading_add_below(self, defaults: Mapping[str, Any]) -> None:
        """Add such defaults to what these settings become once they are read, in the same step.

        Another thread that looks meanwhile must not see Celery's defaults alone, in which there is no broker.
        """
        self.__dict__["below"] = dict(defaults)

    def swap_with(self, other: Any) -> None:
        """Become the settings that were read."""
        if (below := self.__dict__.pop("below", None)) is not None:
            other = CheckedSettings.over(other)
            other.add_below(below)
        super().swap_with(other)

    def _count_change(self) -> None:
        self.__dict__["generation"] = self.generation + 1  # an attribute would be a setting

    def _refuse_unknown(self, keys: Iterable[str]) -> None:
        for key in keys:
            if not self._known(key):
                spelt = key.removeprefix(self.prefix or "CELERY_").lower()
                raise UnknownSetting.named(key, spelt, SETTING_KEYS)

    def _known(self, key: str) -> bool:
        if key in SETTING_KEYS or key in _OLD_SETTING_KEYS or key in UNLISTED:
            return True
        prefix = self.prefix or ""
        return bool(prefix) and key.upper().startswith(prefix.upper()) and key[len(prefix) :].lower() in SETTING_KEYS


def looks_like_a_setting(name: str) -> bool:
    """Tell whether a name in a configuration module is meant for Celery, rightly spelt or not."""
    lower = name.lower()
    plain = lower.removeprefix("celery_")
    prefixed = plain != lower or plain.partition("_")[0] in NAMESPACES
    return prefixed or bool(get_close_matches(plain, SETTING_KEYS, n=1, cutoff=0.8))


def is_code(value: object) -> bool:
    """Tell whether a value in a configuration module is no setting: an import, a function or a class."""
    return ismodule(value) or isroutine(value) or isclass(value)
