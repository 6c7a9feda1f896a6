"""Plain Celery with the settings under which it loses least, and the same shapes of work.

For ``celery -A services.core.chaos.stock worker``; it is what the fleet is compared with, and no part of it.
"""

from __future__ import annotations

import smtplib
import time
from email.message import EmailMessage
from pathlib import Path
from uuid import uuid4

from celery import Celery

from shared.settings import FleetSettings, load_settings

VISIBILITY_SECONDS = 10
VALIDATE, SEND, RECORD = "chaos.validate", "chaos.send", "chaos.record"
PROCESS, MERGE = "chaos.process", "chaos.merge"
PROCESS_SECONDS = 0.15


def stock(settings: FleetSettings) -> Celery:
    """Return an app of one broker, a Redis."""
    app = Celery(
        "stock",
        broker=settings.broker_default_url.get_secret_value(),
        backend=settings.results_url.get_secret_value(),
        set_as_current=False,
    )
    options = {"visibility_timeout": VISIBILITY_SECONDS}
    app.conf.update(
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        broker_connection_retry_on_startup=True,
        broker_channel_error_retry=True,
        broker_transport_options=options,
        result_backend_transport_options=options,
        visibility_timeout=VISIBILITY_SECONDS,
    )
    _add_tasks(app, settings)
    return app


def done_folder(settings: FleetSettings) -> Path:
    """Return the folder where files and chords leave their marks."""
    return settings.storage / "stock"


def _add_tasks(app: Celery, settings: FleetSettings) -> None:
    folder = done_folder(settings)

    @app.task(name=VALIDATE)
    def validate(addresses: list[str]) -> list[str]:
        return [address for address in addresses if "@" in address]

    @app.task(name=SEND, autoretry_for=(OSError,), retry_backoff=True, max_retries=8)
    def send(addresses: list[str]) -> list[str]:
        with smtplib.SMTP(settings.smtp_host, settings.smtp_port, timeout=settings.smtp_timeout_seconds) as client:
            for address in addresses:
                client.send_message(_message(address))
        return addresses

    @app.task(name=RECORD)
    def record(addresses: list[str]) -> int:
        return len(addresses)

    @app.task(name=PROCESS)
    def process(job: str, name: str) -> str:
        time.sleep(PROCESS_SECONDS)
        (folder / job).mkdir(parents=True, exist_ok=True)
        (folder / job / f"{name}.done").touch()
        return name

    @app.task(name=MERGE)
    def merge(_names: list[str], job: str) -> None:
        (folder / job / f"merged-{uuid4().hex}").touch()


def _message(address: str) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"] = "chaos@example.org", address
    message["Subject"], message["Message-ID"] = "Chaos", f"<{address}>"
    message.set_content("Nothing of note.")
    return message


def __getattr__(name: str) -> Celery:
    """Make the app when Celery's command line asks for it."""
    if name != "app":
        raise AttributeError(name)
    globals()["app"] = app = stock(load_settings())
    return app
