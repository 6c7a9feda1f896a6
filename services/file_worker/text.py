"""Process texts: counts, and the same text in UTF-8."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from services.file_worker.encodings import open_text, refuse_nul
from services.file_worker.work import Findings, Work

BLOCK_CHARACTERS = 256 * 1024


@dataclass
class TextCounts:
    """Counts of a text that comes in blocks."""

    lines: int = 0
    words: int = 0
    characters: int = 0
    longest_line: int = 0
    _line: int = 0
    _in_word: bool = False

    def add(self, block: str) -> None:
        """Count a further block, which is not empty."""
        self.characters += len(block)
        self.words += len(block.split()) - (self._in_word and not block[0].isspace())
        self._in_word = not block[-1].isspace()
        *ended, rest = block.split("\n")
        for line in ended:
            self.longest_line = max(self.longest_line, self._line + len(line))
            self._line = 0
        self.lines += len(ended)
        self._line += len(rest)

    def facts(self) -> dict[str, Any]:
        """Return the counts; a last line without a line break counts as one."""
        return {
            "lines": self.lines + (self._line > 0),
            "words": self.words,
            "characters": self.characters,
            "longest_line": max(self.longest_line, self._line),
        }


def process_text(work: Work) -> Findings:
    """Write a text again as UTF-8 with line feeds at the ends of lines, and count it.

    Raises:
        FileRejected: It has NUL bytes, or bytes that do not fit its encoding.
    """
    encoding = work.sniffed.encoding or "utf-8"
    counts = TextCounts()
    copy = work.output.folder / "text.txt"
    with open_text(work.path, encoding) as source, copy.open("w", encoding="utf-8", newline="\n") as target:
        while block := source.read(BLOCK_CHARACTERS):
            refuse_nul(block)
            counts.add(block)
            target.write(block)
            work.progress("reading text", source.buffer.tell(), work.bytes)
    work.output.record("text", "text.txt", "text/plain; charset=utf-8")
    return Findings({"encoding": encoding, **counts.facts()})
