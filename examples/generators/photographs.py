"""Paint landscapes that a camera might have taken: sky, clouds, ridges that fade with distance, film grain."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any

import pyvips

Colour = list[float]

RIDGES = 5
RIDGE_POINTS = 512
"""Of the outline of a ridge, before it is stretched to the width of the picture; a power of two."""

SOFT = 4
"""What has no edges is painted this much smaller and enlarged."""

GRAIN_TILE = 509
"""Side of the piece of grain that repeats; a prime, so that it fits no pattern."""

THICKEST_CLOUD = 0.85

STORED_TURN = {1: "d0", 3: "d180", 6: "d270", 8: "d90"}
"""How far a camera that writes an EXIF orientation has turned the upright picture (EXIF 2.32, section 4.6.4)."""


def photograph(seed: int, width: int, height: int, *, orientation: int = 1) -> bytes:
    """Return a JPEG of a landscape, with the metadata of a camera.

    Args:
        seed: The same seed gives the same landscape.
        width: Of the upright picture, in pixels.
        height: Of the upright picture, in pixels.
        orientation: EXIF orientation; the pixels are stored turned accordingly.
    """
    return camera_jpeg(_landscape(seed, width, height), orientation)


def camera_jpeg(upright: Any, orientation: int) -> bytes:
    """Encode an upright picture like a camera that was held at an angle."""
    stored = upright.rot(STORED_TURN[orientation]).copy()
    stored.set_type(pyvips.GValue.gint_type, "orientation", orientation)
    for tag, value in (
        ("exif-ifd0-Make", "Switchyard"),
        ("exif-ifd0-Model", "Landscape Painter"),
        ("exif-ifd2-DateTimeOriginal", "2024:05:17 18:42:00"),
        ("exif-ifd3-GPSLatitudeRef", "N"),
        ("exif-ifd3-GPSLatitude", "47/1 22/1 0/1"),
    ):
        stored.set_type(pyvips.GValue.gstr_type, tag, value)
    return bytes(stored.jpegsave_buffer(Q=88))


def _landscape(seed: int, width: int, height: int) -> Any:
    lot = random.Random(seed)
    zenith = [lot.uniform(30, 90), lot.uniform(70, 130), lot.uniform(140, 210)]
    horizon = [lot.uniform(215, 250), lot.uniform(160, 215), lot.uniform(120, 200)]
    ground = [lot.uniform(15, 60), lot.uniform(40, 80), lot.uniform(25, 60)]
    rows = pyvips.Image.xyz(width, height)[1]
    picture = _enlarged(_clouded(_sky(width // SOFT + 1, height // SOFT + 1, zenith, horizon), seed), width, height)
    for ridge in range(RIDGES):
        nearness = (ridge + 1) / RIDGES
        outline = _outline(lot, width, height * (0.2 - 0.12 * nearness))
        outline = outline.linear(1, height * (0.42 + 0.45 * nearness)).replicate(1, height)
        colour = _mixed(_mixed(horizon, zenith, 0.35), ground, nearness)
        texture = _texture(width, height, 16 + 48 * nearness, seed + ridge).linear(18 * nearness, 0)
        slope = texture.bandjoin([texture, texture]) + colour
        picture = (rows > outline).ifthenelse(slope, picture)
    return (picture + grain(width, height, seed)).cast("uchar").copy(interpretation="srgb")


def _sky(width: int, height: int, zenith: Colour, horizon: Colour) -> Any:
    down = pyvips.Image.xyz(width, height)[1].linear(1 / (0.7 * height), 0)
    slopes = [low - high for low, high in zip(horizon, zenith, strict=True)]
    return down.bandjoin([down, down]).linear(slopes, zenith)


def _clouded(sky: Any, seed: int) -> Any:
    billows = [
        pyvips.Image.perlin(sky.width, sky.height, cell_size=max(2, sky.width // parts), seed=seed + parts)
        for parts in (4, 8, 16, 32, 64)
    ]
    cover = sum(billow.linear(1.6 / 1.6**octave, 0) for octave, billow in enumerate(billows))
    cover = (cover > 0).ifthenelse(cover, 0)
    cover = (cover > THICKEST_CLOUD).ifthenelse(THICKEST_CLOUD, cover)
    return sky * (1 - cover) + cover * 242


def _texture(width: int, height: int, cell: float, seed: int) -> Any:
    """Return smooth noise, about -1 to 1."""
    small = pyvips.Image.perlin(width // SOFT + 1, height // SOFT + 1, cell_size=max(2, round(cell / SOFT)), seed=seed)
    return _enlarged(small, width, height)


def _enlarged(small: Any, width: int, height: int) -> Any:
    return small.resize(SOFT, kernel="linear").crop(0, 0, width, height)


def grain(width: int, height: int, seed: int) -> Any:
    """Return the noise of a sensor, a few steps of brightness up and down."""
    tile = pyvips.Image.gaussnoise(GRAIN_TILE, GRAIN_TILE, mean=0, sigma=5, seed=seed).copy_memory()
    return tile.replicate(width // GRAIN_TILE + 1, height // GRAIN_TILE + 1).crop(0, 0, width, height)


def _outline(lot: random.Random, width: int, height: float) -> Any:
    """Return the outline of a ridge, one row of heights, by midpoint displacement."""
    points = [lot.uniform(-1, 1), lot.uniform(-1, 1)]
    step = 1.0
    while len(points) <= RIDGE_POINTS:
        step *= 0.52
        between = [(left + right) / 2 + lot.uniform(-step, step) for left, right in pairwise(points)]
        points = [point for pair in zip(points, between, strict=False) for point in pair] + points[-1:]
    row = pyvips.Image.new_from_array([points])
    return row.resize((width + 2) / row.width, vscale=1, kernel="cubic").crop(0, 0, width, 1).linear(height, 0)


def _mixed(one: Colour, other: Colour, share: float) -> Colour:
    return [a * (1 - share) + b * share for a, b in zip(one, other, strict=True)]
