"""The table of concepts says what the tests show, and nothing else."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time

import pytest

from shared.settings import child_environment
from tests.fixtures.workers import ROOT
from tests.guide.concepts import KEPT_SECONDS, NOTES, SHOW, WRITE
from tests.guide.table import BEGINS, ENDS, FIRST_PAGE, table_of

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


@pytest.fixture
def suite(pytester):
    """Run tests of their own, then write the table; the rows of it, by concept, and what pytest printed."""
    page = pytester.path / "page.md"
    page.write_text(f"# Above\n\n{BEGINS}| old |\n{ENDS}\n## Below\n")
    pytester.makeini("[pytest]\nmarkers = concept(name)\n")
    common = ("-p", "tests.guide.concepts", f"{NOTES}=notes")

    def run_suite(tests: str, *arguments: str) -> tuple[dict[str, str], str]:
        pytester.makepyfile(test_it=tests)
        ran, wrote = pytester.runpytest(*common, *arguments), pytester.runpytest(*common, f"{WRITE}={page}")
        written = page.read_text()
        assert written.startswith("# Above\n\n<!--")
        assert written.endswith("-->\n\n## Below\n")
        rows = (line.strip("| ").partition(" | ") for line in table_of(written).splitlines())
        printed = "".join(f"{done.stdout}\n{done.stderr}\n" for done in (ran, wrote))
        return {concept: cells for concept, _, cells in rows}, printed

    return run_suite


@pytest.mark.parametrize("arguments", [(), ("--numprocesses=2",)], ids=["one process", "two processes"])
def test_a_mark_is_there_where_every_test_of_it_passed(suite, arguments):
    rows, printed = suite(TESTS, *arguments)
    assert {concept: rows[concept] for concept in SHOWN} == SHOWN
    assert "2 of 16 tests of concepts have not passed:\ntest_it.py::test_chunks[batch-threads]\n" in printed


def test_a_run_goes_on_where_the_last_one_stopped(suite, pytester):
    tests = """
import pathlib, pytest

@pytest.mark.concept("retry")
@pytest.mark.parametrize("broker", ["default", "batch"])
def test_retry(broker):
    with open("runs", "a") as runs:
        print(broker, file=runs)
    assert broker == "default" or pathlib.Path("mended").exists()

@pytest.mark.concept("beat")
def test_beat(): ...
"""
    assert suite(tests, "-k", "retry")[0]["retry"] == "✓ | – | – | –"
    (pytester.path / "mended").touch()
    rows, printed = suite(tests)
    assert (rows["retry"], rows["beat"]) == ("✓ | – | ✓ | –", "– | – | – | ✓")
    assert "have not passed" not in printed
    runs = pytester.path / "runs"
    assert runs.read_text().split() == ["default", "batch", "batch"]
    suite(tests)
    assert runs.read_text().split()[3:] == ["default", "batch"]


def test_what_passed_long_ago_is_no_mark(suite, pytester):
    test = {"test": "test_it.py::test_beat", "passed": True, "at": time.time() - KEPT_SECONDS - 1}
    (pytester.path / "notes").write_text(json.dumps(test) + "\n")
    tests = 'import pytest\n\n@pytest.mark.concept("beat")\ndef test_beat(): ...\n'
    assert suite(tests, "--collect-only")[0]["beat"] == SHOWN["rate limit"]


@pytest.mark.parametrize("phase", ["setup", "call", "teardown"])
def test_a_test_of_a_concept_that_fails_anywhere_is_no_mark(suite, phase):
    steps = {each: "assert False" if each == phase else "pass" for each in ("setup", "call", "teardown")}
    rows, printed = suite(f"""
import pytest

@pytest.fixture
def around():
    {steps["setup"]}
    yield
    {steps["teardown"]}

@pytest.mark.concept("beat")
def test_it(around): {steps["call"]}
""")
    assert rows["beat"] == SHOWN["rate limit"]
    assert "1 of 1 tests of concepts have not passed" in printed


def test_a_test_of_a_concept_that_is_skipped_fails(suite):
    rows, printed = suite('import pytest\n\n@pytest.mark.concept("beat")\ndef test_it(): pytest.skip("no clock")\n')
    assert rows["beat"] == SHOWN["rate limit"]
    assert "1 failed" in printed
    assert "no clock" in printed


def test_no_table_is_written_when_a_test_file_can_not_be_imported(suite):
    rows, _ = suite("import nowhere\n")
    assert rows == {"old": ""}


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
    (folders,) = re.findall(r"^CONCEPTS := -m concept (.+) --", (ROOT / "Makefile").read_text(), re.MULTILINE)
    return [str(folder) for folder in folders.split()]


def test_every_test_of_a_concept_has_a_part_in_the_table():
    tests = (ROOT / "tests").rglob("test_*.py")
    marked = {path.relative_to(ROOT).parts[1] for path in tests if "concept(" in path.read_text(encoding="utf-8")}
    assert {f"tests/{folder}" for folder in marked} <= set(suites())


def test_the_table_of_the_guide_is_what_a_run_of_the_tests_would_write(tmp_path):
    file = tmp_path / "table"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *suites(), "-m", "concept", "--collect-only", "--quiet", f"{SHOW}={file}"],
        check=False, cwd=ROOT, capture_output=True, text=True, timeout=150,
        env=child_environment({}, without=("PYTEST_",)),
    )  # fmt: skip
    assert file.exists(), done.stdout + done.stderr
    assert table_of(FIRST_PAGE.read_text(encoding="utf-8")) == file.read_text(), "run make guide-table"
