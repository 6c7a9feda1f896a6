"""What the ledger tells, as typed records; ``dataclasses.asdict`` makes plain data of each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Literal, TypeVar, cast

from services.core.ledger.models import CampaignRecipient, File
from services.core.ledger.states import State
from shared.reports import Artefact, FileKind, FileReport

Entry = TypeVar("Entry")
Cursor = TypeVar("Cursor", int, str)


@dataclass(frozen=True, slots=True)
class Progress:
    """How much of something is decided, failures included."""

    current: int
    total: int


@dataclass(frozen=True, slots=True)
class Page(Generic[Entry, Cursor]):
    """A part of a list."""

    entries: tuple[Entry, ...]
    after: Cursor | None
    """What to ask for the next page with; ``None`` on the last."""


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file of a job."""

    file_id: str
    name: str
    status: State
    reason: str | None
    kind: FileKind | None
    media_type: str | None
    bytes: int
    sha256: str | None
    seconds: float | None
    facts: dict[str, Any]
    artefacts: list[Artefact]
    members: list[FileReport]


@dataclass(frozen=True, slots=True)
class RecipientEntry:
    """One recipient of a campaign."""

    recipient_id: int
    address: str
    status: State
    reason: str | None
    message_id: str | None
    attempt: int
    decided_at: datetime | None


@dataclass(frozen=True, slots=True)
class JobOverview:
    """A job, with a page of its files."""

    id: str
    state: State
    reason: str | None
    notify: str | None
    created_at: datetime
    finished_at: datetime | None
    cleaned_at: datetime | None
    counts: dict[State, int]
    progress: Progress
    files: Page[FileEntry, str]
    outputs: tuple[str, ...]
    """The manifests and the contact sheet, relative to the storage root, while they are there."""
    kind: Literal["job"] = "job"


@dataclass(frozen=True, slots=True)
class CampaignOverview:
    """A campaign, with a page of its recipients and one of those whose mail did not go out."""

    id: str
    template: str
    state: State
    list_name: str
    duplicates: int
    without_address: int
    created_at: datetime
    finished_at: datetime | None
    counts: dict[State, int]
    chunks: dict[State, int]
    progress: Progress
    failures: Page[RecipientEntry, int]
    recipients: Page[RecipientEntry, int]
    kind: Literal["campaign"] = "campaign"


@dataclass(frozen=True, slots=True)
class MailOverview:
    """A single mail."""

    id: str
    to: str
    template: str
    status: State
    reason: str | None
    message_id: str | None
    created_at: datetime
    finished_at: datetime | None
    kind: Literal["mail"] = "mail"


def file_entry(file: File) -> FileEntry:
    """Describe a file as it stands."""
    return FileEntry(
        file_id=file.id,
        name=file.name,
        status=file.status,
        reason=file.reason,
        kind=cast("FileKind | None", file.kind),
        media_type=file.media_type,
        bytes=file.bytes,
        sha256=file.sha256,
        seconds=file.seconds,
        facts=file.facts or {},
        artefacts=file.artefacts or [],
        members=file.members or [],
    )


def file_report(file: File) -> FileReport:
    """Give the report of a file that has an outcome, as it was recorded."""
    report: FileReport = {
        "file_id": file.id,
        "name": file.name,
        "status": "done" if file.status is State.DONE else "failed",
        "reason": file.reason,
        "kind": cast("FileKind | None", file.kind),
        "media_type": file.media_type,
        "bytes": file.bytes,
        "sha256": file.sha256,
        "seconds": file.seconds or 0.0,
        "facts": file.facts or {},
        "artefacts": file.artefacts or [],
    }
    return {**report, "members": file.members} if file.members else report


def recipient_entry(recipient: CampaignRecipient) -> RecipientEntry:
    """Describe a recipient as it stands."""
    return RecipientEntry(
        recipient_id=recipient.id,
        address=recipient.address,
        status=recipient.status,
        reason=recipient.reason,
        message_id=recipient.message_id,
        attempt=recipient.attempt,
        decided_at=recipient.decided_at,
    )
