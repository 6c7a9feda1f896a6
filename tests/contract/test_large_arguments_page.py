"""What ``docs/how-to/large-arguments.md`` says is so."""

from __future__ import annotations

import re

from shared.bounds import MESSAGE_BYTES
from shared.message_size import MessageTooLarge
from tests.acceptance.pages import Section
from tests.fixtures.reports import expect_what_is_promised

PAGE = "docs/how-to/large-arguments.md"


def test_the_refusal_is_the_one_that_is_shown():
    (shown,) = (block.text for block in Section(PAGE).blocks if block.language == "text")
    size = int(re.findall(r"has (\d+) bytes", shown)[0])
    error = MessageTooLarge.of("reports.count", size, MESSAGE_BYTES)
    assert " ".join(shown.split()) == f"MessageTooLarge: {error}"


def test_the_program_prints_what_it_says(brokers, tmp_path, monkeypatch):
    expect_what_is_promised(Section(PAGE, "Through storage"), tmp_path, monkeypatch)
