"""Reads a page of the guide as its reader does: what to write into files, what to run, and what that prints.

- A ``python`` block whose first line is a comment with the name of a file is that file; if it is there already, in the
  reader's folder or in the checkout, the block is a part of it, word for word.
- Any other ``python`` block is run in the page's client program; the ``text`` block after it is what it prints.
- A ``console`` block has commands behind ``$``, and what each of them prints below it.  One that ends in ``&`` runs on
  until the end of the page; below it stands what it prints until it is ready.  One that fails is followed by
  ``$ echo $?``.

In what is printed, a line ``...`` stands for any number of lines, and ``...`` within a line for anything there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from difflib import ndiff
from pathlib import Path

from tests.fixtures.workers import ROOT

GUIDE = ROOT / "docs" / "guide"
FENCE = re.compile(r"^```(.*)\n((?:(?!```).*\n)*)```$", re.MULTILINE)
FILE_NAME = re.compile(r"# (\S+\.\w+)\n")
ANYTHING = "..."
ASKS_FOR_CODE = "echo $?"


class WrongPage(AssertionError):
    """A page says what is not so, or can't be followed."""

    def __init__(self, where: str, what: str) -> None:
        super().__init__(f"{where}: {what}")


@dataclass(frozen=True)
class File:
    """A file that the reader writes, or a part of one that is there."""

    where: str
    name: str
    text: str

    @property
    def excerpt(self) -> str:
        """The lines below the name."""
        return self.text.partition("\n")[2].strip("\n")


@dataclass(frozen=True)
class Program:
    """A piece of the page's client program, and what it prints."""

    where: str
    code: str
    line: int
    expected: str = ""


@dataclass(frozen=True)
class Command:
    """A line that the reader types into a shell, and what is printed then."""

    where: str
    line: str
    expected: str = ""
    fails: bool = False
    """Whether the page asks for its exit code, with ``echo $?`` behind it."""

    @property
    def stays(self) -> bool:
        """Whether it runs on while the page does, as a worker; it is ready when it has printed what is expected."""
        return self.line.endswith("&")


Step = File | Program | Command


def pages() -> list[Path]:
    """The pages of the guide; the one with the reading order first."""
    return sorted(GUIDE.glob("*.md"), key=lambda page: (page.name != "README.md", page.name))


def steps_of(page: Path) -> list[Step]:
    """What the reader of a page does, in order.

    Raises:
        WrongPage: A block is of no kind that could be run.
    """
    steps: list[Step] = []
    for language, text, where, line in _blocks(page):
        if language == "text":
            if not steps or not isinstance(last := steps[-1], Program) or last.expected:
                raise WrongPage(where, "this shows what something prints, but no Python block is before it")
            steps[-1] = replace(last, expected=text)
        elif language == "console":
            steps += _commands(text, where)
        elif language == "python":
            named = FILE_NAME.match(text)
            steps.append(File(where, named[1], text) if named else Program(where, text, line))
        else:
            raise WrongPage(where, f"a block in {language or 'no language'} can't be run: use python, console or text")
    return steps


def compare(expected: str, printed: str, where: str) -> None:
    """Hold what a page shows against what was printed.

    Raises:
        WrongPage: They differ.
    """
    if not fits(expected, printed):
        lines = "\n".join(ndiff(expected.splitlines(), printed.splitlines()))
        raise WrongPage(where, f"the page (-) does not show what is printed (+):\n{lines}")


def fits(expected: str, printed: str) -> bool:
    """Tell whether a text is what a page shows; blanks at the ends of lines do not count."""
    pattern = "".join(map(_pattern, expected.splitlines()))
    return re.fullmatch(pattern, "".join(f"{line.rstrip()}\n" for line in printed.splitlines())) is not None


def _pattern(line: str) -> str:
    if line.strip() == ANYTHING:
        return r"(?:.*\n)*?"
    return ".*".join(map(re.escape, line.rstrip().split(ANYTHING))) + r"\n"


def _blocks(page: Path) -> Iterator[tuple[str, str, str, int]]:
    """Give language, text, place and number of the first line of each block."""
    content = page.read_text(encoding="utf-8")
    blocks = list(FENCE.finditer(content))
    if 2 * len(blocks) != len(re.findall(r"```|~~~", content)):
        raise WrongPage(page.name, "a block has no end, or its fence is not ``` at the beginning of a line")
    for found in blocks:
        line = content.count("\n", 0, found.start()) + 2
        yield found[1].strip(), found[2], f"{page.name}:{line}", line


def _commands(text: str, where: str) -> list[Command]:
    commands: list[Command] = []
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE):
        command, _, expected = part.partition("\n")
        while expected.startswith("> "):
            more, _, expected = expected.removeprefix("> ").partition("\n")
            command = f"{command}\n{more}"
        if command == ASKS_FOR_CODE and commands:
            commands[-1] = replace(commands[-1], fails=True)
        if command:
            commands.append(Command(where, command, expected))
    if not text.startswith("$ "):
        raise WrongPage(where, "a console block begins with a command behind `$ `")
    return commands
