"""What the formats of archives share: a member, and the budget of bytes to which an archive may expand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from services.file_worker.limits import MAX_EXPANDED_BYTES, MAX_MEMBERS, MAX_RATIO, RATIO_FLOOR_BYTES
from services.file_worker.rejection import ArchiveRejected, FileRejected
from shared.storage import PathEscapes, relative_parts


@dataclass(frozen=True, slots=True)
class Member:
    """A file in an archive.

    ``expand`` writes its content to a path, until the next member is asked for.  It raises
    :class:`FileRejected` where only this member is bad, :class:`ArchiveRejected` where no further one can be had.
    """

    name: str
    expand: Callable[[Path], None]
    done: int
    of: int
    """How far in the archive this member is, for progress: a position and the end."""


class Budget:
    """The bytes that an archive may still expand to; counted as they come, whatever its headers say."""

    def __init__(self, archive_bytes: int) -> None:
        self._left = min(MAX_EXPANDED_BYTES, max(RATIO_FLOOR_BYTES, MAX_RATIO * archive_bytes))

    def spend(self, amount: int) -> None:
        """Take note of expanded bytes.

        Raises:
            ArchiveRejected: There were too many.
        """
        self._left -= amount
        if self._left < 0:
            raise ArchiveRejected("The archive expands to far more than its size, like a decompression bomb.")


def refuse_many(members: int) -> None:
    """Refuse an archive that has more members than are processed.

    Raises:
        ArchiveRejected: They are too many.
    """
    if members > MAX_MEMBERS:
        raise ArchiveRejected(f"The archive has more than {MAX_MEMBERS:,} members.")


class Readable(Protocol):
    """A stream that bytes are read from."""

    def read(self, size: int = -1, /) -> bytes:
        """Read at most that many bytes."""


class Metered:
    """A stream whose bytes are counted against a budget."""

    def __init__(self, stream: Readable, budget: Budget) -> None:
        self._stream = stream
        self._budget = budget

    def read(self, size: int = -1, /) -> bytes:
        """Read at most that many bytes.

        Raises:
            ArchiveRejected: The budget is spent.
        """
        block = self._stream.read(size)
        self._budget.spend(len(block))
        return block


def refuse_hostile_name(name: str) -> None:
    """Refuse a member whose name would lead out of a folder, on any system.

    Raises:
        FileRejected: It is absolute, or has ``..``, a backslash, NUL or a drive letter.
    """
    try:
        parts = relative_parts(name.removeprefix("./"))
    except PathEscapes as error:
        raise FileRejected("Its name leads out of the archive.") from error
    if parts[0][1:2] == ":":
        raise FileRejected("Its name leads out of the archive.")
