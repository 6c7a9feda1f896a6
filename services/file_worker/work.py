"""What a processor is given and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.file_worker.expansion import Member
from services.file_worker.limits import MAX_FACT_CHARACTERS
from services.file_worker.sniffing import Sniffed
from shared.reports import FileReport
from shared.storage import OutputFolder

Progress = Callable[[str, int, int], None]
"""Called with the stage, how far it is, and how far it goes."""

MemberProcessor = Callable[[int, Member], FileReport]
"""Expands and processes a member of an archive, given its number and itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A file that is to be processed, and where its artefacts go."""

    path: Path
    bytes: int
    sniffed: Sniffed
    output: OutputFolder
    progress: Progress
    process_member: MemberProcessor


@dataclass(frozen=True, slots=True)
class Findings:
    """What a processor found in a file, besides the artefacts that it wrote."""

    facts: dict[str, Any]
    members: Sequence[FileReport] | None = None


Processor = Callable[[Work], Findings]


def silent(_stage: str, _current: int, _total: int) -> None:
    """Tell nobody how far the work is."""


def printable(text: str) -> str:
    """Make a text from a file fit for a record: of bounded length, without control characters or lone surrogates."""
    shown = "".join(character if character.isprintable() else " " for character in text[:MAX_FACT_CHARACTERS])
    return shown.strip()
