"""One mail over an open connection: envelope, content, and what the relay says to them (RFC 5321, section 3.3)."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from services.email_worker.connection import answer_text, described
from services.email_worker.errors import PermanentFailure, RelayUnavailable, TemporaryFailure, UnknownOutcome
from services.email_worker.letter import Letter, is_plain
from shared.tallies import SMTP_ANSWERS

SERVICE_CLOSING = 421
"""The relay is about to hang up, whatever it was asked (RFC 5321, section 3.8)."""

NO_ANSWER = "none"
"""Counted where the relay could not be reached, or where its answer did not come or makes no sense."""

Answer = tuple[int, bytes]


def takes_at_once(smtp: smtplib.SMTP, letter: Letter) -> bool:
    """Tell whether the relay takes the whole envelope of a letter in one go, ``DATA`` included (RFC 2920)."""
    return smtp.has_extn("pipelining") and is_plain(letter.sender) and is_plain(letter.recipient)


def introduce(smtp: smtplib.SMTP, letter: Letter, *, said: bool = False) -> bool:
    """Give the relay the envelope.

    Args:
        smtp: The connection.
        letter: The message.
        said: Whether the envelope went out already, behind the content of the mail before.

    Returns:
        Whether the relay waits for the content already.

    Raises:
        MailError: It does not take the envelope; it does not have the mail.
    """
    at_once = said or takes_at_once(smtp, letter)
    with _nothing_is_out():
        if at_once:
            if not said:
                smtp.send(_envelope(smtp, letter))
            _read_answers(smtp)
        else:
            _expect(2, smtp.mail(letter.sender, _options(smtp, letter)))
            _expect(2, smtp.rcpt(letter.recipient))
    return at_once


def transmit(smtp: smtplib.SMTP, letter: Letter, *, waits: bool, then: Letter | None = None) -> None:
    """Give the relay the content; when this returns it has taken the mail.

    Args:
        smtp: The connection, after :func:`introduce`.
        letter: The message.
        waits: Whether the relay waits for the content.
        then: The letter whose envelope goes out behind it; the relay takes that at once.

    Raises:
        MailRejected, TemporaryFailure: It does not have the mail.
        UnknownOutcome: It may have it.
    """
    with _nothing_is_out():
        if not waits:
            _expect(3, smtp.docmd("DATA"))
    try:
        _send(smtp, letter.data, b"" if then is None else _envelope(smtp, then))
        answer = smtp.getreply()
    except (smtplib.SMTPException, OSError) as error:
        SMTP_ANSWERS.count(NO_ANSWER)
        raise UnknownOutcome(f"The relay did not confirm the mail: {described(error)}") from error
    if 400 <= answer[0] < 600:
        _refuse(answer)
    SMTP_ANSWERS.count(_class_of(answer))
    if not 200 <= answer[0] < 300:
        raise UnknownOutcome(f"The relay gave no answer that makes sense: {answer_text(*answer)}")


def reset(smtp: smtplib.SMTP) -> bool:
    """Make a connection ready for another mail after a refusal; False when it cannot be used again."""
    try:
        return smtp.rset()[0] == 250
    except (smtplib.SMTPException, OSError):
        return False


def _send(smtp: smtplib.SMTP, content: bytes, envelope: bytes) -> None:
    """Send a content, and what follows it in the same packet.

    When this fails before the mark at the end of the content has left this machine, the relay must not deliver it
    (RFC 5321, section 4.1.1.4): that is a broken connection, and nothing is out.
    """
    connection = smtp.sock
    if connection is None or isinstance(connection, ssl.SSLSocket):
        # Of an encrypted write that fails nobody knows how much is out.
        with _nothing_is_out():
            smtp.send(content)
        smtp.send(envelope)
        return
    rest, sent = memoryview(content + envelope), 0
    try:
        while sent < len(rest):
            sent += connection.send(rest[sent:])
    except OSError:
        if sent >= len(content):
            raise
        with _nothing_is_out():
            raise


def _envelope(smtp: smtplib.SMTP, letter: Letter) -> bytes:
    options = "".join(f" {option}" for option in _options(smtp, letter))
    return f"MAIL FROM:<{letter.sender}>{options}\r\nRCPT TO:<{letter.recipient}>\r\nDATA\r\n".encode("ascii")


def _read_answers(smtp: smtplib.SMTP) -> None:
    refusal: Answer | None = None
    for first_digit in (2, 2, 3):
        answer = _next_answer(smtp, refusal)
        if refusal is None and answer[0] // 100 != first_digit:
            refusal = answer
        if refusal is not None and not _goes_on(refusal):
            break
    if refusal is not None:
        if answer[0] // 100 == 3:
            smtp.close()  # it waits for the content all the same
        _refuse(refusal)


def _next_answer(smtp: smtplib.SMTP, refusal: Answer | None) -> Answer:
    """Return the next of several answers; a connection that breaks after a refusal changes nothing about that."""
    try:
        return smtp.getreply()
    except (smtplib.SMTPException, OSError):
        if refusal is None:
            raise
        return refusal


def _goes_on(refusal: Answer) -> bool:
    return 400 <= refusal[0] < 600 and refusal[0] != SERVICE_CLOSING


def _options(smtp: smtplib.SMTP, letter: Letter) -> list[str]:
    options = ["SMTPUTF8", "BODY=8BITMIME"] if letter.international else []
    return [*options, f"SIZE={len(letter.data)}"] if smtp.has_extn("size") else options


@contextmanager
def _nothing_is_out() -> Iterator[None]:
    try:
        yield
    except smtplib.SMTPNotSupportedError:
        raise PermanentFailure("The relay does not take addresses outside ASCII (SMTPUTF8).") from None
    except (smtplib.SMTPException, OSError) as error:
        SMTP_ANSWERS.count(NO_ANSWER)
        raise RelayUnavailable(f"The connection to the relay broke: {described(error)}") from error


def _expect(first_digit: int, answer: Answer) -> None:
    if answer[0] // 100 != first_digit:
        _refuse(answer)


def _refuse(answer: Answer) -> None:
    code = answer[0]
    SMTP_ANSWERS.count(_class_of(answer))
    if 500 <= code < 600:
        raise PermanentFailure(f"The relay refused: {answer_text(*answer)}")
    if _goes_on(answer):
        raise TemporaryFailure(f"The relay refused for now: {answer_text(*answer)}")
    raise RelayUnavailable(f"The relay does not take mail now: {answer_text(*answer)}")


def _class_of(answer: Answer) -> str:
    first_digit = answer[0] // 100
    return f"{first_digit}xx" if 2 <= first_digit <= 5 else NO_ANSWER
