"""Celery settings of a fleet: safe defaults, transports per kind of broker, and a check of every name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from inspect import isclass, ismodule, isroutine
from types import MappingProxyType
from typing import Any, Self

from celery.app.defaults import _OLD_SETTING_KEYS, SETTING_KEYS
from celery.app.utils import Settings

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
        # About three seconds of tries, then the caller hears of it.
        "task_publish_retry_policy": {
            "max_retries": 3,
            "interval_start": 0.2,
            "interval_step": 0.5,
            "interval_max": 1,
        },
        "timezone": "UTC",
    }
)

TRANSPORTS: Mapping[BrokerKind, str] = MappingProxyType(
    {BrokerKind.REDIS: "shared.transports.redis:Transport", BrokerKind.RABBITMQ: "pyamqp"}
)

TRANSPORT_OPTIONS: Mapping[BrokerKind, Mapping[str, Any]] = MappingProxyType(
    {
        BrokerKind.REDIS: {
            # Longer than any time limit of the queue table, or running work would be handed out twice.
            "visibility_timeout": 900,
            # Above the second that a blocking pop waits; bounds every other command on a silent connection.
            "socket_timeout": 10,
            "socket_connect_timeout": 4,
            "socket_keepalive": True,
        },
        # A publish returns when RabbitMQ has the message.
        BrokerKind.RABBITMQ: {"confirm_publish": True},
    }
)

SET_BY_CELERY = frozenset({"deprecated_settings"})


class CheckedSettings(Settings):
    """Celery's settings, in which a name that does not exist is refused instead of ignored."""

    @classmethod
    def over(cls, settings: Settings) -> Self:
        """Return checked settings that share the maps of given ones."""
        return cls(settings.changes, settings.defaults, settings._keys, settings.prefix)  # noqa: SLF001

    def __repr__(self) -> str:
        return "<CheckedSettings; humanize() shows them without their secrets>"

    def __setitem__(self, key: str, value: Any) -> None:
        self._refuse_unknown([key])
        super().__setitem__(key, value)

    def update(self, *args: Any, **kwargs: Any) -> Any:
        """Change several settings at once.

        Raises:
            UnknownSetting: One of them does not exist; none was changed.
        """
        self._refuse_unknown(dict(*args, **kwargs))
        return super().update(*args, **kwargs)

    def refuse_unknown(self) -> None:
        """Check everything that was configured so far, from whatever source.

        Raises:
            UnknownSetting: A setting does not exist in Celery.
        """
        for source in self.maps[:-1]:
            self._refuse_unknown(
                key for key in source if not key.startswith("_") and not (is_code(source[key]) or key in dir(dict))
            )

    def add_below(self, defaults: Mapping[str, Any]) -> None:
        """Add defaults that win over Celery's own and over nothing else."""
        self.defaults.insert(-1, dict(defaults))
        self.maps.insert(-1, self.defaults[-2])

    def _refuse_unknown(self, keys: Iterable[str]) -> None:
        for key in keys:
            if not self._known(key):
                spelt = key.removeprefix(self.prefix or "CELERY_").lower()
                raise UnknownSetting(key, spelt, SETTING_KEYS)

    def _known(self, key: str) -> bool:
        if key in SETTING_KEYS or key in _OLD_SETTING_KEYS or key in SET_BY_CELERY:
            return True
        prefix = self.prefix
        if not prefix:
            return False
        # A module that is read with a namespace, such as Django's settings, holds settings of others too.
        return not key.upper().startswith(prefix.upper()) or key[len(prefix) :].lower() in SETTING_KEYS


def is_code(value: object) -> bool:
    """Tell whether a value in a configuration module is no setting: an import, a function or a class."""
    return ismodule(value) or isroutine(value) or isclass(value)
