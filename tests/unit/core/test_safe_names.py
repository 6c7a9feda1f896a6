from __future__ import annotations

import os

import pytest

from services.core.usecases.safe_names import display_name, safe_name


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("report 2026 (final).pdf", "report_2026__final_.pdf"),
        ("Übersicht.xlsx", "Übersicht.xlsx"),
        ("写真.jpg", "写真.jpg"),
        ("../../etc/passwd", "_.._etc_passwd"),
        (".htaccess", "htaccess"),
        ("-rf", "rf"),
        ("...", "file"),
        ("", "file"),
        ("a\x1b[31mb\n.txt", "a__31mb_.txt"),
        ("x" * 300 + ".jpeg", "x" * 195 + ".jpeg"),
    ],
)
def test_a_name_stays_readable_and_becomes_harmless(name, safe):
    assert safe_name(name) == safe


def test_a_name_that_is_no_utf8_is_shown_with_replacement_characters():
    assert display_name(os.fsdecode(b"caf\xe9.txt")) == "caf\N{REPLACEMENT CHARACTER}.txt"
