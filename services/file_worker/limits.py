"""How much of a file the service takes on: every limit on one screen.

Each is there so that one submitted file cannot take the memory, the disk or the time of the others.  They are
rules of ours, set well above what people submit and well below what a worker has.
"""

from __future__ import annotations

MIB = 1024 * 1024

SNIFFED_BYTES = 64 * 1024
"""The beginning of a file, from which its type is told."""

MAX_PIXELS = 100_000_000
"""Of an image, as its header claims; one that cannot be decoded line by line takes up to 8 bytes for each."""
WEB_PIXELS = 1600
PAGE_PIXELS = 1200
PREVIEW_PIXELS = 320
"""Longest side of the artefacts ``web``, ``page`` and ``preview``."""

MAX_TEXT_PAGES = 500
MAX_TEXT_CHARACTERS = 10_000_000
"""Of the text of a PDF; what is beyond is left out, which its facts say."""

MAX_LINE_CHARACTERS = MIB
MAX_COLUMNS = 1000
"""Of a table; a file beyond is refused."""

MAX_JSON_BYTES = 16 * MIB
"""A JSON document is whole in memory, at up to 25 times its size."""
MAX_JSON_DEPTH = 100
MAX_SHAPE_DEPTH = 8
MAX_SHAPE_PATHS = 500
"""What lies deeper, or at further paths, is counted and not described."""

MAX_MEMBERS = 1000
MAX_EXPANDED_BYTES = 512 * MIB
MAX_RATIO = 100
RATIO_FLOOR_BYTES = 32 * MIB
"""An archive may expand to 100 times its size, or to 32 MiB where that is more, and never beyond 512 MiB."""
MAX_MEMBER_HEADER_BYTES = MIB
"""Of the extended header of a TAR member, which is whole in memory."""
MAX_DIRECTORY_BYTES = 4 * MIB
"""Of the directory of a ZIP, which is whole in memory; 1,000 members need a tenth of it."""

MAX_FACT_CHARACTERS = 300
"""Of a text from the file itself that becomes a fact: a title, the name of a member or column."""
