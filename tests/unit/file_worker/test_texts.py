"""Texts, tables and JSON documents: what is counted is right."""

from __future__ import annotations

import json
import math
import statistics as stdlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.generators import data, hostile
from services.file_worker.columns import Column
from services.file_worker.limits import MAX_JSON_BYTES
from services.file_worker.text import TextCounts


@given(blocks=st.lists(st.text(alphabet=st.sampled_from("ab \n\t"), min_size=1)))
def test_a_text_is_counted_the_same_in_whatever_blocks_it_comes(blocks):
    counts = TextCounts()
    for block in blocks:
        counts.add(block)
    text = "".join(blocks)
    lines = text.split("\n")
    assert counts.facts() == {
        "lines": len(lines) - (lines[-1] == ""),
        "words": len(text.split()),
        "characters": len(text),
        "longest_line": max(map(len, lines)),
    }


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-8-sig"])
def test_a_text_is_written_again_in_utf_8_with_its_counts(process, artefact, encoding):
    text = "Größe\r\nŁódź und Ελλάδα\r\nEnde"
    report = process("text.txt", text.encode(encoding))
    assert artefact(report, "text").read_bytes() == text.replace("\r\n", "\n").encode()
    assert report["facts"] == {
        "encoding": encoding, "lines": 3, "words": 5, "characters": 26, "longest_line": 15,
    }  # fmt: skip


def test_a_table_gives_the_type_and_statistics_of_each_column(process, statistics):
    table = (
        "id,price,day,postcode,mixed,note\n"
        "1,2.50,2024-01-31,01234,1,\n"
        "2,-1,2023-12-01,99999,x,\n"
        '30,,2024-02-29,10115,2,"with, comma\nand line"\n'
    )
    report = process("orders.csv", table.encode())
    assert report["facts"] == {
        "encoding": "utf-8", "delimiter": ",", "rows": 3, "uneven_rows": 0, "header": True, "columns": 6,
    }  # fmt: skip
    assert statistics(report)["columns"] == [
        {"name": "id", "type": "integer", "count": 3, "empty": 0, "min": 1, "max": 30, "mean": 11.0},
        {"name": "price", "type": "number", "count": 2, "empty": 1, "min": -1, "max": 2.5, "mean": 0.75},
        {"name": "day", "type": "date", "count": 3, "empty": 0, "min": "2023-12-01", "max": "2024-02-29"},
        {"name": "postcode", "type": "text", "count": 3, "empty": 0, "shortest": 5, "longest": 5},
        {"name": "mixed", "type": "text", "count": 3, "empty": 0, "shortest": 1, "longest": 1},
        {"name": "note", "type": "text", "count": 1, "empty": 2, "shortest": 20, "longest": 20},
    ]


@given(st.lists(st.integers() | st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_the_statistics_of_numbers_are_those_of_the_standard_library(numbers):
    column = Column("numbers")
    for number in numbers:
        column.add(repr(number))
    found = column.statistics()
    assert found["type"] == ("integer" if all(isinstance(number, int) for number in numbers) else "number")
    assert (found["min"], found["max"]) == (min(numbers), max(numbers))
    scale = max(abs(float(number)) for number in numbers)
    assert math.isclose(found["mean"], float(stdlib.mean(numbers)), rel_tol=1e-9, abs_tol=scale * 1e-9 + 1e-300)


def test_semicolons_tabulators_and_tables_without_a_header_are_recognised(process, statistics):
    report = process("stations.csv", data.stations_csv())
    assert (report["facts"]["delimiter"], report["facts"]["encoding"]) == (";", "cp1252")
    report = process("measurements.tsv", data.measurements_tsv(50))
    assert (report["facts"]["delimiter"], report["facts"]["header"], report["facts"]["rows"]) == ("\t", False, 50)
    assert [column["name"] for column in statistics(report)["columns"]] == ["column 1", "column 2", "column 3"]


def test_rows_of_another_length_are_counted_and_not_lost(process, statistics):
    report = process("orders.csv", b"a,b\n1,2\n3\n4,5,6\n")
    assert (report["facts"]["rows"], report["facts"]["uneven_rows"]) == (3, 2)
    assert [column["count"] for column in statistics(report)["columns"]] == [3, 2]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("nul.csv", hostile.table_with_nul(), "named .csv, but has bytes that no text has, such as NUL"),
        ("late-nul.csv", b"a,b\n" + b"1,2\n" * 50_000 + b"\0,1\n", "NUL bytes"),
        ("late-nul.txt", b"words\n" * 50_000 + b"\0", "NUL bytes"),
        ("quote.csv", b'a,b\n1,"never closed\n', "Line 2 of the table is broken"),
        ("wide.csv", b",".join(b"%d" % number for number in range(1200)) + b"\n1\n", "has 1,200 columns"),
        ("long.csv", b"a,b\n" + b"x" * 2_000_000, "line of over 1,048,576 characters"),
        ("blank.csv", b"\n\n\n", "no rows"),
        ("utf-16.txt", "odd".encode("utf-16") + b"x", "not valid utf-16"),
        ("broken.json", hostile.broken_json(), "broken in line 1, column 51"),
        ("latin.json", '"né"'.encode("latin-1"), "not in UTF-8"),
        ("nan.json", b"[NaN]", "has NaN, which JSON does not"),
        ("deep.json", b"[" * 101 + b"]" * 101, "nested more than 100 deep"),
        ("very-deep.json", b"[" * 200_000 + b"]" * 200_000, "nested more than 100 deep"),
        ("digits.json", b"[" + b"1" * 5000 + b"]", "thousands of digits"),
        ("large.json", b"[" + b" " * MAX_JSON_BYTES + b"]", "larger than 16 MiB"),
        ("lines.json", b'{"a": 1}\n{"a": 2}\n', "broken in line 2"),
    ],
)
def test_a_broken_text_is_a_failure_with_a_reason(process, left_behind, name, content, reason):
    report = process(name, content)
    assert report["status"] == "failed"
    assert reason in report["reason"]
    assert left_behind() == []


def test_a_document_gives_its_types_by_path(process, statistics):
    document = {"orders": [{"id": 1, "tags": []}, {"id": 2.5, "tags": ["a", "b"]}, None], "open": True}
    report = process("orders.json", json.dumps(document).encode())
    assert report["facts"] == {"type": "object", "values": 12, "depth": 5}
    assert statistics(report)["places"] == {
        "$": {"types": {"object": 1}},
        "$.open": {"types": {"boolean": 1}},
        "$.orders": {"types": {"array": 1}, "shortest": 3, "longest": 3},
        "$.orders[]": {"types": {"object": 2, "null": 1}},
        "$.orders[].id": {"types": {"number": 2}},
        "$.orders[].tags": {"types": {"array": 2}, "shortest": 0, "longest": 2},
        "$.orders[].tags[]": {"types": {"string": 2}},
    }


def test_a_document_of_very_many_places_is_described_in_part(process, statistics):
    report = process("keys.json", json.dumps({f"key {number}": number for number in range(2000)}).encode())
    assert report["facts"]["values"] == 2001
    assert len(statistics(report)["places"]) == 500
