"""The type of a file is told from its content, and its encoding too."""

from __future__ import annotations

import gzip

import pytest

from examples.generators import archives, documents, graphics, hostile, photographs
from services.file_worker.encodings import find_encoding
from services.file_worker.rejection import FileRejected
from services.file_worker.sniffing import sniff, wrong_extension

TABLE = b"id;name;since\n1;Ada;1815\n2;Grace;1906\n3;Alan;1912\n"
PROSE = "Before dawn, in the rain, the guard waited.\nHe swept the yard.\nNobody, not even Ada, had asked.\n"

TYPES = {
    "image/jpeg": photographs.photograph(1, 64, 48),
    "image/png": graphics.transparent_png(32),
    "image/webp": graphics.texture_webp(64, 64),
    "image/gif": graphics.animated_gif(32, 2),
    "image/tiff": graphics.scanned_tiff(64, 64),
    "application/pdf": documents.pdf(1, "Title", "Author", 1, (0, 0, 0)),
    "application/zip": archives.zip_of({"a.txt": b"a"}),
    "application/x-tar": archives.tar_of({"a.txt": b"a"}),
    "application/gzip": archives.tar_gz_of({"a.txt": b"a"}),
    "application/json": b'{"a": [1, 2]}',
    "text/csv": TABLE,
    "text/plain": PROSE.encode(),
}


@pytest.fixture
def sniffed(tmp_path):
    def sniff_bytes(name, content):
        (tmp_path / "file").write_bytes(content)
        return sniff(tmp_path / "file", name)

    return sniff_bytes


@pytest.mark.parametrize("media_type", TYPES)
@pytest.mark.parametrize("name", ["nameless", "wrong.png", "wrong.PDF", "wrong.zip", "wrong.txt"])
def test_the_content_tells_the_type_whatever_the_name_says(sniffed, media_type, name):
    assert sniffed(name, TYPES[media_type]).media_type == media_type


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("orders.csv", b"name\nAda\nGrace\n", "csv"),
        ("orders.txt", b"name\nAda\nGrace\n", "text"),
        ("number.json", b"42", "json"),
        ("number.txt", b"42", "text"),
        ("server.log", b"[2024-05-17] started\n[2024-05-18] stopped\n", "text"),
        ("prose.txt", b"Yes, sir.\nNo.\n", "text"),
    ],
)
def test_the_name_decides_only_between_readings_that_a_text_allows(sniffed, name, content, kind):
    assert sniffed(name, content).kind == kind


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.txt", b"", "empty"),
        ("a.png", hostile.noise(5000), "of no type that is processed"),
        ("a.txt", hostile.noise(5000), "named .txt, but has bytes that no text has"),
        ("a.gz", gzip.compress(b"just a text, no archive", mtime=0), "of no type that is processed"),
        ("a.gz", gzip.compress(bytes(3000), mtime=0)[:20], "compressed file is damaged"),
        ("a.docx", archives.zip_of({"[Content_Types].xml": b"<Types/>"}), "package such as those of Office"),
    ],
)
def test_what_is_of_no_type_that_is_processed_is_refused_with_a_reason(sniffed, name, content, reason):
    with pytest.raises(FileRejected, match=reason):
        sniffed(name, content)


def test_an_extension_is_wrong_when_it_is_that_of_another_type(sniffed):
    pdf = sniffed("x", TYPES["application/pdf"]).type
    names = ("photo.JPG", "paper.pdf", "paper", "paper.v2", "archive.pdf.zip")
    assert [wrong_extension(name, pdf) for name in names] == [".jpg", None, None, None, ".zip"]


@pytest.mark.parametrize(
    ("written_in", "text", "read_as"),
    [
        ("ascii", "plain text", "utf-8"),
        ("utf-8", "Größe, naïve, Łódź", "utf-8"),
        ("utf-8-sig", "with a mark", "utf-8-sig"),
        ("utf-16", "Ο σταθμάρχης", "utf-16"),
        ("utf-32", "Ο σταθμάρχης", "utf-32"),
        ("latin-1", "Le chef de gare a noté l'arrivée à côté de la forêt, où l'été brûlait.", "cp1252"),
        ("latin-1", "Die Züge fahren über die Brücke, an schönen Äpfeln vorbei.", "cp1252"),
        ("latin-1", "station;Zürich;Málaga", "cp1252"),
        ("cp1250", "Zażółć gęślą jaźń, a potem idź spać. Wszystko będzie dobrze, jeśli pójdziesz.", "cp1250"),
        ("cp1251", "Съешь же ещё этих мягких французских булок да выпей чаю.", "cp1251"),
        ("shift_jis", "これは文字コードの判定を試すための日本語の文章です。うまくいくでしょうか。", "cp932"),
    ],
)
def test_the_encoding_of_a_text_is_found(tmp_path, written_in, text, read_as):
    path = tmp_path / "text"
    path.write_bytes(text.encode(written_in))
    assert find_encoding(path) == read_as
    assert path.read_text(encoding=read_as) == text


def test_an_encoding_that_shows_only_far_into_a_text_is_found(tmp_path):
    path = tmp_path / "text"
    path.write_bytes(b"plain words and\n" * 200_000 + "l'été à côté de la forêt".encode("latin-1"))
    assert find_encoding(path) == "cp1252"
