"""Read the members of a TAR, compressed or not, one after the other, trusting no header."""

from __future__ import annotations

import bz2
import gzip
import lzma
import shutil
import tarfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import IO, BinaryIO, Self, cast

from services.file_worker.expansion import Budget, Member, Metered, Readable, refuse_hostile_name, refuse_many
from services.file_worker.limits import MAX_MEMBER_HEADER_BYTES, MIB
from services.file_worker.rejection import ArchiveRejected, FileRejected

DECOMPRESSORS: dict[str, Callable[[BinaryIO], Readable]] = {
    "application/gzip": lambda file: gzip.GzipFile(fileobj=file),
    "application/x-bzip2": bz2.BZ2File,
    "application/x-xz": lzma.LZMAFile,
}

EXTENDED_HEADERS = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)

DAMAGE = (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile)


class _BoundedTarInfo(tarfile.TarInfo):
    """A header that says no more than fits: ``tarfile`` reads extended headers whole into memory."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        info = super().frombuf(buf, encoding, errors)
        if info.type in EXTENDED_HEADERS and info.size > MAX_MEMBER_HEADER_BYTES:
            raise ArchiveRejected("The archive has a member with an oversized header.")
        return info


def tar_members(path: Path, media_type: str, budget: Budget) -> Iterator[Member]:
    """Give the files in a TAR.

    Every byte that is decompressed is counted, those of members that are passed over included.

    Raises:
        ArchiveRejected: It is damaged or cut short, expands to too much, or has too many members.
    """
    with path.open("rb") as file:
        size = path.stat().st_size
        expanded: Readable = DECOMPRESSORS[media_type](file) if media_type in DECOMPRESSORS else file
        try:
            with tarfile.open(
                fileobj=cast("IO[bytes]", Metered(expanded, budget)),
                mode="r|",
                bufsize=MIB,
                tarinfo=_BoundedTarInfo,
            ) as archive:
                for number, info in enumerate(archive, start=1):
                    refuse_many(number)
                    if not info.isdir():
                        yield Member(info.name, partial(_expand, archive, info), file.tell(), size)
        except DAMAGE as error:
            raise _damaged() from error


def _expand(archive: tarfile.TarFile, info: tarfile.TarInfo, target: Path) -> None:
    refuse_hostile_name(info.name)
    if info.issym() or info.islnk():
        raise FileRejected("It is a link, and links are not followed.")
    content = archive.extractfile(info) if info.isfile() and not info.issparse() else None
    if content is None:
        raise FileRejected("It is a device, a pipe or a sparse file, which are not expanded.")
    try:
        with content, target.open("wb") as file:
            shutil.copyfileobj(content, file)
    except DAMAGE as error:
        raise _damaged() from error


def _damaged() -> ArchiveRejected:
    return ArchiveRejected("The archive is damaged or cut short.")
