"""The only reader of the environment: typed, frozen, checked before anything starts.

Each setting is read from ``YARD_<NAME>`` in the environment, then from ``<home>/fleet.env`` (written by
``yard up`` for the fleet that it started), then from the file ``yard_<name>`` in the folder of secrets, then from
the default here.  ``yard check`` prints what is in force.

Every process of the fleet reads its settings, so what reads them is small and quick to import.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from shared.bounds import DELAYED_TASKS, MESSAGE_BYTES
from shared.chords.deadline import DEADLINE_SECONDS
from shared.env_file import read_env_file
from shared.errors import InvalidSettings, did_you_mean
from shared.secret import SecretStr
from shared.setting_values import Networks, read_value

ENVIRONMENT_PREFIX = "YARD_"
FLEET_ENV_FILE = "fleet.env"

MOST_MESSAGE_BYTES = 16 * 1024 * 1024
"""What RabbitMQ 4 takes unless it is told otherwise; https://www.rabbitmq.com/docs/configure (max_message_size)."""
Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]


class FleetSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Every setting of the fleet.  URLs may hold passwords and are masked wherever they are shown.

    What is given to the class is taken as it is; ``read_settings`` reads texts, and checks them.
    """

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
    results_expire_seconds: Annotated[int, msgspec.Meta(ge=0)] = 24 * 3600
    """How long results are kept; 0 keeps them until somebody forgets them."""
    results_inline_bytes: Annotated[int, msgspec.Meta(ge=0)] = 256 * 1024
    """A result that is larger goes to storage, where a service has that, and leaves a reference."""
    chord_deadline_seconds: Annotated[int, msgspec.Meta(gt=0)] = DEADLINE_SECONDS
    """After this time a chord has failed for which no deadline was given."""
    message_max_bytes: Annotated[int, msgspec.Meta(gt=0, le=MOST_MESSAGE_BYTES)] = MESSAGE_BYTES
    """The largest body of a message, encoded and compressed; a larger one is refused before it is sent."""
    delayed_max_tasks: Annotated[int, msgspec.Meta(gt=0)] = DELAYED_TASKS
    """How many tasks may wait for their time; a further one is refused."""

    database_url: SecretStr | None = None
    """The ledger, as an SQLAlchemy URL; without it SQLite in ``<home>/ledger.db``."""
    storage_root: Path | None = None
    """Folder of submitted files and artefacts; without it ``<home>/storage``."""
    artefacts_expire_days: Annotated[int, msgspec.Meta(gt=0)] = 30
    arguments_expire_days: Annotated[int, msgspec.Meta(gt=0)] = 30
    """How long a large argument is kept for its task; longer than any message lives."""
    dead_letters_expire_days: Annotated[int, msgspec.Meta(gt=0)] = 30
    """How long a dead letter stays in the ledger, from when it was taken out."""
    dead_letters_per_queue: Annotated[int, msgspec.Meta(gt=0)] = 10_000
    """How many dead letters of a queue the ledger keeps; the oldest go."""
    history_expire_days: Annotated[int, msgspec.Meta(gt=0)] = 7
    """How long the history of tasks reaches back."""
    history_max_tasks: Annotated[int, msgspec.Meta(gt=0)] = 1_000_000
    """How many tasks the history keeps; the oldest go."""
    task_events: bool = True
    """Whether publishers and workers of the services tell of each task, for monitors and the history."""
    ledger_expire_days: Annotated[int, msgspec.Meta(gt=0)] = 365
    """How long after their end jobs, campaigns and mails stay in the ledger; not shorter than their files do."""

    smtp_host: str = "127.0.0.1"
    smtp_port: Port = 25
    smtp_security: Literal["none", "starttls", "tls"] = "none"
    smtp_ca_file: Path | None = None
    """Certificates to trust instead of the system's, for a relay with a private authority."""
    smtp_username: str | None = None
    smtp_password: SecretStr | None = None
    smtp_timeout_seconds: Annotated[float, msgspec.Meta(gt=0)] = 20.0
    mail_sender: str = "Switchyard <switchyard@localhost.localdomain>"
    mail_domain: str = "switchyard.localdomain"
    """Right-hand side of every Message-ID."""
    mail_templates: Path | None = None
    """Folder of your own templates; looked at before those that come with Switchyard."""
    mail_check_deliverability: bool = False
    """Ask DNS whether the domain of a recipient takes mail."""
    campaign_chunk_size: Annotated[int, msgspec.Meta(gt=0, le=1000)] | None = None
    """How many recipients travel in one message; without it a hundredth of the list, at least 50 and at most 250."""
    campaign_window: Annotated[int, msgspec.Meta(gt=0, le=1000)] = 8
    """How many chunks of one campaign may be under way at once."""

    api_host: str = "127.0.0.1"
    """Address of the HTTP API."""
    api_port: Port = 8080
    """Port of the HTTP API; 0 takes a free one."""
    api_upload_max_bytes: Annotated[int, msgspec.Meta(gt=0)] = 1024 * 1024 * 1024
    """The largest upload of files, or list of recipients."""
    api_requests_per_second: Annotated[float, msgspec.Meta(gt=0)] = 20.0
    """How often a key may ask in the long run, of all processes of the API; bursts of ten seconds are allowed."""
    api_forwarded_allow_ips: Networks | None = None
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


VARIABLES = {name: f"{ENVIRONMENT_PREFIX}{name.upper()}" for name in FleetSettings.__struct_fields__}
"""The variable of each setting."""


@cache
def load_settings() -> FleetSettings:
    """Read the settings once per process.

    Raises:
        InvalidSettings: As for ``read_settings``.
    """
    return read_settings(os.environ)


def read_settings(environment: Mapping[str, str]) -> FleetSettings:
    """Read the settings that a process with this environment has.

    Raises:
        InvalidSettings: A variable or the file of a secret is misspelt, a file can't be read, or a value is of the
            wrong type or out of range; names each setting, shows no value.
    """
    home = Path(environment.get(VARIABLES["home"], "var"))
    given = {name: text for name, text in environment.items() if name.startswith(ENVIRONMENT_PREFIX)}
    _refuse_misspelt(given)
    secrets = _secrets(environment.get(VARIABLES["secrets_dir"]))
    in_file = read_env_file(home / FLEET_ENV_FILE)
    _refuse_misspelt(in_file)
    return _checked({**secrets, **in_file, **given})


def _checked(given: Mapping[str, str]) -> FleetSettings:
    """Make the settings of the texts that were given for variables."""
    values, problems = {}, []
    for field in msgspec.structs.fields(FleetSettings):
        variable = VARIABLES[field.name]
        if variable not in given:
            continue
        try:
            values[field.name] = read_value(given[variable], field.type)
        except ValueError as error:
            problems.append(f"{variable}: {error}")
    if problems:
        raise InvalidSettings(f"{'; '.join(problems)}.")
    return FleetSettings(**values)


def _secrets(folder: str | None) -> dict[str, str]:
    """Return what the files in the folder of secrets hold, by the variable that each stands for."""
    if folder is None:
        return {}
    try:
        files = {path.name.lower(): path for path in Path(folder).iterdir()}
    except OSError as error:
        raise InvalidSettings(f"YARD_SECRETS_DIR: the folder {folder!r} can't be read: {error.strerror}.") from None
    ours = {name: path for name, path in files.items() if name.startswith(ENVIRONMENT_PREFIX.lower())}
    _refuse_misspelt(ours, str.lower)
    return {name.upper(): _secret(path) for name, path in ours.items()}


def _secret(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise InvalidSettings(f"YARD_SECRETS_DIR: the file {path.name!r} can't be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise InvalidSettings(f"YARD_SECRETS_DIR: the file {path.name!r} can't be read: it is not UTF-8.") from None


def _refuse_misspelt(given: Iterable[str], spelt: Callable[[str], str] = str) -> None:
    known = {spelt(variable) for variable in VARIABLES.values()}
    for name in given:
        if name not in known:
            raise InvalidSettings(f"There is no setting {name}.{did_you_mean(name, known)}")


def child_environment(overrides: Mapping[str, str] | None = None, *, without: tuple[str, ...] = ()) -> dict[str, str]:
    """Copy this process's environment for a child process.

    Args:
        overrides: Variables to set, whatever they are here.
        without: Beginnings of the names of variables that the child does not get.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(without)}
    return {**inherited, **(overrides or {})}
