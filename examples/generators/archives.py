"""Pack archives, good ones and hostile ones; the same members give the same bytes."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from collections.abc import Mapping

LONG_AGO = (2024, 1, 1, 0, 0, 0)
BLOCK = bytes(1024 * 1024)


def zip_of(members: Mapping[str, bytes]) -> bytes:
    """Return a ZIP of the given files; their names are taken as they are, ``..`` included."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name, LONG_AGO), content, zipfile.ZIP_DEFLATED)
    return target.getvalue()


def zip_bomb(mebibytes: int) -> bytes:
    """Return a small ZIP whose one member is that many MiB of zeros."""
    target = io.BytesIO()
    with (
        zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open(_deflated("zeros.txt"), "w") as member,
    ):
        for _ in range(mebibytes):
            member.write(BLOCK)
    return target.getvalue()


def tar_of(members: Mapping[str, bytes], links: Mapping[str, str] | None = None) -> bytes:
    """Return a TAR of the given files, and of symbolic links to the given targets."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        for name, destination in (links or {}).items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, destination
            archive.addfile(info)
    return target.getvalue()


def tar_gz_of(members: Mapping[str, bytes]) -> bytes:
    """Return a TAR of the given files, compressed by gzip."""
    return gzip.compress(tar_of(members), mtime=0)


def _deflated(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, LONG_AGO)
    info.compress_type = zipfile.ZIP_DEFLATED
    return info
