"""The only reader of the environment: typed, frozen, checked before anything starts.

Each setting is read from ``YARD_<NAME>`` in the environment, then from ``<home>/fleet.env`` (written by
``yard up`` for the fleet that it started), then from the file ``yard_<name>`` in the folder of secrets, then from
the default here.  ``yard check`` prints what is in force.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.bounds import DELAYED_TASKS, MESSAGE_BYTES
from shared.chords.deadline import DEADLINE_SECONDS
from shared.errors import InvalidSettings, did_you_mean

ENVIRONMENT_PREFIX = "YARD_"
FLEET_ENV_FILE = "fleet.env"

MOST_MESSAGE_BYTES = 16 * 1024 * 1024
"""What RabbitMQ 4 takes unless it is told otherwise; https://www.rabbitmq.com/docs/configure (max_message_size)."""
Port = Annotated[int, Field(ge=0, le=65535)]


def _networks(given: str) -> str:
    """Check a list of addresses and networks with commas, and write them as networks."""
    try:
        return ",".join(str(ip_network(part.strip())) for part in given.split(",") if part.strip())
    except ValueError:
        raise ValueError("Write addresses or networks, such as 10.0.0.0/8, with commas between them") from None


class FleetSettings(BaseSettings):
    """Every setting of the fleet.  URLs may hold passwords and are masked wherever they are shown."""

    model_config = SettingsConfigDict(
        env_prefix=ENVIRONMENT_PREFIX, frozen=True, extra="forbid", hide_input_in_errors=True
    )

    home: Path = Path("var")
    """Folder for everything that a fleet on one machine writes."""
    secrets_dir: Path | None = None
    """Folder with a file ``yard_<name>`` for each setting that the environment should not hold."""

    broker_default_url: SecretStr = SecretStr("redis://127.0.0.1:6379/0")
    broker_critical_url: SecretStr = SecretStr("redis://127.0.0.1:6379/1")
    broker_batch_url: SecretStr = SecretStr("amqp://guest:guest@127.0.0.1:5672//")
    broker_batch_management_url: SecretStr | None = None
    """RabbitMQ's management API, with user and password; without it unacknowledged depths are unknown."""
    results_url: SecretStr = SecretStr("redis://127.0.0.1:6379/2")
    """Result store: ``redis://…``, ``db+postgresql://…``, ``db+sqlite:///…`` or ``cache+memcached://…``."""
    state_url: SecretStr = SecretStr("redis://127.0.0.1:6379/3")
    """Redis database for claims, limits and counters."""
    results_expire_seconds: Annotated[int, Field(ge=0)] = 24 * 3600
    """How long results are kept; 0 keeps them until somebody forgets them."""
    results_inline_bytes: Annotated[int, Field(ge=0)] = 256 * 1024
    """A result that is larger goes to storage, where a service has that, and leaves a reference."""
    chord_deadline_seconds: Annotated[int, Field(gt=0)] = DEADLINE_SECONDS
    """After this time a chord has failed for which no deadline was given."""
    message_max_bytes: Annotated[int, Field(gt=0, le=MOST_MESSAGE_BYTES)] = MESSAGE_BYTES
    """The largest body of a message, encoded and compressed; a larger one is refused before it is sent."""
    delayed_max_tasks: Annotated[int, Field(gt=0)] = DELAYED_TASKS
    """How many tasks may wait for their time; a further one is refused."""

    database_url: SecretStr | None = None
    """The ledger, as an SQLAlchemy URL; without it SQLite in ``<home>/ledger.db``."""
    storage_root: Path | None = None
    """Folder of submitted files and artefacts; without it ``<home>/storage``."""
    artefacts_expire_days: Annotated[int, Field(gt=0)] = 30
    arguments_expire_days: Annotated[int, Field(gt=0)] = 30
    """How long a large argument is kept for its task; longer than any message lives."""
    dead_letters_expire_days: Annotated[int, Field(gt=0)] = 30
    """How long a dead letter stays in the ledger, from when it was taken out."""
    dead_letters_per_queue: Annotated[int, Field(gt=0)] = 10_000
    """How many dead letters of a queue the ledger keeps; the oldest go."""
    history_expire_days: Annotated[int, Field(gt=0)] = 7
    """How long the history of tasks reaches back."""
    history_max_tasks: Annotated[int, Field(gt=0)] = 1_000_000
    """How many tasks the history keeps; the oldest go."""
    task_events: bool = True
    """Whether publishers and workers of the services tell of each task, for monitors and the history."""
    ledger_expire_days: Annotated[int, Field(gt=0)] = 365
    """How long after their end jobs, campaigns and mails stay in the ledger; not shorter than their files do."""

    smtp_host: str = "127.0.0.1"
    smtp_port: Port = 25
    smtp_security: Literal["none", "starttls", "tls"] = "none"
    smtp_ca_file: Path | None = None
    """Certificates to trust instead of the system's, for a relay with a private authority."""
    smtp_username: str | None = None
    smtp_password: SecretStr | None = None
    smtp_timeout_seconds: Annotated[float, Field(gt=0)] = 20.0
    mail_sender: str = "Switchyard <switchyard@localhost.localdomain>"
    mail_domain: str = "switchyard.localdomain"
    """Right-hand side of every Message-ID."""
    mail_templates: Path | None = None
    """Folder of your own templates; looked at before those that come with Switchyard."""
    mail_check_deliverability: bool = False
    """Ask DNS whether the domain of a recipient takes mail."""
    campaign_chunk_size: Annotated[int, Field(gt=0, le=1000)] | None = None
    """How many recipients travel in one message; without it a hundredth of the list, at least 50 and at most 250."""
    campaign_window: Annotated[int, Field(gt=0, le=1000)] = 8
    """How many chunks of one campaign may be under way at once."""

    api_host: str = "127.0.0.1"
    """Address of the HTTP API."""
    api_port: Port = 8080
    """Port of the HTTP API; 0 takes a free one."""
    api_upload_max_bytes: Annotated[int, Field(gt=0)] = 1024 * 1024 * 1024
    """The largest upload of files, or list of recipients."""
    api_requests_per_second: Annotated[float, Field(gt=0)] = 20.0
    """How often a key may ask in the long run, of all processes of the API; bursts of ten seconds are allowed."""
    api_forwarded_allow_ips: Annotated[str, AfterValidator(_networks)] | None = None
    """Proxies before the API that tell the client's address and scheme: addresses and networks, with commas."""

    log_format: Literal["auto", "json", "text"] = "auto"
    """Form of log lines; ``auto`` is text on a terminal and JSON elsewhere."""
    metrics_host: str = "127.0.0.1"
    metrics_port: Port | None = None
    """Port of ``/metrics`` of this process; 0 takes a free one, ``None`` serves none."""
    run_dir: Path | None = None
    """Folder where processes report their health; without it ``<home>/run``.  No two machines may share it."""

    @property
    def ledger_url(self) -> SecretStr:
        """The SQLAlchemy URL of the ledger."""
        return self.database_url or SecretStr(f"sqlite:///{(self.home / 'ledger.db').resolve()}")

    @property
    def storage(self) -> Path:
        """The absolute folder below which all files of jobs lie."""
        return (self.storage_root or self.home / "storage").resolve()

    @property
    def run_folder(self) -> Path:
        """The absolute folder where the processes of this machine report their health."""
        return (self.run_dir or self.home / "run").resolve()


@cache
def load_settings() -> FleetSettings:
    """Read the settings once per process.

    Raises:
        InvalidSettings: A variable or the file of a secret is misspelt, a file can't be read, or a value is of the
            wrong type or out of range; names each setting, shows no value.
    """
    home = Path(os.environ.get(f"{ENVIRONMENT_PREFIX}HOME", "var"))
    secrets_dir = os.environ.get(f"{ENVIRONMENT_PREFIX}SECRETS_DIR")
    _refuse_misspelt(os.environ, ENVIRONMENT_PREFIX, str.upper)
    _refuse_misspelt(_files_in(secrets_dir), ENVIRONMENT_PREFIX.lower(), str.lower)
    try:
        return FleetSettings(_env_file=home / FLEET_ENV_FILE, _secrets_dir=secrets_dir)
    except OSError as error:
        raise InvalidSettings(f"YARD_SECRETS_DIR: a file can't be read: {error.strerror}.") from None
    except ValidationError as error:
        raise InvalidSettings(
            "; ".join(
                f"{ENVIRONMENT_PREFIX}{'.'.join(map(str, line['loc'])).upper()}: {line['msg']}"
                for line in error.errors(include_input=False, include_url=False)
            )
        ) from None


def _refuse_misspelt(given: Iterable[str], prefix: str, spelt: Callable[[str], str]) -> None:
    known = {spelt(f"{prefix}{name}") for name in FleetSettings.model_fields}
    for name in given:
        if name.startswith(prefix) and name not in known:
            raise InvalidSettings(f"There is no setting {name}.{did_you_mean(name, known)}")


def _files_in(folder: str | None) -> list[str]:
    if folder is None:
        return []
    try:
        return [path.name.lower() for path in Path(folder).iterdir()]
    except OSError as error:
        raise InvalidSettings(f"YARD_SECRETS_DIR: the folder {folder!r} can't be read: {error.strerror}.") from None


def child_environment(overrides: Mapping[str, str] | None = None, *, without: tuple[str, ...] = ()) -> dict[str, str]:
    """Copy this process's environment for a child process.

    Args:
        overrides: Variables to set, whatever they are here.
        without: Beginnings of the names of variables that the child does not get.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(without)}
    return {**inherited, **(overrides or {})}
