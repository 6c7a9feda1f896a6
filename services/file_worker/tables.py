"""Process tables: shape, and statistics of every column, in one pass and bounded memory."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from itertools import chain
from typing import Any, TextIO

from services.file_worker.columns import Column, classify
from services.file_worker.delimiters import find_delimiter
from services.file_worker.encodings import open_text, refuse_nul
from services.file_worker.limits import MAX_COLUMNS, MAX_LINE_CHARACTERS, SNIFFED_BYTES
from services.file_worker.rejection import FileRejected
from services.file_worker.work import Findings, Work, printable

ROWS_BETWEEN_REPORTS = 5000
DEFAULT_DELIMITER = ","


def process_table(work: Work) -> Findings:
    """Write the artefact ``statistics`` of a table of comma- or otherwise separated values.

    Raises:
        FileRejected: It has NUL bytes, bytes that do not fit its encoding, a quote that never ends, a line or a
            row that is too long, or no row at all.
    """
    encoding = work.sniffed.encoding or "utf-8"
    with open_text(work.path, encoding, newline="") as source:
        delimiter = find_delimiter(source.read(SNIFFED_BYTES)) or DEFAULT_DELIMITER
    facts: dict[str, Any] = {"encoding": encoding, "delimiter": delimiter}
    with open_text(work.path, encoding, newline="") as source:
        rows = csv.reader(_lines(source), delimiter=delimiter, strict=True)
        try:
            table = _read_table(row for row in _reporting(rows, source, work) if row)
        except csv.Error as error:
            raise FileRejected(f"Line {rows.line_num} of the table is broken: {error}.") from error
    facts |= table
    document = json.dumps(facts, indent=2, ensure_ascii=False, allow_nan=False)
    work.output.write("statistics", "statistics.json", "application/json", document.encode())
    return Findings(facts | {"columns": len(facts["columns"])})


def _lines(source: TextIO) -> Iterator[str]:
    while line := source.readline(MAX_LINE_CHARACTERS):
        if len(line) == MAX_LINE_CHARACTERS:
            raise FileRejected(f"The table has a line of over {MAX_LINE_CHARACTERS:,} characters.")
        refuse_nul(line)
        yield line


def _reporting(rows: Iterator[list[str]], source: TextIO, work: Work) -> Iterator[list[str]]:
    for number, row in enumerate(rows):
        if number % ROWS_BETWEEN_REPORTS == 0:
            work.progress("reading rows", source.buffer.tell(), work.bytes)
        yield row


def _read_table(rows: Iterator[list[str]]) -> dict[str, Any]:
    first = next(rows, None)
    if first is None:
        raise FileRejected("The table has no rows.")
    if len(first) > MAX_COLUMNS:
        raise FileRejected(f"The table has {len(first):,} columns; at most {MAX_COLUMNS:,} are processed.")
    header = _is_header(first)
    names = first if header else [f"column {number}" for number in range(1, len(first) + 1)]
    columns = [Column(printable(name)) for name in names]
    count = uneven = 0
    for row in rows if header else chain([first], rows):
        count += 1
        uneven += len(row) != len(columns)
        for column, cell in zip(columns, row, strict=False):
            column.add(cell)
    return {
        "rows": count,
        "uneven_rows": uneven,
        "header": header,
        "columns": [column.statistics() for column in columns],
    }


def _is_header(row: list[str]) -> bool:
    """Say whether a first row names the columns: with distinct texts, one for each."""
    names = [cell.strip() for cell in row]
    return all(name and classify(name)[0] == "text" for name in names) and len(set(names)) == len(names)
