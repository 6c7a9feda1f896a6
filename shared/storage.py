"""The storage root: submitted files and artefacts, addressed by relative paths that cannot leave it."""

from __future__ import annotations

import glob
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple

from shared.errors import FleetError
from shared.reports import Artefact

COPY_BYTES = 1024 * 1024
PARTIAL_SUFFIX = ".partial"
TOKEN_PATTERN = "[0-9a-f]" * 8


class PathEscapes(FleetError):
    """A path would lead out of the storage root, or is none; nothing was read or written."""

    def __init__(self, path: str) -> None:
        super().__init__(
            f"{path!r} is not a path inside the storage root. "
            "Give names joined by '/', without '..', backslashes, NUL or a leading '/'."
        )


class Digest(NamedTuple):
    """The size and the SHA-256 of a file."""

    bytes: int
    sha256: str


def digest(file: Path) -> Digest:
    """Measure and hash a file while it streams by; it is never whole in memory."""
    with file.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
        return Digest(stream.tell(), sha256)


def relative_parts(path: str) -> tuple[str, ...]:
    """Split a relative POSIX path into its names.

    Raises:
        PathEscapes: It is absolute or empty, or has ``..``, ``.``, an empty name, a backslash or NUL.
    """
    parts = tuple(path.split("/"))
    if any(part in ("", ".", "..") for part in parts) or "\\" in path or "\0" in path:
        raise PathEscapes(path)
    return parts


class OutputFolder:
    """A folder of artefacts in the making; readers see it once :meth:`Storage.writing` has ended well."""

    def __init__(self, folder: Path, destination: str) -> None:
        self.folder = folder
        self.destination = destination
        self.artefacts: list[Artefact] = []

    def write(self, role: str, filename: str, media_type: str, content: bytes) -> None:
        """Write an artefact whose content is at hand."""
        (self.folder / filename).write_bytes(content)
        self.record(role, filename, media_type)

    def record(self, role: str, filename: str, media_type: str) -> None:
        """Add a file that was written into the folder to its artefacts."""
        size, sha256 = digest(self.folder / filename)
        path = str(PurePosixPath(self.destination, filename))
        self.artefacts.append(Artefact(role=role, path=path, media_type=media_type, bytes=size, sha256=sha256))

    @contextmanager
    def below(self, path: str) -> Iterator[OutputFolder]:
        """Open a folder inside this one, with artefacts of its own; an exception removes it."""
        folder = self.folder.joinpath(*relative_parts(path))
        folder.mkdir(parents=True)
        try:
            yield OutputFolder(folder, str(PurePosixPath(self.destination, path)))
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise


class Storage:
    """Files below one root folder.

    Args:
        root: The folder; it is made when something is first written.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    @property
    def root(self) -> Path:
        """The folder below which everything lies."""
        return self._root

    def path(self, path: str) -> Path:
        """Return where a relative POSIX path lies, whether or not there is a file.

        Raises:
            PathEscapes: It would lead out of the root, also by a symbolic link.
        """
        root = Path(os.path.realpath(self._root))
        resolved = Path(os.path.realpath(root.joinpath(*relative_parts(path))))
        if root not in resolved.parents:
            raise PathEscapes(path)
        return resolved

    def place(self, source: BinaryIO, path: str) -> Digest:
        """Copy a stream into the storage, hashing it on its way; the file is there whole or not at all.

        Args:
            source: Read to its end in pieces.
            path: Relative path of the file; what was there is replaced.

        Raises:
            PathEscapes: The path would lead out of the root; nothing was written.
            OSError: It could not be written; nothing is left of it.
        """
        final = self.path(path)
        final.parent.mkdir(parents=True, exist_ok=True)
        partial = _sibling(final)
        sha256 = hashlib.sha256()
        try:
            with partial.open("xb") as target:
                while block := source.read(COPY_BYTES):
                    sha256.update(block)
                    target.write(block)
                size = target.tell()
            partial.replace(final)
        finally:
            partial.unlink(missing_ok=True)
        return Digest(size, sha256.hexdigest())

    @contextmanager
    def writing(self, destination: str) -> Iterator[OutputFolder]:
        """Open a folder for artefacts that appears whole or not at all.

        The folder is ``<destination>.<token>.partial`` until the block ends, and is then renamed into place; an
        earlier complete one is replaced.  A reader may find none for the instant between two renames, never a
        mixture.  An exception, a soft time limit included, removes the partial folder and leaves the earlier one.
        Partial folders that a killed process left of the same destination are removed first; should their writer
        be alive after all, it fails with ``FileNotFoundError`` and commits nothing.

        Args:
            destination: Relative path of the folder.

        Raises:
            PathEscapes: The destination would lead out of the root; nothing was written.
            OSError: It could not be written; nothing is left of it.
        """
        final = self.path(destination)
        for leftover in final.parent.glob(_leftovers_of(final)):
            shutil.rmtree(leftover, ignore_errors=True)
        partial = _sibling(final)
        try:
            partial.mkdir(parents=True)
            yield OutputFolder(partial, destination)
            _commit(partial, final)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def _sibling(final: Path) -> Path:
    return final.with_name(f"{final.name}.{secrets.token_hex(4)}{PARTIAL_SUFFIX}")


def _leftovers_of(final: Path) -> str:
    return f"{glob.escape(final.name)}.{TOKEN_PATTERN}{PARTIAL_SUFFIX}"


def _commit(partial: Path, final: Path) -> None:
    if not final.exists():
        partial.rename(final)
        return
    replaced = _sibling(final)
    final.rename(replaced)
    try:
        partial.rename(final)
    except BaseException:
        replaced.rename(final)
        raise
    shutil.rmtree(replaced)
