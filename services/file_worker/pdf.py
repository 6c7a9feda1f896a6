"""Process PDFs: facts, text, and a picture of the first page."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pypdf import PdfReader
from pypdf.errors import PyPdfError

from services.file_worker.images import jpeg, write_preview
from services.file_worker.limits import MAX_TEXT_CHARACTERS, MAX_TEXT_PAGES, PAGE_PIXELS
from services.file_worker.rejection import FileRejected
from services.file_worker.work import Findings, Work, printable
from shared.storage import OutputFolder
from shared.vips import load_vips

END_MARK = b"%%EOF"
END_BYTES = 1024
"""Readers look for the mark in the last 1,024 bytes (PDF Reference 1.7, appendix H, note 18)."""
PAGE_BREAK = "\f"
MAX_SCALE = 4.0
"""Of a rendered page, in pixels per point: a tiny page is not blown up."""

_pdfium_lock = threading.Lock()
"""PDFium serves one thread at a time."""


def process_pdf(work: Work) -> Findings:
    """Write the text of a PDF and pictures ``page`` and ``preview`` of its first page.

    Raises:
        FileRejected: It is encrypted with a password, damaged, cut short, or has no pages.
    """
    _refuse_cut_short(work.path, work.bytes)
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # a hostile file could fill the log with its oddities
    try:
        with work.path.open("rb") as stream:
            reader = PdfReader(stream)
            if reader.is_encrypted and not reader.decrypt(""):
                raise FileRejected("The PDF is encrypted; it opens with a password only.")
            facts = _facts(reader)
            facts |= _write_text(reader, work)
    except PyPdfError as error:
        raise FileRejected("The PDF is damaged.") from error
    except NotImplementedError as error:
        raise FileRejected("The PDF is encrypted or compressed in a way that is not known.") from error
    _write_pictures(work.path, work.output)
    return Findings(facts)


def _refuse_cut_short(path: Path, size: int) -> None:
    with path.open("rb") as stream:
        stream.seek(max(0, size - END_BYTES))
        if END_MARK not in stream.read():
            raise FileRejected("The PDF is cut short: its end is missing.")


def _facts(reader: PdfReader) -> dict[str, Any]:
    if not reader.pages:
        raise FileRejected("The PDF has no pages.")
    facts: dict[str, Any] = {"pages": len(reader.pages), "encrypted": reader.is_encrypted}
    metadata = reader.metadata
    for fact, value in (("title", metadata and metadata.title), ("author", metadata and metadata.author)):
        if value:
            facts[fact] = printable(str(value))
    return facts


def _write_text(reader: PdfReader, work: Work) -> dict[str, Any]:
    pages = min(len(reader.pages), MAX_TEXT_PAGES)
    characters = done = 0
    with (work.output.folder / "text.txt").open("w", encoding="utf-8", errors="replace") as target:
        for text in _page_texts(reader, pages):
            target.write(text[: MAX_TEXT_CHARACTERS - characters])
            target.write(PAGE_BREAK)
            characters += len(text)
            if characters > MAX_TEXT_CHARACTERS:
                break
            done += 1
            work.progress("reading pages", done, pages)
    work.output.record("text", "text.txt", "text/plain; charset=utf-8")
    return {"characters": min(characters, MAX_TEXT_CHARACTERS), "text_pages": done}


def _page_texts(reader: PdfReader, pages: int) -> Iterator[str]:
    for number in range(pages):
        yield reader.pages[number].extract_text()


def _write_pictures(path: Path, output: OutputFolder) -> None:
    vips = load_vips()
    page = vips.Image.new_from_memory(*_render_first_page(path), 4, "uchar").extract_band(0, n=3)
    page = page.copy(interpretation="srgb")
    output.write("page", "page.jpg", "image/jpeg", jpeg(page))
    write_preview(page, output)


def _render_first_page(path: Path) -> tuple[bytes, int, int]:
    """Return the pixels of the first page, four bytes each, and its width and height."""
    import pypdfium2  # noqa: PLC0415 - its import starts PDFium, which belongs in a child of the pool

    with _pdfium_lock:
        try:
            document = pypdfium2.PdfDocument(path)
            try:
                page = document[0]
                scale = min(PAGE_PIXELS / max(*page.get_size(), 1), MAX_SCALE)
                bitmap = page.render(scale=scale, prefer_bgrx=True, rev_byteorder=True)
                return bytes(bitmap.buffer), bitmap.width, bitmap.height
            finally:
                document.close()
        except pypdfium2.PdfiumError as error:
            raise FileRejected("The first page of the PDF is damaged.") from error
