"""Read the members of a ZIP one after the other, trusting no header."""

from __future__ import annotations

import lzma
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from services.file_worker.expansion import Budget, Member, Metered, refuse_hostile_name, refuse_many
from services.file_worker.limits import MAX_DIRECTORY_BYTES
from services.file_worker.rejection import FileRejected

ENCRYPTED = 0x1
"""Bit 0 of the general purpose flags (APPNOTE 6.3, section 4.4.4)."""
END_RECORD = struct.Struct("<4s4H2LH")
END_SIGNATURE = b"PK\x05\x06"
"""End of central directory (APPNOTE 6.3, section 4.3.16); a comment of up to 65,535 bytes may follow."""
ZIP64_LOCATOR_BYTES = 20
ZIP64_LOCATOR_SIGNATURE = b"PK\x06\x07"
"""Stands right before the end record of a ZIP64 (APPNOTE 6.3, section 4.3.15)."""


def zip_members(path: Path, budget: Budget) -> Iterator[Member]:
    """Give the files in a ZIP.

    Raises:
        FileRejected: Its directory is larger than is read, or that of a ZIP64.
        ArchiveRejected: It has too many members.
        zipfile.BadZipFile: It is damaged.
    """
    _refuse_large_directory(path)
    with zipfile.ZipFile(path) as archive:
        entries = [info for info in archive.infolist() if not info.is_dir()]
        refuse_many(len(entries))
        for number, info in enumerate(entries):
            yield Member(info.filename, partial(_expand, archive, info, budget), number, len(entries))


def _expand(archive: zipfile.ZipFile, info: zipfile.ZipInfo, budget: Budget, target: Path) -> None:
    refuse_hostile_name(info.filename)
    if stat.S_ISLNK(info.external_attr >> 16):
        raise FileRejected("It is a link, and links are not followed.")
    if info.flag_bits & ENCRYPTED:
        raise FileRejected("It is encrypted.")
    with target.open("wb") as file:
        try:
            with archive.open(info) as content:
                shutil.copyfileobj(Metered(content, budget), file)
        except NotImplementedError as error:
            raise FileRejected("It is compressed in a way that is not known.") from error
        except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError) as error:
            raise FileRejected("It is damaged in the archive.") from error


def _refuse_large_directory(path: Path) -> None:
    """Refuse a directory that ``zipfile``, which reads it whole, would fill the memory with."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - END_RECORD.size - 0xFFFF - ZIP64_LOCATOR_BYTES))
        tail = file.read()
    end = tail.rfind(END_SIGNATURE)
    if not 0 <= end <= len(tail) - END_RECORD.size:
        raise FileRejected("The ZIP is cut short: its directory is missing.")
    if tail[max(0, end - ZIP64_LOCATOR_BYTES) : end].startswith(ZIP64_LOCATOR_SIGNATURE):
        raise FileRejected("The archive is a ZIP64, made for more members or bytes than are processed.")
    directory_bytes = END_RECORD.unpack_from(tail, end)[5]
    if directory_bytes > MAX_DIRECTORY_BYTES:
        raise FileRejected("The archive has more members than are processed.")
