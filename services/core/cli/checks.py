"""What ``yard check`` checks: that everything the fleet needs is there and set up to lose nothing."""

from __future__ import annotations

import json
import smtplib
from collections.abc import Callable
from dataclasses import asdict, dataclass

import redis
import typer

from services.core.app import app
from services.core.bootstrap import ledger, storage
from services.core.cli import exit_codes
from services.core.cli.tables import print_table
from services.core.ledger.migrations import require_current
from shared.brokers import BrokerKind
from shared.errors import FleetError
from shared.results.memcached import MemcachedBackend
from shared.results.redis import RedisBackend
from shared.secret import SecretStr
from shared.settings import FleetSettings, load_settings

ANSWER_WITHIN_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one check found."""

    name: str
    ok: bool
    found: str


class CheckFailed(FleetError):
    """Something that the fleet needs is missing or set up wrongly."""


def print_checks(*, as_json: bool) -> int:
    """Run every check, print what each found, and return the exit code: 1 when any failed."""
    results = [_run(name, check) for name, check in all_checks(load_settings())]
    if as_json:
        typer.echo(json.dumps([asdict(result) for result in results], indent=2))
    else:
        rows = [("✓" if result.ok else "✗", result.name, result.found) for result in results]
        print_table(("", "what", "found"), rows)
    return exit_codes.OK if all(result.ok for result in results) else exit_codes.FAILED


def all_checks(settings: FleetSettings) -> list[tuple[str, Callable[[], str]]]:
    """Return every check by name; each returns what it found, or raises."""
    brokers: list[tuple[str, Callable[[], str]]] = [
        (f"broker {broker.alias}", lambda broker=broker: _broker(broker.alias))  # type: ignore[misc]
        for broker in app.brokers.values()
    ]
    return [
        ("settings", lambda: f"home {settings.home.resolve()}"),
        ("tables", lambda: f"{len(app.queue_table)} queues, {len(app.routing.tasks)} tasks"),
        *brokers,
        ("result store", lambda: _result_store(settings)),
        ("shared state", lambda: _redis(settings.state_url)),
        ("ledger", _ledger),
        ("storage", _storage),
        ("mail relay", lambda: _relay(settings)),
    ]


def _run(name: str, check: Callable[[], str]) -> CheckResult:
    try:
        return CheckResult(name, ok=True, found=check())
    except Exception as error:  # noqa: BLE001 - whatever a driver raises is what was found
        return CheckResult(name, ok=False, found=" ".join(f"{type(error).__name__}: {error}".split()))


def _broker(alias: str) -> str:
    broker = app.brokers[alias]
    if broker.kind is BrokerKind.REDIS:
        return _redis(broker.url)
    with app.connection_for_write(alias, connect_timeout=ANSWER_WITHIN_SECONDS) as connection:
        connection.ensure_connection(max_retries=1)
        return f"RabbitMQ {connection.connection.server_properties['version']} at {broker.masked_url}"


def _redis(url: SecretStr) -> str:
    with redis.Redis.from_url(
        url.get_secret_value(), socket_timeout=ANSWER_WITHIN_SECONDS, decode_responses=True
    ) as client:
        version = client.info("server")["redis_version"]
        policy = client.info("memory").get("maxmemory_policy", "noeviction")
        persistence = client.info("persistence")
    if policy != "noeviction":
        raise CheckFailed(f"maxmemory-policy is {policy}: a full Redis would throw work away; set noeviction.")
    kept = "append-only file" if persistence.get("aof_enabled") else "no append-only file: a crash loses work"
    return f"Redis {version}, {kept}"


def _result_store(settings: FleetSettings) -> str:
    store = app.backend
    store.get_task_meta("asked by yard check")
    if isinstance(store, RedisBackend):
        return _redis(settings.results_url)
    kept = "lost when it restarts or is full" if isinstance(store, MemcachedBackend) else "on disk"
    return f"{store.as_uri()}, {kept}"


def _ledger() -> str:
    require_current(ledger())
    return f"{ledger()!r}"


def _storage() -> str:
    root = storage().root
    if root.exists() and not root.is_dir():
        raise CheckFailed(f"{root} is no folder.")
    return f"{root}" if root.exists() else f"{root}, made at the first job"


def _relay(settings: FleetSettings) -> str:
    server = smtplib.SMTP_SSL if settings.smtp_security == "tls" else smtplib.SMTP
    with server(settings.smtp_host, settings.smtp_port, timeout=ANSWER_WITHIN_SECONDS) as relay:
        code, _ = relay.ehlo()
    return f"{settings.smtp_host}:{settings.smtp_port} answered {code}"
