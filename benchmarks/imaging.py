"""Images to process, and what processes them: ``benchmarks.timed`` calls these."""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import time
from pathlib import Path
from typing import Any

from services.core.local.waiting import wait_until
from services.file_worker.images import process_image
from services.file_worker.sniffing import sniff
from services.file_worker.work import Findings, Work, silent
from shared.bulk import publish_many
from shared.settings import load_settings
from shared.signatures import files
from shared.storage import OutputFolder

PROCESSES = 2
SOURCES = "images"
OUTPUT, BARE = "out", "bare"
KINDS = (
    (".jpg", 640, 480),
    (".png", 400, 300),
    (".jpg", 320, 240),
    (".webp", 640, 480),
    (".png", 500, 400),
    (".jpg", 800, 600),
    (".jpg", 400, 300),
    (".webp", 320, 240),
    (".jpg", 640, 480),
    (".jpg", 1600, 1200),
)
"""Small ones for the most part: 2,000 of them take two cores about a minute."""
DIFFERENT = 40
SEED = 8
POLL_SECONDS = 0.05
WITHIN_SECONDS = 180.0


def make_images(_number: int) -> None:
    """Write the different images, from which all files are."""
    from shared.vips import load_vips  # noqa: PLC0415 - loaded where images are made

    vips, lot, folder = load_vips(), random.Random(SEED), _root() / SOURCES  # noqa: S311 - it has to be repeatable
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(DIFFERENT):
        suffix, width, height = KINDS[number % len(KINDS)]
        small = vips.Image.gaussnoise(
            width // 40, height // 40, mean=lot.randint(90, 160), sigma=60, seed=lot.randrange(2**31)
        )
        smooth = small.resize(40, kernel="cubic").cast("uchar")
        smooth.bandjoin([smooth.rot180(), smooth.fliphor()]).copy(interpretation="srgb").write_to_file(
            str(folder / f"{number:03}{suffix}")
        )


def _root() -> Path:
    return load_settings().storage


def _sources() -> list[Path]:
    return sorted((_root() / SOURCES).iterdir())


def through_the_fleet(number: int) -> float:
    """Have a worker process so many files; return the seconds from the first publish to the last folder."""
    from services.file_worker.app import app  # noqa: PLC0415 - the bare loop needs none

    app.set_current()
    shutil.rmtree(_root() / OUTPUT, ignore_errors=True)
    (_root() / OUTPUT).mkdir(parents=True)
    sources = _sources()
    began = time.perf_counter()
    publish_many(
        files.process(f"file-{each}", f"{SOURCES}/{source.name}", f"{OUTPUT}/{each:05}", source.name)
        for each in range(number)
        for source in (sources[each % len(sources)],)
    )
    if not wait_until(lambda: _folders() == number, WITHIN_SECONDS, every=POLL_SECONDS):
        raise TimeoutError(f"{_folders()} of {number} images were done after {WITHIN_SECONDS:g} s.")
    return time.perf_counter() - began


def _folders() -> int:
    with os.scandir(_root() / OUTPUT) as entries:
        return sum(not entry.name.endswith(".partial") for entry in entries)


def bare_loop(number: int) -> float:
    """Make the same variants in two processes that keep no books; return the seconds."""
    shutil.rmtree(_root() / BARE, ignore_errors=True)
    sources = _sources()
    with multiprocessing.Pool(PROCESSES) as pool:
        pool.map(_nothing, range(PROCESSES * 4))
        began = time.perf_counter()
        for _ in pool.imap_unordered(_variants, [(sources[each % len(sources)], each) for each in range(number)]):
            pass
        return time.perf_counter() - began


def _nothing(_number: int) -> None:
    """Have a process start."""


def _variants(asked: tuple[Path, int]) -> dict[str, Any]:
    source, number = asked
    folder = _root() / BARE / f"{number:05}"
    folder.mkdir(parents=True)
    findings: Findings = process_image(
        Work(
            path=source,
            bytes=0,
            sniffed=sniff(source, source.name),
            output=OutputFolder(folder, folder.name),
            progress=silent,
            process_member=_no_member,
        )
    )
    return findings.facts


def _no_member(*_: object) -> Any:
    raise AssertionError("An image has no members.")
