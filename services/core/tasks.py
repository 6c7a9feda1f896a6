"""The tasks of ``core``: thin, each calls one use case and publishes what follows from it.

An errback is bound, for Celery runs an unbound one inline in the worker of the task that failed.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from services.core import bootstrap, workflows
from services.core.app import app
from services.core.history import cleaning as history_cleaning
from services.core.ledger.errors import LedgerUnavailable
from services.core.ledger.states import State
from services.core.usecases import clean_artefacts as cleaning
from services.core.usecases import clean_ledger as ageing
from services.core.usecases import collect_letters as collecting
from services.core.usecases import fail_chunk as chunk_failure
from services.core.usecases import fail_file as file_failure
from services.core.usecases import fail_job as job_failure
from services.core.usecases import fail_mail as mail_failure
from services.core.usecases import merge_job as merging
from services.core.usecases import overview as overviews
from services.core.usecases import record_chunk as chunk_recording
from services.core.usecases import record_file as file_recording
from services.core.usecases import record_mail as mail_recording
from services.core.usecases import release_chunks as releasing
from services.core.usecases import stalled_campaigns as stalling
from shared.names import TaskName
from shared.reports import Chunk, FileReport, Mail, MailOutcome
from shared.settings import load_settings
from shared.signatures import core as recipes
from shared.signatures import email

STALLED_AFTER = timedelta(minutes=10)
"""Longer than a window of chunks takes with a relay that answers."""

PLAIN_REASONS = {
    "TimeLimitExceeded": "It took longer than its time limit.",
    "WorkerLostError": "The process that ran it died.",
}

durable: dict[str, Any] = {
    "bind": True,
    "autoretry_for": (LedgerUnavailable,),
    "retry_backoff": 2,
    "retry_backoff_max": 60,
    "max_retries": None,
}
"""A task that is tried until the ledger takes its record."""


@app.task(name=TaskName.CORE_RECORD_FILE, ignore_result=True, **durable)
def record_file(self: Any, report: FileReport, job_id: str) -> None:  # noqa: ARG001
    """Record what became of one file."""
    file_recording.record_file(bootstrap.ledger(), report, job_id)


@app.task(name=TaskName.CORE_FAIL_FILE, ignore_result=True, **durable)
def fail_file(self: Any, task_id: str, job_id: str, file_id: str) -> None:  # noqa: ARG001
    """Record why the task of a file failed."""
    file_failure.fail_file(bootstrap.ledger(), job_id, file_id, reason_of(task_id))


@app.task(name=TaskName.CORE_MERGE_JOB, **durable)
def merge_job(self: Any, reports: Sequence[FileReport] | FileReport, job_id: str) -> Mail | None:  # noqa: ARG001
    """Merge the reports of a job; return the mail that tells of it."""
    # Celery hands the body of a chord of one the bare result of its one member (celery#3323).
    every = [reports] if isinstance(reports, dict) else reports
    return merging.merge_job(bootstrap.ledger(), bootstrap.storage(), every, job_id)


@app.task(name=TaskName.CORE_FAIL_JOB, ignore_result=True, **{**durable, "max_retries": 30})
def fail_job(self: Any, task_id: str, job_id: str) -> None:
    """Finish a job of which a file took its process with it: merge what the other files became.

    Their records may still be on their way, so it waits for them for half a minute.
    """
    ledger, storage = bootstrap.ledger(), bootstrap.storage()
    job = overviews.overview(ledger, job_id, limit=0)
    if job.kind == "job" and job.progress.current == job.progress.total:
        mail = merging.merge_job(ledger, storage, [], job_id)
    elif self.request.retries < self.max_retries:
        raise self.retry(countdown=1)
    else:
        mail = job_failure.fail_job(ledger, storage, job_id, reason_of(task_id))
    if mail:
        email.send_mail(mail).apply_async()


@app.task(name=TaskName.CORE_RECORD_MAIL, ignore_result=True, **durable)
def record_mail(self: Any, outcome: MailOutcome, mail_id: str) -> None:  # noqa: ARG001
    """Record what became of a single mail."""
    mail_recording.record_mail(bootstrap.ledger(), outcome, mail_id)


@app.task(name=TaskName.CORE_FAIL_MAIL, ignore_result=True, **durable)
def fail_mail(self: Any, task_id: str, mail_id: str) -> None:  # noqa: ARG001
    """Record why a single mail failed."""
    mail_failure.fail_mail(bootstrap.ledger(), mail_id, reason_of(task_id))


@app.task(name=TaskName.CORE_ADVANCE_CAMPAIGN, ignore_result=True, **durable)
def advance_campaign(self: Any, campaign_id: str) -> None:  # noqa: ARG001
    """Release the next chunks of a campaign, as far as its window allows."""
    _advance(campaign_id)


@app.task(name=TaskName.CORE_ADVANCE_STALLED, ignore_result=True, **durable)
def advance_stalled(self: Any) -> list[str]:  # noqa: ARG001
    """Advance the campaigns that a crash left standing."""
    campaigns = stalling.stalled_campaigns(bootstrap.ledger(), STALLED_AFTER)
    for campaign_id in campaigns:
        recipes.advance_campaign(campaign_id).apply_async()
    return campaigns


@app.task(name=TaskName.CORE_RECORD_CHUNK, ignore_result=True, **durable)
def record_chunk(self: Any, chunk: Chunk) -> None:  # noqa: ARG001
    """Record what became of the recipients of a chunk, and advance its campaign."""
    _advance_while_running(chunk_recording.record_chunk(bootstrap.ledger(), chunk), chunk["campaign_id"])


@app.task(name=TaskName.CORE_FAIL_CHUNK, ignore_result=True, **durable)
def fail_chunk(self: Any, task_id: str, campaign_id: str, number: int) -> None:  # noqa: ARG001
    """Record why a chunk failed as a whole, and advance its campaign."""
    state = chunk_failure.fail_chunk(bootstrap.ledger(), campaign_id, number, reason_of(task_id))
    _advance_while_running(state, campaign_id)


@app.task(name=TaskName.CORE_CLEAN_ARTEFACTS, **durable)
def clean_artefacts(self: Any) -> list[str]:  # noqa: ARG001
    """Remove the files of jobs that ended long ago; return the ids of the jobs."""
    age = timedelta(days=load_settings().artefacts_expire_days)
    return cleaning.clean_artefacts(bootstrap.ledger(), bootstrap.storage(), age)


@app.task(name=TaskName.CORE_CLEAN_LEDGER, **durable)
def clean_ledger(self: Any) -> int:  # noqa: ARG001
    """Remove from the ledger what ended long ago; return how many rows."""
    return ageing.clean_ledger(bootstrap.ledger(), timedelta(days=load_settings().ledger_expire_days))


@app.task(name=TaskName.CORE_CLEAN_DEAD_LETTERS, **durable)
def clean_dead_letters(self: Any) -> int:  # noqa: ARG001
    """Remove dead letters that are too old, or of which a queue has too many; return how many."""
    settings = load_settings()
    age = timedelta(days=settings.dead_letters_expire_days)
    return collecting.clean_letters(bootstrap.ledger(), age, settings.dead_letters_per_queue)


@app.task(name=TaskName.CORE_CLEAN_HISTORY, **durable)
def clean_history(self: Any) -> int:  # noqa: ARG001
    """Remove tasks from the history that are too old, or too many; return how many."""
    settings = load_settings()
    age = timedelta(days=settings.history_expire_days)
    return history_cleaning.clean_history(bootstrap.ledger(), age, settings.history_max_tasks)


def reason_of(task_id: str) -> str:
    """Say in one line why a task failed, from its stored result."""
    error = app.AsyncResult(task_id).result
    name = type(error).__name__ if isinstance(error, Exception) else ""
    said = " ".join(str(error).split()) if name else ""
    return PLAIN_REASONS.get(name) or (f"{name}: {said}" if said else "The task ended without saying why.")


def _advance_while_running(state: State, campaign_id: str) -> None:
    # Here and not in a task of its own, which would cost more than the release.  A campaign that stands still because
    # this process dies just now is found by advance_stalled, or by the task's next execution.
    if state is State.RUNNING:
        _advance(campaign_id)


def _advance(campaign_id: str) -> None:
    settings = load_settings()
    publish = partial(workflows.chunk_to_publish, ask_dns=settings.mail_check_deliverability)
    releasing.release_chunks(bootstrap.ledger(), campaign_id, settings.campaign_window, publish=publish)
