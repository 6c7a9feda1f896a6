"""PDFs: facts, text, pictures, and clear reasons for those that do not open."""

from __future__ import annotations

import io

import pytest
import pyvips
from pypdf import PdfReader, PdfWriter

from examples.generators import documents, hostile
from services.file_worker import pdf

REPORT = documents.pdf(1, "Annual report (2024)", "The Yardmaster", 3, (0.1, 0.2, 0.5))


def test_a_pdf_gives_its_facts_the_text_of_every_page_and_a_picture_of_the_first(process, artefact):
    report = process("report.pdf", REPORT)
    text = artefact(report, "text").read_text(encoding="utf-8")
    pages = text.split("\f")[:-1]
    assert [page.splitlines()[0] for page in pages] == [f"Annual report (2024), page {number}" for number in (1, 2, 3)]
    assert report["facts"] == {
        "pages": 3,
        "encrypted": False,
        "title": "Annual report (2024)",
        "author": "The Yardmaster",
        "text_pages": 3,
        "characters": sum(map(len, pages)),
    }
    page = pyvips.Image.new_from_file(str(artefact(report, "page")))
    preview = pyvips.Image.new_from_file(str(artefact(report, "preview")))
    assert (page.height, preview.height) == (1200, 320)
    assert page(20, 20) == pytest.approx([255 * share for share in (0.1, 0.2, 0.5)], abs=12)
    assert page(20, 1190) == pytest.approx([255, 255, 255], abs=3)


def test_a_pdf_with_a_wrong_name_is_processed_and_its_name_noted(process, artefact):
    report = process("photo.jpg", REPORT)
    assert (report["kind"], report["facts"]["named_as"]) == ("pdf", ".jpg")
    assert artefact(report, "text").stat().st_size > 0


def test_a_pdf_that_wants_a_password_is_refused(process):
    report = process("locked.pdf", documents.encrypted_pdf(1, "Locked", "open sesame"))
    assert (report["status"], report["reason"]) == ("failed", "The PDF is encrypted; it opens with a password only.")


def test_a_pdf_that_is_encrypted_and_opens_without_a_password_is_processed(process, artefact):
    writer = PdfWriter(PdfReader(io.BytesIO(REPORT)))
    writer.encrypt(user_password="", owner_password="only for printing", algorithm="AES-256")
    target = io.BytesIO()
    writer.write(target)
    report = process("protected.pdf", target.getvalue())
    assert report["facts"]["encrypted"] is True
    assert "Annual report" in artefact(report, "text").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (hostile.cut_short(REPORT, 0.6), "The PDF is cut short: its end is missing."),
        (b"%PDF-1.4\n%%EOF\n", "The PDF is damaged."),
        (b"%PDF-1.4\n" + hostile.noise(5000) + b"\n%%EOF\n", "The PDF is damaged."),
        (REPORT.replace(b"/Type /Pages", b"/Type /Sages").replace(b"/Kids", b"/Bids"), None),
        (REPORT.replace(b"/Count 3", b"/Count 9").replace(b"5 0 R", b"1 0 R"), None),
    ],
)
def test_a_damaged_pdf_is_a_failure_with_a_reason(process, left_behind, content, reason):
    report = process("damaged.pdf", content)
    assert report["status"] == "failed"
    assert report["reason"] == reason if reason else report["reason"].endswith(".")
    assert left_behind() == []


def test_text_beyond_the_limits_is_left_out_and_the_facts_say_so(process, artefact, monkeypatch):
    monkeypatch.setattr(pdf, "MAX_TEXT_PAGES", 2)
    report = process("report.pdf", REPORT)
    assert (report["facts"]["pages"], report["facts"]["text_pages"]) == (3, 2)
    monkeypatch.setattr(pdf, "MAX_TEXT_CHARACTERS", 100)
    report = process("another report.pdf", REPORT)
    assert report["facts"]["characters"] == 100
    assert len(artefact(report, "text").read_text(encoding="utf-8").replace("\f", "")) == 100
