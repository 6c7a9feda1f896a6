"""Commands that give the fleet work and tell what became of it: ``process``, ``campaign``, ``send``, ``job``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from services.core.ledger.engine import Ledger

AsJson = Annotated[bool, typer.Option("--json", help="Print the outcome as JSON, and nothing else.")]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Follow the work until it has ended.")]
Timeout = Annotated[float | None, typer.Option(min=0, help="Seconds to follow it; it goes on after that.")]


def register(app: typer.Typer) -> None:
    """Add the commands to ``yard``."""
    for command in (process, campaign, send, job):
        app.command(rich_help_panel="Work")(command)


def process(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH…", help="Files, or folders of files.")],
    notify: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Who gets a mail at the end.")] = None,
    wait: Wait = True,
    timeout: Timeout = None,
    as_json: AsJson = False,
) -> None:
    """Process files: images, PDF, text, CSV, JSON, ZIP and TAR.

    Each file ends as done or failed with a reason; one bad file never stops the others.

    \b
    Examples:
      yard process report.pdf photos/ --notify me@example.org
      yard process data.csv --json | jq '.files.entries[].facts'
    """
    from services.core.bootstrap import storage
    from services.core.usecases.submit_files import submit_files

    ledger = _open_ledger()
    publish = partial(_workflows().job_to_publish, notify=notify is not None)
    submitted = submit_files(ledger, storage(), paths, notify, publish=publish)
    _mention_relay(ledger)
    _follow(ledger, submitted.job_id, wait=wait, timeout=timeout, as_json=as_json)


def campaign(
    recipients: Annotated[Path, typer.Argument(metavar="RECIPIENTS.csv", help="A column `address`, and variables.")],
    template: Annotated[str, typer.Option(help="The template to mail.")],
    campaign_id: Annotated[
        str | None, typer.Option("--id", help="The campaign; the same id again sends only what was not sent.")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Without --id: mail this list again on purpose.")] = False,
    wait: Wait = True,
    timeout: Timeout = None,
    as_json: AsJson = False,
) -> None:
    """Mail a template to a list of recipients, each of them once.

    \b
    Examples:
      yard campaign examples/recipients.csv --template newsletter --id spring-news
      yard campaign members.csv --template welcome --again
    """
    from services.core.ledger.errors import CampaignSeemsRepeated
    from services.core.usecases.submit_campaign import submit_campaign
    from shared.settings import load_settings

    ledger, settings = _open_ledger(), load_settings()
    submit = partial(
        submit_campaign,
        ledger,
        recipients,
        template,
        chunk_size=settings.campaign_chunk_size,
        message_bytes=settings.message_max_bytes,
        publish=_workflows().campaign_to_publish,
    )
    try:
        submitted = submit(campaign_id, again=again)
    except CampaignSeemsRepeated as error:
        if not _asked(f"{error} Mail it again as a new campaign?"):
            raise
        submitted = submit(again=True)
    _say(
        f"Campaign {submitted.campaign_id}: {submitted.new} new, {submitted.retried} tried again, "
        f"{submitted.unchanged} unchanged, {submitted.duplicates} duplicates left out.",
        as_json=as_json,
    )
    _mention_relay(ledger)
    _follow(ledger, submitted.campaign_id, wait=wait, timeout=timeout, as_json=as_json)


def send(
    to: Annotated[str, typer.Option(metavar="ADDRESS", help="Who gets it.")],
    template: Annotated[str, typer.Option(help="The template.")],
    var: Annotated[list[str] | None, typer.Option(metavar="NAME=VALUE", help="A variable of the template.")] = None,
    wait: Wait = True,
    timeout: Timeout = None,
    as_json: AsJson = False,
) -> None:
    """Send one mail at once, ahead of every campaign.

    \b
    Example:
      yard send --to ada@example.org --template welcome --var name=Ada
    """
    from services.core.usecases.submit_mail import submit_mail

    variables = _variables(var or [])
    ledger = _open_ledger()
    mail = submit_mail(ledger, to, template, variables, publish=_workflows().mail_to_publish)
    _mention_relay(ledger)
    _follow(ledger, str(mail["key"]), wait=wait, timeout=timeout, as_json=as_json)


def job(
    wanted: Annotated[str, typer.Argument(metavar="ID", help="The id of a job, a campaign, a mail or a task.")],
    watch: Annotated[bool, typer.Option("--watch", help="Follow it until it has ended.")] = False,
    timeout: Timeout = None,
    everything: Annotated[bool, typer.Option("--all", help="List every recipient, and not only failures.")] = False,
    as_json: AsJson = False,
) -> None:
    """Tell what became of a job, a campaign or a mail: each file and recipient with its outcome and reason.

    Of any other task it tells what the result store knows: its state, its progress, its result.

    \b
    Examples:
      yard job job-20261121-k3f9x2
      yard job spring-news --all --json
      yard job 5b3d2c1e-7a40-4c8b-9f5e-2d1a6b7c8d9e --watch
    """
    from services.core.ledger.errors import UnknownId

    ledger = _open_ledger()
    try:
        _follow(ledger, wanted, wait=watch, timeout=timeout, as_json=as_json, everything=everything)
    except UnknownId:
        from services.core.cli.task_progress import follow_task, is_known

        if not is_known(wanted, may_come=watch):
            raise
        raise typer.Exit(follow_task(wanted, wait=watch, timeout=timeout, as_json=as_json)) from None


def _open_ledger() -> Ledger:
    from services.core.bootstrap import ledger
    from services.core.ledger.migrations import require_current

    require_current(ledger())
    return ledger()


def _workflows() -> ModuleType:
    from services.core import workflows
    from services.core.app import app

    app.set_current()
    return workflows


def _mention_relay(ledger: Ledger) -> None:
    """Say so where what was accepted waits because nothing publishes it."""
    from services.core.usecases.outbox_lag import outbox_lag

    if not outbox_lag(ledger).relay_at_work:
        typer.echo(
            "yard: accepted, and waiting: no relay is at work that would publish it. Start the fleet with `yard up`.",
            err=True,
        )


def _variables(given: list[str]) -> dict[str, str]:
    from services.core.ledger.errors import InvalidSubmission

    for item in given:
        if "=" not in item:
            raise InvalidSubmission(f"A variable is NAME=VALUE, not {item!r}.")
    return dict(item.split("=", 1) for item in given)


def _asked(question: str) -> bool:
    import sys

    return sys.stdin.isatty() and typer.confirm(question, default=False, err=True)


def _say(line: str, *, as_json: bool) -> None:
    if not as_json:
        typer.echo(line)


def _follow(
    ledger: Ledger, wanted: str, *, wait: bool, timeout: float | None, as_json: bool, everything: bool = False
) -> None:
    from services.core.cli.following import follow

    raise typer.Exit(follow(ledger, wanted, wait=wait, timeout=timeout, as_json=as_json, everything=everything))
