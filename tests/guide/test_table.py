"""The table of concepts says what the tests show, and nothing else."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from shared.settings import child_environment
from tests.fixtures.workers import ROOT
from tests.guide.table import BEGINS, ENDS, FIRST_PAGE, SHOW, WRITE, table_of

TESTS = """
import pytest

@pytest.mark.concept("chunks")
@pytest.mark.parametrize("pool", ["prefork", "threads", "gevent"])
@pytest.mark.parametrize("target", ["default", "batch"])
def test_chunks(target, pool):
    assert (target, pool) != ("batch", "threads")

@pytest.mark.concept("scatter")
@pytest.mark.concept("stamping")
@pytest.mark.parametrize("pool", ["solo", "prefork", "threads", "gevent"])
@pytest.mark.parametrize("target", ["critical"])
def test_two_concepts(target, pool):
    pass

@pytest.mark.concept("chunks")
@pytest.mark.parametrize(("target", "pool"), [("batch", "prefork"), ("default", "prefork")])
def test_more_chunks(target, pool):
    assert target == "default"

@pytest.mark.concept("retry")
@pytest.mark.parametrize("worker", [("critical", "solo")])
def test_retry(worker):
    pass

@pytest.mark.concept("retry")
@pytest.mark.parametrize("broker", ["critical"])
def test_retry_in_any_pool(broker):
    pass

@pytest.mark.concept("beat")
@pytest.mark.parametrize("broker", ["batch"])
def test_beat(broker):
    pass

@pytest.mark.concept("immutability")
def test_immutability():
    pass

def test_of_no_concept():
    pass
"""
SHOWN = {
    "chunks": "prefork, threads, gevent | – | gevent | –",
    "scatter": "– | every pool | – | –",
    "stamping": "– | every pool | – | –",
    "retry": "– | solo | – | –",
    "beat": "– | – | ✓ | –",
    "immutability": "– | – | – | ✓",
    "rate limit": "– | – | – | –",
}


def run(*arguments: object, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *map(str, arguments)],
        check=False, cwd=cwd, capture_output=True, text=True, timeout=150,
        env=child_environment({"PYTHONPATH": str(ROOT)}, without=("PYTEST_",)),
    )  # fmt: skip


@pytest.fixture
def suite(tmp_path):
    """Run tests of their own; the rows of the table that they write, by concept, and what pytest printed."""

    def run_suite(tests: str, *arguments: str) -> tuple[dict[str, str], str]:
        page = tmp_path / "page.md"
        page.write_text(f"# Above\n\n{BEGINS}| old |\n{ENDS}\n## Below\n")
        (tmp_path / "test_it.py").write_text(tests)
        (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = concept(name)\n")
        done = run("-p", "tests.guide.table", f"{WRITE}={page}", *arguments, cwd=tmp_path)
        written = page.read_text()
        assert written.startswith("# Above\n\n<!--")
        assert written.endswith("-->\n\n## Below\n")
        rows = (line.strip("| ").partition(" | ") for line in table_of(written).splitlines())
        return {concept: cells for concept, _, cells in rows}, done.stdout + done.stderr

    return run_suite


@pytest.mark.parametrize("arguments", [(), ("--numprocesses=2",)], ids=["one process", "two processes"])
def test_a_mark_is_there_where_every_test_of_it_passed(suite, arguments):
    rows, _ = suite(TESTS, *arguments)
    assert {concept: rows[concept] for concept in SHOWN} == SHOWN


def test_a_test_of_a_concept_that_is_skipped_fails(suite):
    rows, printed = suite('import pytest\n\n@pytest.mark.concept("beat")\ndef test_it(): pytest.skip("no clock")\n')
    assert rows["beat"] == SHOWN["rate limit"]
    assert "1 failed" in printed
    assert "no clock" in printed


@pytest.mark.parametrize(
    ("concept", "target", "wrong"), [("chrod", "batch", "chrod"), ("beat", "bach", "bach"), ("beat", "batch", "treads")]
)
def test_a_name_that_the_table_does_not_have_is_refused(suite, concept, target, wrong):
    pool = wrong if wrong == "treads" else "threads"
    parameters = f'@pytest.mark.parametrize(("target", "pool"), [("{target}", "{pool}")])'
    _, printed = suite(
        f'import pytest\n\n@pytest.mark.concept("{concept}")\n{parameters}\ndef test_it(target, pool): ...\n'
    )
    assert f"'{wrong}' is not one of" in printed


def suites() -> list[str]:
    """The folders whose tests ``make guide-table`` runs."""
    (arguments,) = re.findall(rf"-m pytest (.+) -m concept {WRITE}$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    return [folder.removeprefix("tests/") for folder in arguments.split()]


def test_every_test_of_a_concept_has_a_part_in_the_table():
    tests = (ROOT / "tests").rglob("test_*.py")
    marked = {path.relative_to(ROOT).parts[1] for path in tests if "concept(" in path.read_text(encoding="utf-8")}
    assert marked <= set(suites())


def test_the_table_of_the_guide_is_what_a_run_of_the_tests_would_write(tmp_path):
    file = tmp_path / "table"
    folders = [f"tests/{suite}" for suite in suites()]
    done = run(*folders, "-m", "concept", "--collect-only", "--quiet", f"{SHOW}={file}")
    assert file.exists(), done.stdout + done.stderr
    assert table_of(FIRST_PAGE.read_text(encoding="utf-8")) == file.read_text(), "run make guide-table"
