"""A campaign as a person would write it, and as a bare loop: ``benchmarks.timed`` calls these."""

from __future__ import annotations

import csv
import multiprocessing
import smtplib
import time
from collections.abc import Sequence
from email.message import EmailMessage
from multiprocessing.synchronize import Barrier
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, select_autoescape

from services.core.bootstrap import ledger
from services.core.ledger.campaigns import the_campaign
from services.core.ledger.ids import new_id
from services.core.ledger.states import State
from services.core.local.waiting import wait_until
from services.core.usecases.submit_campaign import submit_campaign
from services.core.workflows import campaign_to_publish
from shared.settings import load_settings

PROCESSES = 2
TEMPLATES = Path(__file__).parents[1] / "services/email_worker/templates"
SENDER = "Switchyard <switchyard@localhost.localdomain>"
POLL_SECONDS = 0.1
WITHIN_SECONDS = 120.0

Row = dict[str, str]


def write_list(number: int) -> None:
    """Write the list of recipients that the others of this module take."""
    path = _list(number)
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (
        f"r{each}@bench.example.org,Reader {each},News from town {each},What is new in town {each}."
        for each in range(number)
    )
    path.write_text("address,name,headline,story\n" + "\n".join(lines) + "\n")


def _list(number: int) -> Path:
    return load_settings().home / "lists" / f"{number}.csv"


def campaign(number: int) -> None:
    """Submit a campaign and wait for the last outcome in the ledger."""
    settings, campaign_id = load_settings(), new_id("campaign", ledger().clock())
    submit_campaign(
        ledger(),
        _list(number),
        "newsletter",
        campaign_id,
        chunk_size=settings.campaign_chunk_size,
        message_bytes=settings.message_max_bytes,
        publish=campaign_to_publish,
    )
    if not wait_until(lambda: _has_ended(campaign_id), WITHIN_SECONDS, every=POLL_SECONDS):
        raise TimeoutError(f"The campaign had not ended after {WITHIN_SECONDS:g} s.")


def _has_ended(campaign_id: str) -> bool:
    with ledger().reading() as session:
        return the_campaign(session, campaign_id).state is State.DONE


def script(number: int) -> None:
    """Read the list, and let two processes render, compose and send."""
    with _list(number).open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    with multiprocessing.Pool(PROCESSES) as pool:
        pool.map(_render_and_send, [rows[each::PROCESSES] for each in range(PROCESSES)])


def _render_and_send(rows: Sequence[Row]) -> None:
    settings = load_settings()
    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=select_autoescape())
    subject, text, html = (
        environment.get_template(f"newsletter/{part}") for part in ("subject.txt", "body.txt", "body.html")
    )
    with smtplib.SMTP(settings.smtp_host, settings.smtp_port) as relay:
        for row in rows:
            message = EmailMessage()
            message["From"], message["To"], message["Subject"] = SENDER, row["address"], subject.render(row).strip()
            message.set_content(text.render(row))
            message.add_alternative(html.render(row), subtype="html")
            relay.send_message(message)


def rendered_beforehand(number: int) -> float:
    """Let two processes send messages that they hold; return the seconds of sending alone."""
    barrier = multiprocessing.Barrier(PROCESSES + 1)
    senders = [multiprocessing.Process(target=_send, args=(number // PROCESSES, barrier)) for _ in range(PROCESSES)]
    for sender in senders:
        sender.start()
    barrier.wait(WITHIN_SECONDS)
    began = time.perf_counter()
    for sender in senders:
        sender.join(WITHIN_SECONDS)
    return time.perf_counter() - began


def _send(number: int, barrier: Barrier) -> None:
    settings = load_settings()
    row = {"address": "r1@bench.example.org", "name": "Reader", "headline": "News from town", "story": "What is new."}
    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=select_autoescape())
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = SENDER, row["address"], row["headline"]
    message.set_content(environment.get_template("newsletter/body.txt").render(row))
    message.add_alternative(environment.get_template("newsletter/body.html").render(row), subtype="html")
    content = message.as_bytes()
    with smtplib.SMTP(settings.smtp_host, settings.smtp_port) as relay:
        barrier.wait(WITHIN_SECONDS)
        for _ in range(number):
            relay.sendmail(SENDER, row["address"], content)
