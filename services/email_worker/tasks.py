"""The tasks of the service: decode, call the library, return."""

from __future__ import annotations

from functools import cache
from random import SystemRandom
from typing import Any

from celery.exceptions import SoftTimeLimitExceeded

from services.email_worker import campaigns, sending
from services.email_worker.app import app
from services.email_worker.errors import MailRejected, TemporaryFailure, UnknownOutcome
from services.email_worker.retries import MAX_RETRIES, retry_delay
from shared.names import TaskName
from shared.progress import ThrottledProgress
from shared.reports import Chunk, Mail, MailOutcome
from shared.settings import load_settings

_lot = SystemRandom()


@cache
def mailer() -> sending.Mailer:
    """Return the process's mailer, made from the settings when the first mail needs it."""
    return sending.Mailer(load_settings())


@app.task(name=TaskName.EMAIL_SEND, bind=True, max_retries=MAX_RETRIES, throws=(MailRejected,))
def send(self: Any, mail: Mail | None) -> MailOutcome | None:
    """Send one mail at least once, with the same Message-ID at every attempt.

    A relay or claim store that does not take it now is tried again for up to 8.5 minutes.  The step before hands on
    ``None`` where there is nobody to tell, as of a job that was cancelled; then nothing is sent.

    Raises:
        MailRejected: The address is invalid, the template does not fit, or the relay refused for good.
        TemporaryFailure, UnknownOutcome: The last attempt of all failed so.
    """
    if mail is None:
        return None
    accepted = sending.checked(mail)
    try:
        return mailer().send_at_least_once(accepted, accepted.get("key") or self.request.id)
    except (TemporaryFailure, UnknownOutcome) as error:
        raise _retry(self, [mail], error) from error


@app.task(name=TaskName.EMAIL_VALIDATE_CHUNK)
def validate_chunk(chunk: Chunk) -> Chunk:
    """Normalise the addresses of a chunk; those that are invalid become outcomes."""
    return campaigns.validate_chunk(chunk, check_deliverability=load_settings().mail_check_deliverability)


@app.task(name=TaskName.EMAIL_SEND_CHUNK, bind=True, max_retries=MAX_RETRIES)
def send_chunk(self: Any, chunk: Chunk, given_up: list[str] | None = None) -> Chunk:
    """Send to every recipient of a chunk at most once, and return it with an outcome for each.

    Recipients that the relay does not take now are tried again for up to 8.5 minutes, then ``failed``.

    Outcomes that the chunk brings are kept.  ``given_up`` is set by retries alone: the executions that
    handed these recipients on.
    """

    def tell(current: int, total: int) -> None:
        self.update_state(state="PROGRESS", meta={"current": current, "total": total})

    delivery = campaigns.ChunkDelivery(mailer(), chunk, given_up or ())
    try:
        delivery.run(ThrottledProgress(tell))
    except SoftTimeLimitExceeded as error:
        # The claim of the recipient whose turn was cut short stays, for the relay may have that mail.
        raise _retry(self, [delivery.chunk, given_up], error) from error
    if delivery.failure is None:
        return delivery.chunk
    if self.request.retries >= self.max_retries:
        return delivery.give_up()
    raise _retry(self, [delivery.chunk, delivery.given_up], delivery.failure)


def _retry(task: Any, args: list[Any], error: Exception) -> Exception:
    delay = retry_delay(task.request.retries, _lot.random())
    retry: Exception = task.retry(args=args, kwargs={}, exc=error, countdown=delay, throw=False)
    return retry
