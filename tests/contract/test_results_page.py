"""What ``docs/how-to/results.md`` says is so."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from shared.results.urls import understood
from shared.settings import child_environment
from tests.acceptance.pages import Section
from tests.fixtures.reports import expect_what_is_promised
from tests.fixtures.workers import ROOT

PAGE = "docs/how-to/results.md"
URL = re.compile(r"^\| `(\S+://[^`]+)` \|", re.MULTILINE)


def test_every_url_of_the_table_leads_to_a_store():
    urls = URL.findall((ROOT / PAGE).read_text())
    assert len(urls) == 4
    assert all(understood(url) for url in urls)


def test_the_refusal_is_the_one_that_is_shown(brokers):
    (shown,) = (block.text for block in Section(PAGE).blocks if block.language == "console")
    command, said = shown.splitlines()
    variable, *arguments = command.removeprefix("$ ").split()
    done = subprocess.run(
        [sys.executable, "-m", *arguments], cwd=ROOT, check=False, capture_output=True, text=True, timeout=60,
        env=child_environment(dict([variable.split("=", 1)])),
    )  # fmt: skip
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, said)


@pytest.mark.concept("result store")
def test_the_program_with_a_large_result_prints_what_it_says(brokers, tmp_path, monkeypatch):
    expect_what_is_promised(Section(PAGE, "Large results"), tmp_path, monkeypatch)
