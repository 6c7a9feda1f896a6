"""Names under which files are stored: readable, and harmless in any file system and terminal."""

from __future__ import annotations

import os
import unicodedata
from pathlib import PurePath, PurePosixPath

LONGEST_BYTES = 200
"""File systems allow 255; the rest is room for the suffixes of files in the making."""
LONGEST_SUFFIX = 20
HARMLESS = frozenset("._-+")


def safe_name(name: str) -> str:
    """Make a file name that keeps the letters, digits and suffix of a given one, whatever it is.

    Everything but letters and digits of any script and ``. _ - +`` becomes ``_``; the result never begins with
    a dot or a dash, is never empty, and has at most 200 bytes in UTF-8.
    """
    text = unicodedata.normalize("NFC", display_name(name))
    text = "".join(character if _harmless(character) else "_" for character in text).lstrip(".-")
    suffix = PurePosixPath(text).suffix
    if len(suffix.encode()) > LONGEST_SUFFIX:
        suffix = ""
    stem = text.removesuffix(suffix).encode()[: LONGEST_BYTES - len(suffix.encode())]
    return (stem.decode("utf-8", "ignore") or "file") + suffix


def display_name(path: str | PurePath) -> str:
    """Turn a name of the file system into text; bytes that are no UTF-8 become the replacement character."""
    return os.fsencode(path).decode("utf-8", "replace")


def _harmless(character: str) -> bool:
    return character in HARMLESS or unicodedata.category(character)[0] in "LNM"
