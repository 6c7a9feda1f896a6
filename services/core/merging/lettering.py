"""Writes on pictures, with a font that comes along: a small machine has none."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any, NamedTuple

from shared.vips import load_vips

FONT_FILE = Path(__file__).parent / "fonts" / "DejaVuSans-subset.ttf"
"""Latin, Greek and Cyrillic; letters of other scripts come from the fonts of the machine, where it has them."""

Colour = tuple[int, int, int]


class Box(NamedTuple):
    """A place on a picture, in pixels."""

    left: int
    top: int
    width: int
    height: int


def write_on(picture: Any, text: str, colour: Colour, box: Box, *, points: int, align: str = "low") -> Any:
    """Write text into a box of a picture; it is wrapped at the width of the box and cut at its height.

    Args:
        picture: A picture of libvips, in sRGB.
        text: What to write.
        colour: Red, green and blue, 0 to 255.
        box: Where to write; the text begins at its top.
        points: The size of the font, at 96 pixels per inch.
        align: ``low`` for left, ``centre`` for the middle of the box.
    """
    if not text.strip():
        return picture
    ink = load_vips().Image.text(
        escape(text),  # Pango would read it as markup
        font=f"DejaVu Sans {points}",
        fontfile=str(FONT_FILE),
        width=box.width,
        align=align,
        wrap="word-char",
        dpi=96,
    )
    ink = ink.crop(0, 0, min(ink.width, box.width), min(ink.height, box.height))
    left = box.left + ((box.width - ink.width) // 2 if align == "centre" else 0)
    mask = ink.embed(left, box.top, picture.width, picture.height)
    return mask.ifthenelse(list(colour), picture, blend=True).copy(interpretation="srgb")


def shortened(text: str, most: int) -> str:
    """Shorten text in its middle, so that the suffix of a file name can still be read."""
    if len(text) <= most:
        return text
    tail = most // 3
    return f"{text[: most - tail - 1]}…{text[-tail:]}"
