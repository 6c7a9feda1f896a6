"""Spoil files: cut short, lying about themselves, or never what their name says."""

from __future__ import annotations

import random
import struct
import zlib


def cut_short(content: bytes, share: float = 0.4) -> bytes:
    """Return the beginning of a file, as an upload leaves it that broke off."""
    return content[: int(len(content) * share)]


def png_bomb(side: int) -> bytes:
    """Return a PNG of a few hundred bytes that claims a square of so many pixels each way (RFC 2083)."""
    header = struct.pack(">2I5B", side, side, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(100_000))), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, content) for name, content in chunks)


def noise(size: int) -> bytes:
    """Return so many bytes without any meaning."""
    return random.Random(size).randbytes(size)


def table_with_nul() -> bytes:
    """Return a table in which NUL bytes stand where a disk failed."""
    return b"id,name\n1,Ada\n2,Gr\0\0\0\0ce\n3,Alan\n"


def broken_json() -> bytes:
    """Return a JSON document whose end was lost."""
    return b'{"orders": [{"id": 1, "goods": "coal"}, {"id": 2, "goo'


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
