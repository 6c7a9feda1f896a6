"""Hand messages to the relay over SMTP, and tell the kinds of failure apart."""

from __future__ import annotations

import os
import smtplib
import threading
import time
from collections.abc import Callable

from services.email_worker.connection import connect, refuse_unusable
from services.email_worker.errors import MailRejected, RelayUnavailable, TemporaryFailure
from services.email_worker.letter import Letter
from services.email_worker.transaction import NO_ANSWER, introduce, reset, takes_at_once, transmit
from shared.settings import FleetSettings
from shared.tallies import SMTP_ANSWERS

IDLE_SECONDS = 60.0
"""A connection that lay idle for longer is not used again: servers may hang up after 5 minutes (RFC 5321,
section 4.5.3.2.7), and firewalls forget silent connections sooner."""

MaySend = Callable[[], bool]
"""Says whether a mail may be sent now."""


class _Kept(threading.local):
    smtp: smtplib.SMTP | None = None
    said: Letter | None = None
    """The letter whose envelope went out already over that connection."""
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

    def deliver(self, letter: Letter, may_send: MaySend = lambda: True, then: Letter | None = None) -> bool:
        """Hand over one message; when this returns true the relay has taken it.

        A kept connection that turns out to be dead before the message was sent is replaced at once.

        Args:
            letter: The message.
            may_send: Is asked when the relay has taken the envelope and waits for the content, which is the last
                moment at which nothing is out; it may have waited for long until then.  What it raises comes out.
            then: The letter that this thread delivers next, if it is known: where the relay takes that, its envelope
                goes out with this content, and a mail takes one round trip.

        Returns:
            False when it may not be sent; the relay does not have it.

        Raises:
            PermanentFailure: The relay refused this message for good (5xx).
            TemporaryFailure: The relay refused it for now (4xx), or was out of reach.
            UnknownOutcome: The message was sent, and no answer came.
        """
        said = self._kept.said
        kept = self._take()
        if kept is not None and said is not None and said is not letter:
            kept.close()  # it waits for a letter that does not come
        elif kept is not None:
            try:
                return self._transact(kept, letter, may_send, then, said=said is not None)
            except RelayUnavailable:
                pass
        return self._transact(self._connect(), letter, may_send, then)

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

    def _transact(
        self, smtp: smtplib.SMTP, letter: Letter, may_send: MaySend, then: Letter | None, *, said: bool = False
    ) -> bool:
        reusable, following = False, None
        try:
            waits = introduce(smtp, letter, said=said)
            may = _ask(may_send, smtp, waits=waits)
            if may:
                following = then if then is not None and takes_at_once(smtp, then) else None
                transmit(smtp, letter, waits=waits, then=following)
            reusable = may or reset(smtp)
        except RelayUnavailable:
            raise
        except (MailRejected, TemporaryFailure):
            reusable = following is not None or reset(smtp)
            raise
        finally:
            # Also when a time limit strikes in the middle: a connection in an unknown state is not kept.
            if reusable:
                self._kept.smtp, self._kept.pid, self._kept.said = smtp, os.getpid(), following
                self._kept.used_at = time.monotonic()
            else:
                smtp.close()
        return may


def _ask(may_send: MaySend, smtp: smtplib.SMTP, *, waits: bool) -> bool:
    """Ask whether a mail may be sent; a relay that waits for a content which does not come is left to itself."""
    may = False
    try:
        may = may_send()
    finally:
        if waits and not may:
            smtp.close()
    return may
