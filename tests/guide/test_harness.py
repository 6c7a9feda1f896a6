"""A page that is right passes, and one that is wrong fails, whatever it is that is wrong."""

from __future__ import annotations

import os

import pytest

from tests.fleet.inspection import wait_for
from tests.guide import session, shell
from tests.guide.pages import WrongPage, fits
from tests.guide.reader import Reader


@pytest.fixture
def follow(tmp_path):
    """Follow a page of the given blocks, each a language and its text."""

    def follow_page(*blocks: tuple[str, str]) -> None:
        page, project, logs = tmp_path / "page.md", tmp_path / "project", tmp_path / "logs"
        page.write_text("# A page\n" + "".join(f"\n```{language}\n{text}\n```\n" for language, text in blocks))
        for folder in (project, logs):
            folder.mkdir(exist_ok=True)
        with Reader(page, project, dict(os.environ), logs) as reader:
            reader.follow()

    return follow_page


def test_a_program_keeps_its_names_from_block_to_block(follow):
    follow(("python", "n = 1"), ("python", "print(n + 1)"), ("text", "2"), ("python", "assert n == 1"))


def test_a_named_block_is_a_file_that_others_import_and_run_and_that_is_gone_afterwards(follow, tmp_path):
    page = (
        ("python", "# folder/told.py\nWORD = 'told'\nprint(WORD)"),
        ("python", "from folder.told import WORD"),
        ("text", "told"),
        ("console", "$ python folder/told.py\ntold"),
    )
    follow(*page)
    assert not (tmp_path / "project" / "folder" / "told.py").exists()


def test_a_part_of_a_file_is_shown_as_it_stands_there(follow):
    follow(
        ("python", "# a.py\none = 1\n\n\ntwo = 2"), ("python", "# a.py\ntwo = 2"), ("python", "import a; assert a.one")
    )


def test_a_shell_keeps_its_variables_and_joins_lines(follow):
    follow(("console", "$ WORD=told\n$ echo $WORD \\\n> again\ntold again"), ("console", "$ echo $WORD\ntold"))


def test_a_command_that_fails_is_asked_for_its_code(follow):
    follow(("console", "$ ( echo no; exit 3 )\nno\n$ echo $?\n3"))


def test_an_error_is_shown_as_python_shows_it_and_the_program_goes_on(follow):
    shown = 'Traceback (most recent call last):\n  File "page.md:4", line 4, in <module>\n    1 / 0\n    ~~^~~\n'
    follow(
        ("python", "1 / 0"),
        ("text", f"{shown}ZeroDivisionError: division by zero"),
        ("python", "print('on')"),
        ("text", "on"),
    )


def test_what_stays_is_there_for_the_rest_of_the_page_and_stops_with_it(follow, tmp_path):
    pid = tmp_path / "pid"
    serve = "import os, sys, time; print('ready', flush=True); open(sys.argv[1], 'w').write(str(os.getpid()))"
    follow(
        ("console", f'$ python -c "{serve}; time.sleep(600)" {pid} &\nready'),
        ("console", f"$ while [ ! -s {pid} ]; do sleep 0.05; done; kill -0 $(cat {pid})"),
    )
    wait_for(lambda: shell.is_gone(int(pid.read_text())), "the end of what stayed")


def test_what_a_page_leaves_behind_in_the_background_is_ended_and_told(follow, monkeypatch, tmp_path):
    monkeypatch.setattr(shell, "STOPS_WITHIN_SECONDS", 0.5)
    with pytest.raises(AssertionError, match=r"has a \.pid file"):
        follow(("console", f"$ setsid sleep 600 & echo $! | tee left.pid > {tmp_path}/pid"))
    pid = int((tmp_path / "pid").read_text())
    wait_for(lambda: shell.is_gone(pid), "the end of what was left behind")


@pytest.mark.parametrize(
    ("blocks", "told"),
    [
        ([("python", "print(1)"), ("text", "2")], r"page.md:4: .*\n- 2\n\+ 1"),
        ([("python", "print(1)")], r"\+ 1"),
        ([("python", "pass"), ("text", "1")], "- 1"),
        ([("python", "1 / 0")], "ZeroDivisionError"),
        ([("python", "1 / 0"), ("text", "1")], "ZeroDivisionError"),
        ([("python", "nothing such")], "SyntaxError"),
        ([("python", "exit(3)")], "died"),
        ([("python", "import sys\nprint('psst', file=sys.stderr)")], "wrote to stderr:\npsst"),
        ([("python", "import warnings\nwarnings.warn('old')")], "wrote to stderr:.* UserWarning: old"),
        ([("python", "import atexit\natexit.register(lambda: 1 / 0)")], "ZeroDivisionError"),
        ([("console", "$ echo 1\n2")], r"page.md:4, `echo 1`: .*\n- 2\n\+ 1"),
        ([("console", "$ echo 1")], r"\+ 1"),
        ([("console", "$ true\n1")], "- 1"),
        ([("console", "$ echo 1 >&2")], r"\+ 1"),
        ([("console", "$ false")], "`false` ended with 1"),
        ([("console", "$ false\n$ echo $?\n2")], r"\+ 1"),
        ([("console", "$ true\n$ echo $?\n0")], "`true` ended with 0"),
        ([("console", "$ exit 0")], "ended the shell"),
        ([("console", "$ true &\nready")], "`true &` ended"),
        ([("console", "echo 1")], "begins with a command"),
        ([("text", "1")], "no Python block is before it"),
        ([("console", "$ true"), ("text", "1")], "no Python block is before it"),
        ([("python", "print(1)"), ("text", "1"), ("text", "1")], "no Python block is before it"),
        ([("", "1")], "a block in no language"),
        ([("py", "print(1)")], "a block in py"),
        ([("python", "# a.py\n1"), ("python", "# a.py\n2")], "a.py is there already, and does not hold this"),
        ([("python", "1\n ```")], "its fence is not"),
        ([("python", "1\n```\n```")], "a block in no language"),
        ([("python", "1\n~~~")], "its fence is not"),
    ],
)
def test_what_is_wrong_is_told(follow, blocks, told):
    with pytest.raises(WrongPage, match=f"(?s){told}"):
        follow(*blocks)


@pytest.mark.parametrize(
    "block",
    [
        ("python", "import time; time.sleep(60)"),
        ("console", "$ sleep 60"),
        ("console", "$ { echo wrong; sleep 60; } &\nready"),
    ],
)
def test_what_does_not_end_is_ended(follow, monkeypatch, block):
    monkeypatch.setattr(session, "BLOCK_WITHIN_SECONDS", 0.5)
    monkeypatch.setattr(shell, "COMMAND_WITHIN_SECONDS", 0.5)
    with pytest.raises(WrongPage, match=r"0\.5 s"):
        follow(block)


@pytest.mark.parametrize(
    ("expected", "printed", "answer"),
    [
        ("a\n...\nd\n", "a\nb\nc\nd\n", True),
        ("a\n...\nd\n", "a\nd\n", True),
        ("a\n...\nd\n", "a\nb\n", False),
        ("a ... d\n", "a b c d\n", True),
        ("a ... d\n", "a b\nc d\n", False),
        ("...\n", "", True),
        ("a\n", "a  \n", True),
        ("a\n", "a\nb\n", False),
        ("a.c\n", "abc\n", False),
        ("  a\n", "a\n", False),
    ],
)
def test_what_three_dots_stand_for(expected, printed, answer):
    assert fits(expected, printed) is answer
