"""The refusal of a file, or of an archive."""

from __future__ import annotations

from collections.abc import Sequence

from shared.reports import FileReport


class FileRejected(Exception):
    """A file is damaged, hostile, or of a kind or size that is not processed.

    Args:
        reason: Why, as one sentence for a person.
        members: For an archive: what became of its members.
    """

    def __init__(self, reason: str, members: Sequence[FileReport] = ()) -> None:
        super().__init__(reason)
        self.reason = reason
        self.members = list(members)


class ArchiveRejected(Exception):
    """An archive turned out to be damaged or hostile while one of its members was expanded.

    It is no :class:`FileRejected`, because it is the end of the archive and not of that member alone.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
