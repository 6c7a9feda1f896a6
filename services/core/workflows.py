"""The workflows of the product, as canvas: each crosses all three brokers."""

from __future__ import annotations

from celery import Signature, chain, chord

from services.core.ledger.outbox import Outgoing
from services.core.outgoing import outgoing
from services.core.usecases.submit_files import SubmittedJob
from shared.reports import Chunk, Mail
from shared.signatures import core, email, files


def process_files(job: SubmittedJob, *, notify: bool) -> Signature:
    """Process files in parallel, merge their reports, then send the mail that tells of it.

    ::

        file.process ×N (batch) ─► core.merge_job (default) ─ link ─► email.send (critical)
             └─ link ─► core.record_file (default), so that progress is seen as it is made

    Args:
        job: The files; each report bears the id of its file, which is also the id of its task.
        notify: Whether somebody wants the mail.
    """
    members = [
        files.process(**file)
        .set(task_id=file["file_id"], link=[core.record_file(job.job_id)])
        .on_error(core.fail_file(job.job_id, file["file_id"]))
        for file in job.files
    ]
    # The mail is a callback of the merge: were the body of the chord a chain, its errback would be that of the
    # chain alone, and none would run when a file takes its process with it.
    merge = core.merge_job(job.job_id).on_error(core.fail_job(job.job_id))
    if notify:
        merge.link(email.send_previous())
    return chord(members, merge)


def send_chunk(chunk: Chunk, *, ask_dns: bool) -> Signature:
    """Validate the recipients of a chunk, send what is valid, and record what became of each.

    ::

        email.validate_chunk (critical, least urgent) ─► email.send_chunk (batch) ─► core.record_chunk (default)

    Args:
        chunk: The recipients.
        ask_dns: Whether their domains are looked up.
    """
    failed = core.fail_chunk(chunk["campaign_id"], chunk["number"])
    steps = [email.validate_chunk(chunk, ask_dns=ask_dns), email.send_chunk(), core.record_chunk()]
    return chain(*(step.on_error(failed) for step in steps))


def send_mail(mail_id: str, mail: Mail) -> Signature:
    """Send one mail and record what became of it."""
    return (
        email.send_mail(mail).set(task_id=mail_id, link=[core.record_mail(mail_id)]).on_error(core.fail_mail(mail_id))
    )


def job_to_publish(job: SubmittedJob, *, notify: bool) -> Outgoing:
    """Return the workflow of a job as an entry of the outbox."""
    return outgoing(job.job_id, process_files(job, notify=notify))


def chunk_to_publish(chunk: Chunk, *, ask_dns: bool) -> Outgoing:
    """Return the workflow of a chunk as an entry of the outbox."""
    return outgoing(chunk["campaign_id"], send_chunk(chunk, ask_dns=ask_dns))


def campaign_to_publish(campaign_id: str) -> Outgoing:
    """Return what advances a campaign as an entry of the outbox."""
    return outgoing(campaign_id, core.advance_campaign(campaign_id))


def mail_to_publish(mail: Mail) -> Outgoing:
    """Return the workflow of a single mail as an entry of the outbox."""
    mail_id = str(mail["key"])
    return outgoing(mail_id, send_mail(mail_id, mail))
