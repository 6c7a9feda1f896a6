"""What services tell each other about finished work: JSON shapes of task arguments and results."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

FileKind = Literal["image", "pdf", "text", "csv", "json", "archive"]


class Artefact(TypedDict):
    """A file that was made from a submitted file."""

    role: str
    """What it is for: ``web``, ``preview``, ``text`` …"""
    path: str
    """Where it lies, relative to the storage root, with ``/`` between folders."""
    media_type: str
    bytes: int
    sha256: str


class FileReport(TypedDict):
    """What became of one submitted file; a bad file is a report with a reason, never an exception."""

    file_id: str
    name: str
    status: Literal["done", "failed"]
    reason: str | None
    """Why it failed, as one sentence for a person; ``None`` when done."""
    kind: FileKind | None
    media_type: str | None
    """The true type, read from the content and not from the name."""
    bytes: int
    sha256: str | None
    seconds: float
    facts: dict[str, Any]
    """What the content says of itself: ``width``, ``pages``, ``rows``, ``encoding`` …"""
    artefacts: list[Artefact]
    members: NotRequired[list[FileReport]]
    """For an archive: a report for each member that was processed or refused."""


class Recipient(TypedDict):
    """One recipient of a campaign chunk."""

    recipient_id: int
    address: str
    variables: dict[str, Any]


class Mail(TypedDict):
    """One mail to send: the argument of ``email.send``."""

    to: str
    template: str
    variables: dict[str, Any]
    key: NotRequired[str | None]
    """Identity of this mail: a key that was sent once is not sent again.  The task's id by default."""


class MailOutcome(TypedDict):
    """What became of one mail."""

    to: str
    status: Literal["sent", "invalid", "failed", "unknown"]
    """``unknown``: a crash left it open whether the relay took the mail; it is not sent again."""
    reason: str | None
    message_id: str | None


class RecipientOutcome(MailOutcome):
    """What became of the mail to one recipient of a campaign."""

    recipient_id: int


class Chunk(TypedDict):
    """A part of a campaign on its way: validated recipients, and the outcomes that are known already."""

    campaign_id: str
    number: int
    template: str
    recipients: list[Recipient]
    outcomes: list[RecipientOutcome]
