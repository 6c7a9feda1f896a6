"""Follows the page that says how to test one's code: its files are written, and its commands run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from shared.settings import child_environment
from shared.testing import images
from tests.acceptance.pages import Section
from tests.fixtures.containers import use_containers
from tests.fixtures.workers import ROOT

PAGE = "docs/how-to/test-your-code.md"
RECORDING, SERVERS = "What your code publishes", "Against real servers"
SHOWN_FAILURE = """
from checkout import *
from orders import app
from shared.testing import recording

with recording(app) as published:
    quote.delay(100)
    book.delay(120)
published.assert_published(quote, args=(10,), queue="orders.quotes")
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder with the files of the page, and the one of another page that it tests."""
    for section in (Section("docs/make-it-yours.md", "Bring tables of your own"), Section(PAGE)):
        section.apply(tmp_path)
    return tmp_path


def run(tree: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    urls = {f"ORDERS_{name}_URL": "redis://nowhere" for name in ("FAST", "RESULTS")}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=tree,
        env=child_environment({"PYTHONPATH": str(ROOT), "ORDERS_SAFE_URL": "amqp://nowhere", **urls}),
        check=False,
        capture_output=True,
        text=True,
        timeout=150,
    )


def follow(tree: Path, heading: str) -> str:
    """Write the files of a section, run its pytest command, and return what that printed."""
    section = Section(PAGE, heading)
    section.apply(tree)
    shell = "".join(block.text for block in section.blocks if block.language == "sh")
    (command,) = re.findall(r"^python (-m pytest .+)$", shell, re.MULTILINE)
    done = run(tree, *command.split())
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_what_the_page_records(tree):
    assert "2 passed" in follow(tree, RECORDING)


def test_a_failing_assertion_says_what_the_page_shows(tree):
    (shown,) = (block.text for block in Section(PAGE, RECORDING).blocks if block.language == "text")
    done = run(tree, "-c", SHOWN_FAILURE)
    assert done.stderr.partition("AssertionError: ")[2] == shown


def test_what_the_page_runs_on_real_servers(tree, pytestconfig):
    if not use_containers(pytestconfig, images.REDIS, images.RABBITMQ):
        pytest.skip("no container engine has the images, or --servers says to use none")
    assert "1 passed" in follow(tree, SERVERS)
