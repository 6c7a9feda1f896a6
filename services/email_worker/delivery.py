"""Hand messages to the relay over SMTP, and tell the kinds of failure apart."""

from __future__ import annotations

import os
import re
import smtplib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import EmailMessage

from services.email_worker.connection import answer_text, connect, described, refuse_unusable
from services.email_worker.errors import (
    MailRejected,
    PermanentFailure,
    RelayUnavailable,
    TemporaryFailure,
    UnknownOutcome,
)
from shared.settings import FleetSettings
from shared.tallies import SMTP_ANSWERS

IDLE_SECONDS = 60.0
"""A connection that lay idle for longer is not used again: servers may hang up after 5 minutes (RFC 5321,
section 4.5.3.2.7), and firewalls forget silent connections sooner."""

SERVICE_CLOSING = 421
"""The relay is about to hang up, whatever it was asked (RFC 5321, section 3.8)."""

NO_ANSWER = "none"
"""Counted where the relay could not be reached, or where its answer did not come or makes no sense."""

MaySend = Callable[[], bool]
"""Says whether a mail may be sent now."""


class _Kept(threading.local):
    smtp: smtplib.SMTP | None = None
    pid = 0
    used_at = 0.0


class Relay:
    """The SMTP server that takes our mail; each thread keeps one connection to it.

    Raises:
        InvalidSettings: No connection could come of the settings; see :func:`refuse_unusable`.
    """

    def __init__(self, settings: FleetSettings) -> None:
        refuse_unusable(settings)
        self._settings = settings
        self._kept = _Kept()

    def deliver(self, message: EmailMessage, may_send: MaySend = lambda: True) -> bool:
        """Hand over one message; when this returns true the relay has taken it.

        A kept connection that turns out to be dead before the message was sent is replaced at once.

        Args:
            message: With one sender and one recipient, which are those of the envelope too.
            may_send: Is asked when the relay has taken the envelope and waits for the content, which is the last
                moment at which nothing is out; it may have waited for long until then.  What it raises comes out.

        Returns:
            False when it may not be sent; the relay does not have it.

        Raises:
            PermanentFailure: The relay refused this message for good (5xx).
            TemporaryFailure: The relay refused it for now (4xx), or was out of reach.
            UnknownOutcome: The message was sent, and no answer came.
        """
        letter = _Letter.of(message)
        kept = self._take()
        if kept is not None:
            try:
                return self._transact(kept, letter, may_send)
            except RelayUnavailable:
                pass
        return self._transact(self._connect(), letter, may_send)

    def close(self) -> None:
        """Close the connection of this thread, if it has one."""
        kept = self._take()
        if kept is not None:
            kept.close()

    def _connect(self) -> smtplib.SMTP:
        try:
            return connect(self._settings)
        except RelayUnavailable:
            SMTP_ANSWERS.count(NO_ANSWER)
            raise

    def _take(self) -> smtplib.SMTP | None:
        smtp, self._kept.smtp = self._kept.smtp, None
        if smtp is None:
            return None
        # After a fork the connection belongs to the parent; closing our copy leaves the parent's alone.
        if self._kept.pid != os.getpid() or time.monotonic() - self._kept.used_at > IDLE_SECONDS:
            smtp.close()
            return None
        return smtp

    def _transact(self, smtp: smtplib.SMTP, letter: _Letter, may_send: MaySend) -> bool:
        reusable = False
        try:
            _introduce(smtp, letter)
            may = may_send()
            if may:
                _transmit(smtp, letter)
            reusable = may or _reset(smtp)
        except RelayUnavailable:
            raise
        except (MailRejected, TemporaryFailure):
            reusable = _reset(smtp)
            raise
        finally:
            # Also when a time limit strikes in the middle: a connection in an unknown state is not kept.
            if reusable:
                self._kept.smtp, self._kept.pid = smtp, os.getpid()
                self._kept.used_at = time.monotonic()
            else:
                smtp.close()
        return may


@dataclass(frozen=True)
class _Letter:
    """A message as SMTP sees it: an envelope and bytes."""

    sender: str
    recipient: str
    content: bytes
    international: bool

    @classmethod
    def of(cls, message: EmailMessage) -> _Letter:
        (sender,) = message["From"].addresses
        (recipient,) = message["To"].addresses
        content = re.sub(rb"(?m)^\.", b"..", message.as_bytes())
        if not content.endswith(b"\r\n"):
            content += b"\r\n"
        envelope = sender.addr_spec, recipient.addr_spec
        return cls(*envelope, content + b".\r\n", international=not "".join(envelope).isascii())

    def options(self, smtp: smtplib.SMTP) -> list[str]:
        options = ["SMTPUTF8", "BODY=8BITMIME"] if self.international else []
        return [*options, f"SIZE={len(self.content)}"] if smtp.has_extn("size") else options


def _introduce(smtp: smtplib.SMTP, letter: _Letter) -> None:
    """Give the relay the envelope."""
    with _nothing_is_out():
        _expect(2, smtp.mail(letter.sender, letter.options(smtp)))
        _expect(2, smtp.rcpt(letter.recipient))


def _transmit(smtp: smtplib.SMTP, letter: _Letter) -> None:
    """Give the relay the content."""
    with _nothing_is_out():
        _expect(3, smtp.docmd("DATA"))
        # When this raises, the mark at the end has not left this machine, and without it the relay must not
        # deliver (RFC 5321, section 4.1.1.4).
        smtp.send(letter.content)
    try:
        answer = smtp.getreply()
    except (smtplib.SMTPException, OSError) as error:
        SMTP_ANSWERS.count(NO_ANSWER)
        raise UnknownOutcome(f"The relay did not confirm the mail: {described(error)}") from error
    if 400 <= answer[0] < 600:
        _refuse(answer)
    SMTP_ANSWERS.count(_class_of(answer))
    if not 200 <= answer[0] < 300:
        raise UnknownOutcome(f"The relay gave no answer that makes sense: {answer_text(*answer)}")


@contextmanager
def _nothing_is_out() -> Iterator[None]:
    try:
        yield
    except smtplib.SMTPNotSupportedError:
        raise PermanentFailure("The relay does not take addresses outside ASCII (SMTPUTF8).") from None
    except (smtplib.SMTPException, OSError) as error:
        SMTP_ANSWERS.count(NO_ANSWER)
        raise RelayUnavailable(f"The connection to the relay broke: {described(error)}") from error


def _expect(first_digit: int, answer: tuple[int, bytes]) -> None:
    if answer[0] // 100 != first_digit:
        _refuse(answer)


def _refuse(answer: tuple[int, bytes]) -> None:
    code = answer[0]
    SMTP_ANSWERS.count(_class_of(answer))
    if 500 <= code < 600:
        raise PermanentFailure(f"The relay refused: {answer_text(*answer)}")
    if 400 <= code < 500 and code != SERVICE_CLOSING:
        raise TemporaryFailure(f"The relay refused for now: {answer_text(*answer)}")
    raise RelayUnavailable(f"The relay does not take mail now: {answer_text(*answer)}")


def _class_of(answer: tuple[int, bytes]) -> str:
    first_digit = answer[0] // 100
    return f"{first_digit}xx" if 2 <= first_digit <= 5 else NO_ANSWER


def _reset(smtp: smtplib.SMTP) -> bool:
    """Make a connection ready for another mail after a refusal; False when it cannot be used again."""
    try:
        return smtp.rset()[0] == 250
    except (smtplib.SMTPException, OSError):
        return False
