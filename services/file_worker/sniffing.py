"""Tell the true type of a file from its content.

A closed list of signatures, because what is not on it is refused: a general database of magic numbers has
thousands more that only add chances to be wrong.  For texts, which have no signature, the name decides between
readings that the content allows.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import tarfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path, PurePosixPath

from services.file_worker.delimiters import find_delimiter
from services.file_worker.encodings import byte_order_mark, find_encoding
from services.file_worker.limits import SNIFFED_BYTES
from services.file_worker.rejection import FileRejected
from shared.reports import FileKind


@dataclass(frozen=True, slots=True)
class FileType:
    """A type of file that is processed, and the extensions that names of it have."""

    kind: FileKind
    media_type: str
    extensions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sniffed:
    """What the content of a file is; ``encoding`` for texts."""

    type: FileType
    encoding: str | None = None

    @property
    def kind(self) -> FileKind:
        """The kind of the file."""
        return self.type.kind

    @property
    def media_type(self) -> str:
        """The media type of the file."""
        return self.type.media_type


JPEG = FileType("image", "image/jpeg", (".jpg", ".jpeg", ".jpe", ".jfif"))
PNG = FileType("image", "image/png", (".png",))
GIF = FileType("image", "image/gif", (".gif",))
TIFF = FileType("image", "image/tiff", (".tif", ".tiff"))
WEBP = FileType("image", "image/webp", (".webp",))
PDF = FileType("pdf", "application/pdf", (".pdf",))
ZIP = FileType("archive", "application/zip", (".zip",))
TAR = FileType("archive", "application/x-tar", (".tar",))
TAR_GZIP = FileType("archive", "application/gzip", (".gz", ".tgz"))
TAR_BZIP2 = FileType("archive", "application/x-bzip2", (".bz2", ".tbz2", ".tbz"))
TAR_XZ = FileType("archive", "application/x-xz", (".xz", ".txz"))
JSON = FileType("json", "application/json", (".json", ".geojson"))
CSV = FileType("csv", "text/csv", (".csv", ".tsv"))
TEXT = FileType("text", "text/plain", (".txt", ".text", ".md", ".log", ".rst"))

ALL_TYPES = (JPEG, PNG, GIF, TIFF, WEBP, PDF, ZIP, TAR, TAR_GZIP, TAR_BZIP2, TAR_XZ, JSON, CSV, TEXT)

SIGNATURES: tuple[tuple[re.Pattern[bytes], FileType], ...] = (
    (re.compile(rb"\xff\xd8\xff"), JPEG),  # ITU-T T.81, annex B: start of image, then a marker
    (re.compile(rb"\x89PNG\r\n\x1a\n"), PNG),  # RFC 2083, section 3.1
    (re.compile(rb"GIF8[79]a"), GIF),  # GIF89a, section 17
    (re.compile(rb"II[*+]\0|MM\0[*+]"), TIFF),  # TIFF 6.0, section 2; 43 instead of 42 for BigTIFF
    (re.compile(rb"RIFF....WEBP", re.DOTALL), WEBP),  # RFC 9649, section 2.4
    (re.compile(rb"(\xef\xbb\xbf)?\s*%PDF-\d"), PDF),  # ISO 32000-1, section 7.5.2
    (re.compile(rb"PK\x03\x04|PK\x05\x06"), ZIP),  # APPNOTE 6.3, sections 4.3.7 and 4.3.16
)

PACKAGE = re.compile(rb"PK\x03\x04.{26}(\[Content_Types\]\.xml|mimetype|META-INF/|_rels/)", re.DOTALL)
"""The first member of Office, OpenDocument, EPUB and Java files, which are ZIPs only by the way."""

COMPRESSIONS: tuple[tuple[bytes, Callable[[Path], BufferedIOBase], FileType], ...] = (
    (b"\x1f\x8b", gzip.GzipFile, TAR_GZIP),
    (b"BZh", bz2.BZ2File, TAR_BZIP2),
    (b"\xfd7zXZ\0", lzma.LZMAFile, TAR_XZ),
)

NOT_IN_TEXTS = re.compile(rb"[^\x07-\x0d\x1b\x20-\x7e\x80-\xff]")
"""The bytes that ``file`` takes as a sign that something is no text (libmagic, ``encoding.c``)."""

LOOKS_LIKE_JSON = re.compile(r'\s*(\{\s*["}]|\[\s*[\[{"\]])')


def sniff(path: Path, name: str) -> Sniffed:
    """Tell what a file is.

    Args:
        path: Where its content lies.
        name: What the person who submitted it calls it.

    Raises:
        FileRejected: It is empty, or of no type that is processed.
    """
    with path.open("rb") as stream:
        head = stream.read(SNIFFED_BYTES)
    if not head:
        raise FileRejected("The file is empty.")
    if known := _binary_type(path, head):
        return Sniffed(known)
    _refuse_binary(head, name)
    encoding = find_encoding(path)
    return Sniffed(_text_type(head.decode(encoding, errors="ignore"), extension(name)), encoding)


def wrong_extension(name: str, true_type: FileType) -> str | None:
    """Return the extension of a name when it is one of another type."""
    named_as = extension(name)
    of_others = any(named_as in other.extensions for other in ALL_TYPES if other is not true_type)
    return named_as if of_others else None


def extension(name: str) -> str:
    """Return the extension of a name, in small letters and with its dot."""
    return PurePosixPath(name).suffix.lower()


def _binary_type(path: Path, head: bytes) -> FileType | None:
    if PACKAGE.match(head):
        raise FileRejected("The file is a package such as those of Office or Java, which are not processed.")
    for pattern, known in SIGNATURES:
        if pattern.match(head):
            return known
    for magic, opener, known in COMPRESSIONS:
        if head.startswith(magic):
            return known if _is_tar(_beginning(path, opener)) else None
    return TAR if _is_tar(head) else None


def _beginning(path: Path, opener: Callable[[Path], BufferedIOBase]) -> bytes:
    try:
        with opener(path) as stream:
            return stream.read(tarfile.BLOCKSIZE)
    except (EOFError, gzip.BadGzipFile, lzma.LZMAError, zlib.error) as error:
        raise FileRejected("The compressed file is damaged.") from error


def _is_tar(head: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(head[: tarfile.BLOCKSIZE], "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


def _refuse_binary(head: bytes, name: str) -> None:
    if byte_order_mark(head) or not NOT_IN_TEXTS.search(head):
        return
    named_as = extension(name)
    if named_as in (*TEXT.extensions, *CSV.extensions, *JSON.extensions):
        raise FileRejected(f"The file is named {named_as}, but has bytes that no text has, such as NUL.")
    raise FileRejected("The file is of no type that is processed.")


def _text_type(text: str, named_as: str) -> FileType:
    if named_as in JSON.extensions or LOOKS_LIKE_JSON.match(text):
        return JSON
    if named_as in CSV.extensions or find_delimiter(text):
        return CSV
    return TEXT
