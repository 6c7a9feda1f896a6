"""Makes the secrets of the fleet in containers, and gives each process its own.

Each subfolder is a volume that one kind of process mounts: what a service reads as its settings, or what a server
reads as its configuration.  Passwords are made once and kept; all else follows from them and is written anew, so that
a new release may add to it.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from services.core.containers.accounts import (
    ACCOUNTS,
    OBSERVER,
    OPERATOR,
    YARD,
    rabbitmq_definitions,
    redis_users,
)
from shared.errors import ConfigurationError
from shared.names import ServiceName

KEPT = "kept"
LEDGER = "ledger"
LEDGER_READER = "ledger_reader"
POSTGRES = "postgres"
GRAFANA = "grafana"
PASSWORDS = (*ACCOUNTS, LEDGER, LEDGER_READER, POSTGRES, GRAFANA)

RELAY_PASSWORD = "yard_smtp_password"  # noqa: S105 - the name of a file


def make_secrets(root: Path) -> bool:
    """Make what is missing below a folder; safe to run again.

    Args:
        root: The folder of the volumes; they are there.

    Returns:
        Whether any password was made.

    Raises:
        ConfigurationError: A folder is missing or can't be written.
    """
    try:
        made = [name for name in PASSWORDS if not (root / KEPT / name).exists()]
        for name in made:
            _write(root / KEPT / name, secrets.token_hex(24))
        passwords = {name: (root / KEPT / name).read_text(encoding="utf-8") for name in PASSWORDS}
        for reader, files in _files(passwords).items():
            for name, text in files.items():
                _write(root / reader / name, text)
    except OSError as error:
        raise _unwritable(root, error) from error
    return bool(made)


def keep_relay_password(root: Path, password: str) -> None:
    """Keep the password of a mail relay, for the mail workers alone.

    Raises:
        ConfigurationError: The folder is missing or can't be written.
    """
    try:
        _write(root / ServiceName.EMAIL_WORKER / RELAY_PASSWORD, password)
    except OSError as error:
        raise _unwritable(root, error) from error


def _files(passwords: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return the files of each reader, by name."""
    ledger = {"yard_database_url": _ledger("switchyard", passwords[LEDGER])}
    reads_ledger = {"yard_database_url": _ledger(OBSERVER, passwords[LEDGER_READER])}
    management = {"yard_broker_batch_management_url": f"http://{OBSERVER}:{passwords[OBSERVER]}@rabbitmq:15672"}
    brokers = {account: _brokers(account, passwords[account]) for account in ACCOUNTS}
    return {
        ServiceName.EMAIL_WORKER: brokers[ServiceName.EMAIL_WORKER],
        ServiceName.FILE_WORKER: brokers[ServiceName.FILE_WORKER],
        ServiceName.CORE: brokers[ServiceName.CORE] | ledger,
        OBSERVER: brokers[OBSERVER] | reads_ledger | management,
        YARD: brokers[YARD] | ledger | management,
        "redis": {"users.acl": redis_users(passwords), OPERATOR: passwords[OPERATOR]},
        "rabbitmq": {
            "definitions.json": json.dumps(rabbitmq_definitions(passwords), indent=2),
            OPERATOR: passwords[OPERATOR],
        },
        "postgres": {
            "ledger.sql": _ledger_role(passwords[LEDGER]),
            "observer.sql": _reader_role(passwords[LEDGER_READER]),  # PostgreSQL runs them by name
            "superuser": passwords[POSTGRES],
        },
        "grafana": {"admin": passwords[GRAFANA]},
    }


def _brokers(account: str, password: str) -> dict[str, str]:
    return {
        "yard_broker_default_url": _redis(account, password, 0),
        "yard_broker_critical_url": _redis(account, password, 1),
        "yard_results_url": _redis(account, password, 2),
        "yard_state_url": _redis(account, password, 3),
        "yard_broker_batch_url": f"amqp://{account}:{password}@rabbitmq:5672//",
    }


def _redis(account: str, password: str, database: int) -> str:
    return f"redis://{account}:{password}@redis:6379/{database}"


def _ledger(role: str, password: str) -> str:
    return f"postgresql://{role}:{password}@postgres:5432/switchyard"


def _ledger_role(password: str) -> str:
    return (
        f"CREATE ROLE switchyard LOGIN PASSWORD '{password}';\n"
        "CREATE DATABASE switchyard OWNER switchyard;\n"
        "REVOKE ALL ON DATABASE switchyard FROM PUBLIC;\n"
    )


def _write(path: Path, text: str) -> None:
    """Replace a file in one step, for its owner and its group, which the servers belong to.

    Raises:
        OSError: It could not be written; what was there is there still.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o440), "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)


def _unwritable(root: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(
        f"The secrets can't be written below {root}: {error.strerror}: {error.filename}. "
        "They are made inside the fleet in containers, by `docker compose up`."
    )


def _reader_role(password: str) -> str:
    """Write what makes the role that reads the ledger and changes nothing; it may be run again."""
    return (
        f"DO $$ BEGIN CREATE ROLE {OBSERVER} LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;\n"
        f"ALTER ROLE {OBSERVER} PASSWORD '{password}';\n"
        f"GRANT CONNECT ON DATABASE switchyard TO {OBSERVER};\n"
        f"GRANT pg_read_all_data TO {OBSERVER};\n"
    )
