"""Lists and files to work on: small, all different, and some of them bad."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import pyvips

DOMAIN = "chaos.example.org"
PIXELS = (900, 600)


def addresses(campaign: int, size: int) -> tuple[str, ...]:
    """Return the addresses of a campaign, which no other campaign has."""
    return tuple(f"c{campaign}-r{number}@{DOMAIN}" for number in range(1, size + 1))


def owner(job: int, attempt: int) -> str:
    """Return the address that is told of a file job, and of nothing else; another one at each attempt to submit it."""
    return f"job-{job}-{attempt}@{DOMAIN}"


def single(mail: int) -> str:
    """Return the address of a single mail."""
    return f"mail-{mail}@{DOMAIN}"


def write_list(path: Path, recipients: tuple[str, ...]) -> None:
    """Write a recipient list for the template ``welcome``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("address,name\n" + "".join(f"{address},Reader\n" for address in recipients))


def file_names(size: int) -> tuple[str, ...]:
    """Return the names of the files of a job."""
    return tuple(f"{number:04}{MAKERS[number % len(MAKERS)][0]}" for number in range(1, size + 1))


def write_files(folder: Path, size: int, seed: int) -> None:
    """Write files of each kind into a folder, one in ten of them cut short."""
    folder.mkdir(parents=True, exist_ok=True)
    lot = random.Random(seed)  # noqa: S311 - it has to be repeatable
    for number, name in enumerate(file_names(size), 1):
        content = MAKERS[number % len(MAKERS)][1](lot)
        (folder / name).write_bytes(content[: len(content) // 2] if number % 10 == 0 else content)


def _png(lot: random.Random) -> bytes:
    noise = pyvips.Image.gaussnoise(*PIXELS, mean=lot.randint(60, 200), sigma=40, seed=lot.randrange(2**31))
    content: bytes = noise.cast("uchar").write_to_buffer(".png")
    return content


def _csv(lot: random.Random) -> bytes:
    return ("number,amount\n" + "".join(f"{row},{lot.randrange(10**6)}\n" for row in range(2_000))).encode()


def _text(lot: random.Random) -> bytes:
    return " ".join(str(lot.randrange(10**6)) for _ in range(5_000)).encode()


def _json(lot: random.Random) -> bytes:
    return json.dumps([{"number": row, "amount": lot.randrange(10**6)} for row in range(2_000)]).encode()


MAKERS: tuple[tuple[str, Callable[[random.Random], bytes]], ...] = (
    (".png", _png),
    (".csv", _csv),
    (".png", _png),
    (".txt", _text),
    (".png", _png),
    (".json", _json),
)
