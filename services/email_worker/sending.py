"""Send one mail: check, render, claim, deliver."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from services.email_worker.claims import Claims, Execution, Settled
from services.email_worker.delivery import Relay
from services.email_worker.errors import (
    MailError,
    MailRejected,
    PermanentFailure,
    TemporaryFailure,
    UnknownOutcome,
)
from services.email_worker.letter import Letter
from services.email_worker.message import Skeleton, message_id, sender_address
from services.email_worker.rendering import Templates
from services.email_worker.validation import normalise
from shared.reports import Mail, MailOutcome
from shared.settings import FleetSettings

SENT = Settled("sent")


@dataclass(frozen=True)
class Prepared:
    """One of many mails, written and ready to be sent."""

    key: str
    """Its identity; the same for every attempt."""
    letter: Letter


class Mailer:
    """Everything that sending takes, made once per process; connects when the first mail is sent.

    Raises:
        InvalidSettings: The sender is no address, or no safe connection to the relay can come of the settings.
    """

    def __init__(self, settings: FleetSettings) -> None:
        sender = sender_address(settings.mail_sender)
        self._skeletons = {bulk: Skeleton(sender, bulk=bulk) for bulk in (False, True)}
        self._domain = settings.mail_domain
        self._check_deliverability = settings.mail_check_deliverability
        self._templates = Templates(settings.mail_templates)
        self._relay = Relay(settings)
        self._claims = Claims(settings.state_url)

    def send_at_least_once(self, mail: Mail, key: str) -> MailOutcome:
        """Send a mail that must arrive, such as a password reset.

        Every attempt carries the same Message-ID, by which mailboxes recognise a duplicate.  A mail
        whose key was sent already is not sent again, nor one that another execution sends at this moment.

        Args:
            mail: Its own ``key`` is not looked at.
            key: Identity of the mail; the same for every attempt.

        Raises:
            MailRejected: The mail can never be sent; the relay does not have it.
            BeingSent: Another execution has it in its hands; try again, to learn what became of it.
            TemporaryFailure: The relay does not have it; try again.
            UnknownOutcome: The relay may have it; try again all the same.
        """
        to = normalise(mail["to"], check_deliverability=self._check_deliverability)
        letter = self._compose(to, mail, key, bulk=False)
        settled = self._claims.find(key)
        if settled is None or settled.status != "sent":
            settled = self._deliver_urgent(letter, key)
        return self.outcome(to, key, settled)

    def send_at_most_once(self, mail: Mail, key: str, execution: Execution) -> MailOutcome:
        """Send a mail that must not arrive twice, such as a newsletter.

        Where a crash or a broken connection leaves it open whether the relay has the mail, the outcome is
        ``unknown``, now and whenever the same key comes again, and the mail is not sent again.

        Args:
            mail: Its own ``key`` is not looked at.
            key: Identity of the mail; the same for every attempt.
            execution: Who claims the mail.

        Raises:
            MailRejected: The mail can never be sent; the relay does not have it.
            TemporaryFailure: The relay does not have it; try again.
        """
        try:
            return self.send_one_of_many(self.prepare(mail, key), execution)
        finally:
            self.confirm()

    def prepare(self, mail: Mail, key: str) -> Prepared:
        """Write one of many mails.

        Raises:
            MailRejected: It can never be sent.
        """
        return Prepared(key, self._compose(normalise(mail["to"]), mail, key, bulk=True))

    def send_one_of_many(self, mail: Prepared, execution: Execution, following: Prepared | None = None) -> MailOutcome:
        """Send a mail as :meth:`send_at_most_once` does; its outcome is sure to be stored after :meth:`confirm`.

        Args:
            mail: The mail.
            execution: Who claims it.
            following: The mail that this thread sends next.

        Raises:
            MailRejected: The mail can never be sent; the relay does not have it.
            TemporaryFailure: The relay does not have it; try again.
        """
        settled = self._deliver_once(mail, execution, following)
        return self.outcome(mail.letter.recipient, mail.key, settled)

    def outcome(self, to: str, key: str, settled: Settled) -> MailOutcome:
        """Describe what became of a mail."""
        identity = message_id(key, self._domain)
        return {"to": to, "status": settled.status, "reason": settled.reason, "message_id": identity}

    def settled(self, keys: Iterable[str], execution: Execution) -> dict[str, Settled]:
        """Return what became of those of some mails that are not to be sent any more, all in one question.

        Args:
            keys: Identities of the mails.
            execution: Who would claim them.

        Raises:
            ClaimsUnavailable: The claim store did not answer.
        """
        return self._claims.find_all(list(keys), execution)

    def confirm(self) -> None:
        """Wait until the outcomes of all mails of this thread are stored."""
        self._claims.confirm()

    def close(self) -> None:
        """Close the connections of this thread to the relay and to the claim store."""
        self._relay.close()
        self._claims.close()

    def _deliver_urgent(self, letter: Letter, key: str) -> Settled:
        execution = Execution()
        permission = _Permission(partial(self._claims.claim_urgent, key, execution))
        try:
            self._relay.deliver(letter, permission)
        except MailError:
            self._claims.release(key, execution)
            raise
        return permission.refused or self._settled(key, SENT)

    def _deliver_once(self, mail: Prepared, execution: Execution, following: Prepared | None) -> Settled:
        permission = _Permission(partial(self._claims.claim, mail.key, execution))
        try:
            self._relay.deliver(mail.letter, permission, then=following.letter if following else None)
        except (PermanentFailure, TemporaryFailure):
            self._claims.release(mail.key, execution)
            raise
        except UnknownOutcome as error:
            return self._settled(mail.key, Settled("unknown", str(error)), more=True)
        return permission.refused or self._settled(mail.key, SENT, more=True)

    def _settled(self, key: str, settled: Settled, *, more: bool = False) -> Settled:
        self._claims.settle(key, settled, more=more)
        return settled

    def _compose(self, to: str, mail: Mail, key: str, *, bulk: bool) -> Letter:
        rendered = self._templates.render(mail["template"], mail["variables"])
        return self._skeletons[bulk].fill(rendered, to, message_id(key, self._domain))


class _Permission:
    """Asks for the right to send a mail, and keeps what became of the mail where there is none."""

    def __init__(self, claim: Callable[[], Settled | None]) -> None:
        self._claim = claim
        self.refused: Settled | None = None

    def __call__(self) -> bool:
        self.refused = self._claim()
        return self.refused is None


def checked(mail: Any) -> Mail:
    """Return the argument of ``email.send`` when it has the shape of :class:`~shared.reports.Mail`.

    Raises:
        MailRejected: It has not; says what is wrong.
    """
    if not isinstance(mail, dict):
        raise MailRejected(f"A mail is an object with to, template and variables, not {type(mail).__name__}.")
    for field, kind, noun in (
        ("to", str, "text"),
        ("template", str, "text"),
        ("variables", dict, "an object"),
    ):
        if not isinstance(mail.get(field), kind):
            raise MailRejected(f"A mail wants {field!r} to be {noun}.")
    key = mail.get("key")
    if key is not None and not (isinstance(key, str) and key.isprintable()):
        raise MailRejected("A mail wants 'key' to be printable text or nothing.")
    return cast("Mail", mail)
