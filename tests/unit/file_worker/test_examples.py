"""The example files and recipients are what they are said to be."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import examples
from examples.make_files import bad_files, good_files
from examples.make_recipients import COLUMNS, INVALID, rows
from services.email_worker.errors import InvalidAddress
from services.email_worker.validation import normalise


def test_the_recipients_are_those_that_their_script_makes():
    with Path(examples.__path__[0], "recipients.csv").open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [list(COLUMNS), *map(list, rows())]


def test_of_500_recipients_20_are_invalid_and_5_are_there_twice():
    valid: Counter[str] = Counter()
    invalid = []
    for address, *_ in rows():
        try:
            valid[normalise(address)] += 1
        except InvalidAddress:
            invalid.append(address)
    assert sorted(invalid) == sorted(INVALID)
    assert sorted(valid.values()) == [1] * 470 + [2] * 5


def test_there_are_examples_of_every_kind_and_none_has_the_name_of_another():
    listed = [*good_files(), *bad_files()]
    assert len({example.name for example in listed}) == len(listed) >= 36
    assert len({Path(example.name).suffix for example in listed}) >= 8
