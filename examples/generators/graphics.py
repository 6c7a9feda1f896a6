"""Draw graphics in the formats that are not photographs: PNG, WebP, GIF, TIFF."""

from __future__ import annotations

from typing import Any

import pyvips

from examples.generators.photographs import grain


def transparent_png(size: int) -> bytes:
    """Return a PNG of coloured rings that fade into transparency."""
    rings = _rings(size, 24.0)
    far = _distance(size).linear(-510 / size, 255)
    alpha = (far > 0).ifthenelse(far, 0)
    return bytes(rings.bandjoin(alpha.cast("uchar")).pngsave_buffer(compression=6))


def deep_png(width: int, height: int) -> bytes:
    """Return a PNG of a gradient in shades of grey, 16 bits each."""
    ramp = pyvips.Image.xyz(width, height)[0].linear(65535 / width, 0)
    return bytes(ramp.cast("ushort").copy(interpretation="grey16").pngsave_buffer())


def texture_webp(width: int, height: int) -> bytes:
    """Return a WebP of cells, as in a leaf under a microscope."""
    cells = pyvips.Image.worley(width, height, cell_size=96, seed=5).linear(2.4, 0)
    bands = [cells.linear(factor, offset) for factor, offset in ((0.4, 20), (1.0, 60), (0.6, 30))]
    return bytes(bands[0].bandjoin(bands[1:]).cast("uchar").copy(interpretation="srgb").webpsave_buffer(Q=85))


def animated_gif(size: int, frames: int) -> bytes:
    """Return a GIF of rings that spread."""
    strip = pyvips.Image.arrayjoin([_rings(size, 30.0, frame / frames) for frame in range(frames)], across=1)
    strip = strip.copy()
    strip.set_type(pyvips.GValue.gint_type, "page-height", size)
    return bytes(strip.gifsave_buffer(effort=3))


def scanned_tiff(width: int, height: int) -> bytes:
    """Return a TIFF of a page as a scanner sees it: rules on paper, with grain and uneven light."""
    across, down = pyvips.Image.xyz(width, height).bandsplit()
    rules = ((down % 60) < 3).ifthenelse(110, 238)
    light = across.linear(-24 / width, 12)
    page = (rules + light + grain(width, height, seed=11)).cast("uchar").copy(interpretation="b-w")
    return bytes(page.tiffsave_buffer(compression="deflate", predictor="horizontal"))


def _rings(size: int, spacing: float, phase: float = 0.0) -> Any:
    waves = _distance(size).linear(360 / spacing, -360 * phase)
    bands = [waves.linear(1, shift).math("sin").linear(100, 140) for shift in (0, 120, 240)]
    return bands[0].bandjoin(bands[1:]).cast("uchar").copy(interpretation="srgb")


def _distance(size: int) -> Any:
    across, down = pyvips.Image.xyz(size, size).linear(1, -size / 2).bandsplit()
    return (across * across + down * down) ** 0.5
