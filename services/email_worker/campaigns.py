"""Chunks of a campaign: validate their recipients, and send to each of them at most once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Literal, cast

from services.email_worker.claims import Execution, Settled
from services.email_worker.errors import (
    ClaimsUnavailable,
    InvalidAddress,
    MailRejected,
    RelayUnavailable,
    TemporaryFailure,
)
from services.email_worker.sending import Mailer, Prepared
from services.email_worker.validation import normalise
from shared.reports import Chunk, Mail, Recipient, RecipientOutcome

Progress = Callable[[int, int], None]
"""Told how many recipients of a chunk are settled, and of how many."""


def validate_chunk(chunk: Chunk, *, check_deliverability: bool) -> Chunk:
    """Return the chunk with normalised addresses, and an ``invalid`` outcome for each that is none."""
    valid: list[Recipient] = []
    outcomes = list(chunk["outcomes"])
    for recipient in chunk["recipients"]:
        try:
            address = normalise(recipient["address"], check_deliverability=check_deliverability)
        except InvalidAddress as error:
            outcomes.append(_not_sent(recipient, "invalid", str(error)))
        else:
            valid.append({**recipient, "address": address})
    return {**chunk, "recipients": valid, "outcomes": outcomes}


_Next = Prepared | RecipientOutcome | None
"""What is to be done for a recipient: a mail to send, or nothing any more."""


class ChunkDelivery:
    """One execution's way through a chunk.

    However it ends, :attr:`chunk` holds every recipient exactly once: with an outcome, or as one that is
    still to be sent to.

    Args:
        given_up: The executions before this one that handed these recipients on.
    """

    def __init__(self, mailer: Mailer, chunk: Chunk, given_up: Iterable[str] = ()) -> None:
        self._mailer = mailer
        self._chunk = chunk
        self._execution = Execution(given_up)
        self._untried = list(chunk["recipients"])
        self._refused: list[Recipient] = []
        self._outcomes = list(chunk["outcomes"])
        self.failure: TemporaryFailure | None = None
        """The last reason why a recipient is still to be sent to."""

    @property
    def chunk(self) -> Chunk:
        """The chunk as far as it has come; recipients whose turn failed come after those without a turn."""
        return {**self._chunk, "recipients": self._untried + self._refused, "outcomes": self._outcomes}

    @property
    def given_up(self) -> list[str]:
        """The executions whose claims on the remaining recipients are free once this one has ended."""
        return [*self._execution.given_up, self._execution.id]

    def run(self, progress: Progress) -> None:
        """Give every recipient one turn; stop early where relay or claim store as a whole is out of reach."""
        try:
            settled = self._mailer.settled(map(self._key, self._untried), self._execution)
            self._send_all(settled, progress)
        except TemporaryFailure as error:
            self.failure = error
        finally:
            self._mailer.confirm()

    def _send_all(self, settled: Mapping[str, Settled], progress: Progress) -> None:
        total = len(self._outcomes) + len(self._untried)
        # Each mail is written before the one ahead of it is sent, so that its envelope can go out with that.
        following = self._prepare(settled, at=0)
        for _ in range(len(self._untried)):
            progress(len(self._outcomes), total)
            current, following = following, self._prepare(settled, at=1)
            try:
                outcome = self._send(self._untried[0], current, following)
            except TemporaryFailure as error:
                self.failure = error
                self._refused.append(self._untried.pop(0))
                if isinstance(error, RelayUnavailable | ClaimsUnavailable):
                    return
            else:
                self._outcomes.append(outcome)
                del self._untried[0]

    def give_up(self) -> Chunk:
        """Return the chunk with a ``failed`` outcome for each recipient that is left, and the last reason."""
        rest = self.chunk
        failed = [_not_sent(recipient, "failed", str(self.failure)) for recipient in rest["recipients"]]
        return {**rest, "recipients": [], "outcomes": [*self._outcomes, *failed]}

    def _prepare(self, settled: Mapping[str, Settled], at: int) -> _Next:
        """Write the mail to an untried recipient, or say why there is none to send."""
        if at >= len(self._untried):
            return None
        recipient = self._untried[at]
        key, address = self._key(recipient), recipient["address"]
        mail: Mail = {"to": address, "template": self._chunk["template"], "variables": recipient["variables"]}
        try:
            if key in settled:
                outcome = self._mailer.outcome(normalise(address), key, settled[key])
                return {**outcome, "recipient_id": recipient["recipient_id"]}
            return self._mailer.prepare(mail, key)
        except MailRejected as error:
            return _refused(recipient, error)

    def _send(self, recipient: Recipient, current: _Next, following: _Next) -> RecipientOutcome:
        if not isinstance(current, Prepared):
            return cast("RecipientOutcome", current)
        try:
            outcome = self._mailer.send_one_of_many(
                current, self._execution, following if isinstance(following, Prepared) else None
            )
        except MailRejected as error:
            return _refused(recipient, error)
        return {**outcome, "recipient_id": recipient["recipient_id"]}

    def _key(self, recipient: Recipient) -> str:
        return f"campaign:{self._chunk['campaign_id']}:{recipient['recipient_id']}"


def _refused(recipient: Recipient, error: MailRejected) -> RecipientOutcome:
    return _not_sent(recipient, "invalid" if isinstance(error, InvalidAddress) else "failed", str(error))


def _not_sent(recipient: Recipient, status: Literal["invalid", "failed"], reason: str) -> RecipientOutcome:
    return {
        "recipient_id": recipient["recipient_id"],
        "to": recipient["address"],
        "status": status,
        "reason": reason,
        "message_id": None,
    }
