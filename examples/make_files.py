"""Make the example files: ``python -m examples.make_files FOLDER``.

All are made here, by us, and may be used for anything.  The same version of libvips makes the same files each
time, but for the encrypted PDF.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

from examples.generators import archives, data, documents, graphics, hostile, photographs, prose

Outcome = Literal["done", "failed"]


class Example(NamedTuple):
    """A file to make, and what becomes of it when it is processed."""

    name: str
    make: Callable[[], bytes]
    outcome: Outcome = "done"


LANDSCAPE, PORTRAIT, LARGE, PANORAMA = (3000, 2000), (2000, 2600), (4000, 3000), (4800, 1600)

PHOTOGRAPHS = (
    ("alpine-morning.jpg", LANDSCAPE, 1),
    ("alpine-evening.jpg", LANDSCAPE, 1),
    ("valley.jpg", LARGE, 1),
    ("valley-on-its-side.jpg", LARGE, 6),
    ("foothills.jpg", LANDSCAPE, 1),
    ("foothills-upside-down.jpg", LANDSCAPE, 3),
    ("tower-of-clouds.jpg", PORTRAIT, 1),
    ("tower-of-clouds-left.jpg", PORTRAIT, 8),
    ("haze.jpg", LARGE, 1),
    ("ridge-way.jpg", PANORAMA, 1),
    ("long-horizon.jpg", PANORAMA, 1),
    ("before-the-storm.jpg", LARGE, 1),
    ("high-pasture.jpeg", LANDSCAPE, 6),
    ("last-light.jpg", LARGE, 1),
)


def good_files() -> Iterator[Example]:
    """List the files that are processed well."""
    for seed, (name, (width, height), orientation) in enumerate(PHOTOGRAPHS, start=1):
        yield Example(name, partial(photographs.photograph, seed, width, height, orientation=orientation))
    yield Example("rings.png", partial(graphics.transparent_png, 2000))
    yield Example("gradient-16-bit.png", partial(graphics.deep_png, 1600, 900))
    yield Example("leaf.webp", partial(graphics.texture_webp, 2100, 1400))
    yield Example("spreading-rings.gif", partial(graphics.animated_gif, 240, 12))
    yield Example("scanned-page.tiff", partial(graphics.scanned_tiff, 2480, 3508))
    yield Example("annual-report.pdf", annual_report)
    yield Example("handbook.pdf", partial(documents.pdf, 2, "Handbook", "The Yardmaster", 480, (0.1, 0.4, 0.2)))
    yield Example("minutes.pdf", partial(documents.pdf, 3, "Minutes", "The Night Clerk", 4, (0.3, 0.2, 0.5)))
    yield Example("tariffs.pdf", partial(documents.pdf, 4, "Tariffs", "The Guard", 360, (0.6, 0.3, 0.1)))
    yield Example("a-pdf-named.jpg", partial(documents.pdf, 5, "Misnamed", "Nobody", 2, (0.2, 0.2, 0.2)))
    yield Example("story.txt", story)
    yield Example("lettre-latin-1.txt", lambda: FRENCH.encode("latin-1"))
    yield Example("greek-utf-16.txt", lambda: GREEK.encode("utf-16"))
    yield Example("consignments.csv", partial(data.consignments_csv, 100_000))
    yield Example("stations.csv", data.stations_csv)
    yield Example("measurements.tsv", partial(data.measurements_tsv, 100_000))
    yield Example("timetable.json", partial(data.timetable_json, 9000))
    yield Example("layout.json", data.layout_json)
    yield Example("delivery.zip", lambda: archives.zip_of(parcel()))
    yield Example("backup.tar.gz", lambda: archives.tar_gz_of(parcel()))


def bad_files() -> Iterator[Example]:
    """List the files that are damaged, hostile, or never what their name says.

    An archive with hostile members and good ones is done; its hostile members have failed.
    """
    secret = {"../../escaped.txt": b"outside\n", "/etc/escaped.txt": b"outside\n"}
    yield Example("good-and-escaping.zip", lambda: archives.zip_of(secret | {"note.txt": note()}))
    yield Example(
        "good-and-linking.tar", lambda: archives.tar_of({"note.txt": note()}, {"passwords.txt": "/etc/passwd"})
    )
    yield Example("escaping.zip", lambda: archives.zip_of(secret), "failed")
    yield Example("bomb.zip", partial(archives.zip_bomb, 100), "failed")
    yield Example("nested.zip", lambda: archives.zip_of({"inner.zip": archives.zip_of(parcel())}), "failed")
    yield Example("cut-short.jpg", lambda: hostile.cut_short(photographs.photograph(99, *LANDSCAPE)), "failed")
    yield Example("bomb.png", partial(hostile.png_bomb, 60_000), "failed")
    yield Example("noise.png", partial(hostile.noise, 200_000), "failed")
    yield Example("locked.pdf", partial(documents.encrypted_pdf, 6, "Locked", "open sesame"), "failed")
    yield Example("cut-short.pdf", lambda: hostile.cut_short(annual_report(), 0.6), "failed")
    yield Example("empty.txt", bytes, "failed")
    yield Example("nul-bytes.csv", hostile.table_with_nul, "failed")
    yield Example("broken.json", hostile.broken_json, "failed")


def make_files(folder: Path, tell: Callable[[str], None] = print) -> dict[str, Outcome]:
    """Make every example file.

    Args:
        folder: Where to; made if need be.  What becomes of each file is written beside it, as
            ``<folder>.expected.json``.
        tell: Gets a line for each file.

    Returns:
        What becomes of each file, by its name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    examples = [*good_files(), *bad_files()]
    started = time.monotonic()
    with ThreadPoolExecutor() as makers:
        contents = makers.map(lambda example: example.make(), examples)
        for number, (example, content) in enumerate(zip(examples, contents, strict=True), start=1):
            (folder / example.name).write_bytes(content)
            tell(f"[{number}/{len(examples)}] {example.name} ({len(content):,} bytes)")
    outcomes = {example.name: example.outcome for example in examples}
    expected = folder.with_name(f"{folder.name}.expected.json")
    expected.write_text(json.dumps(outcomes, indent=2) + "\n", encoding="utf-8")
    tell(f"Made {len(examples)} files in {time.monotonic() - started:.1f} s.")
    return outcomes


def parcel() -> dict[str, bytes]:
    """Return files of several kinds, for an archive."""
    return {
        "read me.txt": note(),
        "pictures/hill.jpg": photographs.photograph(50, 1200, 800),
        "tables/consignments.csv": data.consignments_csv(500),
        "papers/minutes.pdf": documents.pdf(7, "Minutes", "The Night Clerk", 2, (0.1, 0.3, 0.4)),
        "timetable.json": data.timetable_json(20),
    }


def annual_report() -> bytes:
    """Return a PDF of a dozen pages."""
    return documents.pdf(1, "Annual report", "The Yardmaster", 12, (0.1, 0.2, 0.5))


def story() -> bytes:
    """Return a long text in UTF-8."""
    return prose.paragraphs(1, 400).encode()


def note() -> bytes:
    """Return a short text."""
    return prose.paragraphs(2, 2).encode()


FRENCH = (
    "Le chef de gare a noté l'arrivée du train de l'été à côté de la forêt.\n"
    "Les wagons étaient chargés de blé, de pâtes et de crème brûlée.\n"
    "À Évry, où l'hôtel était fermé, personne n'a protesté.\n"
)
GREEK = "Ο σταθμάρχης σημείωσε την άφιξη της αμαξοστοιχίας.\nΤα βαγόνια ήταν γεμάτα σιτάρι.\n"


def main() -> None:
    """Make the files in the folder that the command line names."""
    parser = argparse.ArgumentParser(description="Make the example files.")
    parser.add_argument("folder", type=Path, help="where to")
    make_files(parser.parse_args().folder)


if __name__ == "__main__":
    main()
