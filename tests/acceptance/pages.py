"""Reads the code blocks of a page, and applies them to a tree as its reader would."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tests.fixtures.workers import ROOT

HEADING = re.compile(r"^## (.+)$", re.MULTILINE)
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE_NAME = re.compile(r"# (\S+\.\w+)\n")
WORKER = re.compile(r"^\.venv/bin/celery -A (\S+) worker(.*)$", re.MULTILINE)
PROMISED = re.compile(r"^print\(.*\)  # (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    language: str
    text: str

    @property
    def file(self) -> str | None:
        """The file that the block is, or changes."""
        named = FILE_NAME.match(self.text)
        return named.group(1) if named else None

    def apply(self, tree: Path) -> None:
        """Write the file, or change it where the block's context stands exactly once."""
        assert self.file
        path = tree / self.file
        if self.language != "diff":
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self.text)
            return
        lines = self.text.splitlines()[1:]
        before, after = (_joined(line[1:] for line in lines if line[:1] != left_out) for left_out in "+-")
        content = path.read_text()
        assert content.count(before) == 1, f"{self.file} holds this {content.count(before)} times:\n{before}"
        path.write_text(content.replace(before, after))


class Section:
    """What stands below one heading of a page; below none, what stands above the first."""

    def __init__(self, page: str, heading: str = "") -> None:
        parts = ["", *HEADING.split((ROOT / page).read_text(encoding="utf-8"))]
        (text,) = [text for title, text in zip(parts[::2], parts[1::2], strict=True) if title == heading]
        self.blocks = [Block(*found) for found in BLOCK.findall(text)]

    def apply(self, tree: Path) -> None:
        """Do to a tree what the section says."""
        for block in self.blocks:
            if block.file:
                block.apply(tree)

    @property
    def workers(self) -> list[tuple[str, list[str]]]:
        """The workers that it says to start: app and arguments of each."""
        shell = "".join(block.text for block in self.blocks if block.language == "sh")
        return [(app, arguments.split()) for app, arguments in WORKER.findall(shell)]

    @property
    def promised(self) -> str:
        """What its program is said to print, in the comments behind its prints."""
        return _joined(PROMISED.findall("".join(block.text for block in self.blocks if block.language == "python")))


def _joined(lines) -> str:
    return "".join(f"{line}\n" for line in lines)
