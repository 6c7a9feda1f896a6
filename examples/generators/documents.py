"""Write PDFs of several pages of text, with a coloured band on top of each (ISO 32000-1)."""

from __future__ import annotations

import io
import random
import textwrap
import zlib
from collections.abc import Sequence

from pypdf import PdfReader, PdfWriter

from examples.generators.prose import sentences

PAGE_WIDTH, PAGE_HEIGHT = 595, 842
"""ISO A4 in points."""
LINES_ON_A_PAGE = 40
Colour = tuple[float, float, float]


def pdf(seed: int, title: str, author: str, pages: int, colour: Colour) -> bytes:
    """Return a PDF of so many pages of prose."""
    lot = random.Random(seed)
    texts = [textwrap.wrap(sentences(lot, 30), 84)[:LINES_ON_A_PAGE] for _ in range(pages)]
    contents = [_page_content(f"{title}, page {number}", lines, colour) for number, lines in enumerate(texts, 1)]
    return _assemble(contents, title, author)


def encrypted_pdf(seed: int, title: str, password: str) -> bytes:
    """Return a PDF that opens with a password only; its bytes differ each time, for the key does."""
    writer = PdfWriter(PdfReader(io.BytesIO(pdf(seed, title, "Switchyard", 3, (0.4, 0.1, 0.1)))))
    writer.encrypt(password, algorithm="AES-256")
    target = io.BytesIO()
    writer.write(target)
    return target.getvalue()


def _page_content(heading: str, lines: Sequence[str], colour: Colour) -> bytes:
    red, green, blue = colour
    drawn = [
        f"{red} {green} {blue} rg 0 {PAGE_HEIGHT - 90} {PAGE_WIDTH} 90 re f",
        f"BT 1 1 1 rg /F1 20 Tf 56 {PAGE_HEIGHT - 54} Td ({_escaped(heading)}) Tj ET",
        f"BT 0 0 0 rg /F1 11 Tf 16 TL 56 {PAGE_HEIGHT - 130} Td",
        *(f"({_escaped(line)}) Tj T*" for line in lines),
        "ET",
    ]
    return "\n".join(drawn).encode("latin-1")


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")


def _assemble(contents: Sequence[bytes], title: str, author: str) -> bytes:
    """Put the objects of a document together: 1 catalogue, 2 page tree, 3 font, 4 information, then the pages."""
    kids = " ".join(f"{5 + 2 * number} 0 R" for number in range(len(contents)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Count {len(contents)} /Kids [{kids}] >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        f"<< /Title ({_escaped(title)}) /Author ({_escaped(author)}) >>".encode("latin-1"),
    ]
    for number, content in enumerate(contents):
        packed = zlib.compress(content)
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {PAGE_WIDTH} {PAGE_HEIGHT}] "
            f"/Resources << /Font << /F1 3 0 R >> >> /Contents {6 + 2 * number} 0 R >>".encode()
        )
        objects.append(b"<< /Length %d /Filter /FlateDecode >>\nstream\n%b\nendstream" % (len(packed), packed))
    return _with_cross_references(objects)


def _with_cross_references(objects: Sequence[bytes]) -> bytes:
    document = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    offsets = []
    for number, content in enumerate(objects, start=1):
        offsets.append(len(document))
        document += b"%d 0 obj\n%b\nendobj\n" % (number, content)
    start = len(document)
    document += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    document += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    document += b"trailer\n<< /Size %d /Root 1 0 R /Info 4 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    return bytes(document)
