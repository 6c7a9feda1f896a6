"""Recipes for the tasks of ``core``; most of them record in the ledger what another service did."""

from __future__ import annotations

from celery import Signature

from shared.names import TaskName


def record_file(job_id: str) -> Signature:
    """Record the file report that the previous step returns."""
    return Signature(TaskName.CORE_RECORD_FILE.value, kwargs={"job_id": job_id})


def fail_file(job_id: str, file_id: str) -> Signature:
    """Record, as an errback, that the processing of a file failed."""
    return Signature(TaskName.CORE_FAIL_FILE.value, kwargs={"job_id": job_id, "file_id": file_id})


def merge_job(job_id: str) -> Signature:
    """Merge the reports of a job into its manifest; the result is the mail that tells of it."""
    return Signature(TaskName.CORE_MERGE_JOB.value, kwargs={"job_id": job_id})


def fail_job(job_id: str) -> Signature:
    """Finish, as an errback, a job of which a file took its process with it."""
    return Signature(TaskName.CORE_FAIL_JOB.value, kwargs={"job_id": job_id})


def record_mail(mail_id: str) -> Signature:
    """Record the outcome of a mail that the previous step returns."""
    return Signature(TaskName.CORE_RECORD_MAIL.value, kwargs={"mail_id": mail_id})


def fail_mail(mail_id: str) -> Signature:
    """Record, as an errback, why a mail failed."""
    return Signature(TaskName.CORE_FAIL_MAIL.value, kwargs={"mail_id": mail_id})


def advance_campaign(campaign_id: str) -> Signature:
    """Release the next chunks of a campaign, as far as its window allows."""
    return Signature(TaskName.CORE_ADVANCE_CAMPAIGN.value, kwargs={"campaign_id": campaign_id})


def record_chunk() -> Signature:
    """Record the outcomes of the chunk that the previous step returns, and advance its campaign."""
    return Signature(TaskName.CORE_RECORD_CHUNK.value)


def fail_chunk(campaign_id: str, number: int) -> Signature:
    """Record, as an errback, that a chunk failed as a whole."""
    return Signature(TaskName.CORE_FAIL_CHUNK.value, kwargs={"campaign_id": campaign_id, "number": number})
