"""The file that tells every process of a fleet where its brokers are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from services.core.local.mail_service import LocalMail
from services.core.local.ports import LOOPBACK
from services.core.local.private_files import write_private
from services.core.local.rabbitmq_server import LocalRabbitMQ
from services.core.local.redis_server import LocalRedis
from shared.settings import ENVIRONMENT_PREFIX, FLEET_ENV_FILE, FleetSettings


class FleetEnv:
    """The settings that follow from where a fleet's brokers listen.

    Args:
        home: Folder of the fleet.
        redis: Carries the brokers ``default`` and ``critical``, the results, and shared state.
        rabbitmq: Carries the broker ``batch``.
        mail: Takes the mail.
        through: Gives the port by which processes reach the port of a broker.
    """

    def __init__(
        self,
        home: Path,
        redis: LocalRedis,
        rabbitmq: LocalRabbitMQ,
        mail: LocalMail,
        through: Callable[[int], int],
    ) -> None:
        self._home = home

        def reached(url: str, port: int) -> str:
            return url.replace(f":{port}/", f":{through(port)}/")

        def redis_at(database: int) -> str:
            return reached(redis.url(database), redis.port)

        self._values = {
            "broker_default_url": redis_at(0),
            "broker_critical_url": redis_at(1),
            "results_url": redis_at(2),
            "state_url": redis_at(3),
            "broker_batch_url": reached(rabbitmq.url, rabbitmq.port),
            "broker_batch_management_url": rabbitmq.management_url,
            "smtp_host": LOOPBACK,
            "smtp_port": str(mail.port),
            "smtp_security": "none",
        }

    @property
    def variables(self) -> tuple[str, ...]:
        """The names of the environment variables in the file."""
        return tuple(f"{ENVIRONMENT_PREFIX}{name.upper()}" for name in self._values)

    def write(self) -> None:
        """Write ``<home>/fleet.env``, which holds passwords, so that only its owner can read it."""
        lines = zip(self.variables, self._values.values(), strict=True)
        write_private(self._home / FLEET_ENV_FILE, "".join(f"{name}={value}\n" for name, value in lines))

    def settings(self) -> FleetSettings:
        """Return the settings that a process of the fleet will read, but for its own metrics port."""
        values: dict[str, Any] = {"home": self._home, "metrics_port": None, **self._values}
        return FleetSettings(**values)
