"""The file that tells every process of a fleet where its brokers are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from services.core.local.mail_service import LocalMail
from services.core.local.ports import LOOPBACK
from services.core.local.private_files import write_private
from services.core.local.rabbitmq_server import LocalRabbitMQ
from services.core.local.redis_server import LocalRedis
from shared.settings import FLEET_ENV_FILE, VARIABLES, FleetSettings, child_environment, read_settings


class FleetEnv:
    """The settings that follow from where a fleet's brokers listen: ``variables``, by name.

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

        values = {
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
        self.variables = {VARIABLES[name]: value for name, value in values.items()}

    def write(self) -> None:
        """Write ``<home>/fleet.env``, which holds passwords, so that only its owner can read it."""
        lines = (f"{name}={value}\n" for name, value in self.variables.items())
        write_private(self._home / FLEET_ENV_FILE, "".join(lines))

    def settings(self) -> FleetSettings:
        """Return the settings that a process of the fleet will read, but for the ports that each is given.

        The API has port 0, a free one, unless our environment asks for one.
        """
        inherited = child_environment(without=(VARIABLES["metrics_port"],))
        own = {VARIABLES["home"]: str(self._home), **self.variables}
        return read_settings({VARIABLES["api_port"]: "0", **inherited, **own})
