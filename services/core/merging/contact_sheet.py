"""The contact sheet of a job: a picture with a tile for each file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, sqrt
from pathlib import Path
from typing import Any

from services.core.merging.lettering import Box, Colour, shortened, write_on
from shared.vips import load_vips

MOST_TILES = 400
"""A sheet of 20 × 20 can still be looked at; the manifest has all files."""

WIDTH = 240
PICTURE_HEIGHT = 180
LABEL_HEIGHT = 32
GAP = 16
HEADER_HEIGHT = 44
QUALITY = 85

PAPER: Colour = (243, 244, 246)
CARD: Colour = (255, 255, 255)
PLAIN: Colour = (224, 231, 240)
GREY: Colour = (203, 207, 213)
INK: Colour = (31, 41, 55)
FAINT: Colour = (100, 116, 139)
RED: Colour = (153, 27, 27)

LABEL_BOX = Box(10, PICTURE_HEIGHT + 9, WIDTH - 20, LABEL_HEIGHT - 11)
KIND_BOX = Box(10, PICTURE_HEIGHT // 2 - 12, WIDTH - 20, 28)
FAILED_BOX = Box(14, 16, WIDTH - 28, 20)
REASON_BOX = Box(14, 42, WIDTH - 28, PICTURE_HEIGHT - 52)
LABEL_CHARACTERS = 29
"""As many of average width as fit into a label."""
REASON_CHARACTERS = 160


@dataclass(frozen=True, slots=True)
class Tile:
    """What the sheet shows of one file."""

    name: str
    kind: str
    """What stands in for a picture, where there is none."""
    picture: Path | None = None
    failure: str | None = None
    """Why the file failed; such a tile is grey."""


def contact_sheet(title: str, tiles: Sequence[Tile]) -> bytes:
    """Draw a sheet as a JPEG; a file whose picture cannot be read gets the tile of one without.

    Args:
        title: What stands above the tiles.
        tiles: One for each file, and at least one; only the first 400 are drawn.
    """
    shown = tiles[:MOST_TILES]
    if len(shown) < len(tiles):
        title = f"{title} · the first {len(shown)} of {len(tiles)}"
    columns = max(3, ceil(sqrt(len(shown))))
    rows = ceil(len(shown) / columns)
    width = columns * (WIDTH + GAP) + GAP
    height = HEADER_HEIGHT + rows * (PICTURE_HEIGHT + LABEL_HEIGHT + GAP)
    grid = load_vips().Image.arrayjoin(
        [_draw(tile) for tile in shown], across=columns, shim=GAP, background=list(PAPER)
    )
    header = Box(GAP, 15, width - 2 * GAP, HEADER_HEIGHT - 15)
    sheet = write_on(_plane(width, height, PAPER), title, INK, header, points=12)
    content: bytes = sheet.insert(grid, GAP, HEADER_HEIGHT).write_to_buffer(".jpg", Q=QUALITY, keep="none")
    return content


def _draw(tile: Tile) -> Any:
    card = _plane(WIDTH, PICTURE_HEIGHT + LABEL_HEIGHT, CARD).insert(_top(tile), 0, 0)
    return write_on(card, shortened(tile.name, LABEL_CHARACTERS), INK, LABEL_BOX, points=9)


def _top(tile: Tile) -> Any:
    if tile.failure is not None:
        grey = write_on(_plane(WIDTH, PICTURE_HEIGHT, GREY), "Failed", RED, FAILED_BOX, points=12)
        return write_on(grey, shortened(tile.failure, REASON_CHARACTERS), INK, REASON_BOX, points=9)
    picture = None if tile.picture is None else _thumbnail(tile.picture)
    if picture is None:
        plain = _plane(WIDTH, PICTURE_HEIGHT, PLAIN)
        return write_on(plain, tile.kind.upper(), FAINT, KIND_BOX, points=16, align="centre")
    left, top = (WIDTH - picture.width) // 2, (PICTURE_HEIGHT - picture.height) // 2
    return _plane(WIDTH, PICTURE_HEIGHT, CARD).insert(picture, left, top)


def _thumbnail(path: Path) -> Any | None:
    vips = load_vips()
    try:
        picture = vips.Image.thumbnail(str(path), WIDTH, height=PICTURE_HEIGHT, size="down").colourspace("srgb")
        if picture.hasalpha():
            picture = picture.flatten(background=list(CARD))
        return picture.copy_memory()  # what is wrong with a picture shows when its pixels are asked for
    except vips.Error:
        return None


def _plane(width: int, height: int, colour: Colour) -> Any:
    black = load_vips().Image.black(width, height, bands=3)
    return (black + list(colour)).cast("uchar").copy(interpretation="srgb")
