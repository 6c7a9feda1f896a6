from __future__ import annotations

import pytest

from services.core.ledger.errors import InvalidRecipientList
from services.core.usecases.recipient_list import Row, open_recipient_list, summarise


def read(path) -> list[Row]:
    return [row for row in open_recipient_list(path).rows() if row is not None]


def written(tmp_path, content: str | bytes):
    path = tmp_path / "people.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_encoding_and_delimiter_are_found_out(tmp_path, encoding, delimiter):
    lines = [delimiter.join(cells) for cells in (["name", "Email"], ["Jürgen", " juergen@Example.org "])]
    [row] = read(written(tmp_path, "\r\n".join(lines).encode(encoding)))
    assert row == Row("juergen@Example.org", "juergen@example.org", {"name": "Jürgen"})


def test_a_letter_that_is_cut_by_the_end_of_the_file_makes_it_latin_1(tmp_path):
    [row] = read(written(tmp_path, b"email,name\nada@example.org,Zo\xc3"))
    assert row.variables == {"name": "ZoÃ"}


def test_latin_1_is_found_out_behind_the_first_block(tmp_path, monkeypatch):
    monkeypatch.setattr("services.core.usecases.recipient_list.BLOCK_BYTES", 16)
    rows = read(written(tmp_path, "email,name\n" + "ada@example.org,Zoë\n" * 3 + "eve@example.org,Ren\n"))
    assert [row.variables["name"] for row in rows] == ["Zoë"] * 3 + ["Ren"]
    [row] = read(written(tmp_path, "email,name\nada@example.org,Zoë\n".encode("latin-1")))
    assert row.variables == {"name": "Zoë"}


def test_where_a_list_has_both_columns_the_address_is_a_variable(tmp_path):
    [row] = read(written(tmp_path, "address,email\n1 Main Street,ada@example.org\n"))
    assert row == Row("ada@example.org", "ada@example.org", {"address": "1 Main Street"})


def test_blank_lines_short_rows_and_unnamed_columns_of_spreadsheets_are_taken_as_they_are_meant(tmp_path):
    rows = read(written(tmp_path, "\naddress,name,,\nada@example.org,Ada,,,\n,,,\neve@example.org\n"))
    assert [(row.address, row.variables) for row in rows] == [
        ("ada@example.org", {"name": "Ada"}),
        ("eve@example.org", {"name": ""}),
    ]


def test_a_list_is_summed_up_whatever_its_order(tmp_path):
    one = written(tmp_path, "email,name\na@X.org,1\nA@x.org,2\na@x.ORG,3\n,nobody\nb@x.org,4\nnot an address,5\n")
    summary = summarise(open_recipient_list(one))
    assert (summary.recipients, summary.duplicates, summary.without_address) == (4, 1, 1)
    other = written(tmp_path, "email\nb@x.org\nnot an address\nA@X.org\na@x.org\n")
    assert summarise(open_recipient_list(other)).digest == summary.digest
    another = written(tmp_path, "email\nb@x.org\n")
    assert summarise(open_recipient_list(another)).digest != summary.digest


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "its first line has nothing"),
        ("ada@example.org\neve@example.org\n", "its first line has 'ada@example.org'"),
        ("email,name,name\n", "two columns 'name'"),
        ("email,name\n", "no recipients"),
        ("email,name\n,Ada\n", "no recipients"),
        ("email,name\nada@example.org,Lovelace, Ada\n", "line 2: 3 cells, but the header has 2"),
        ('email,name\nada@example.org,"Ada\neve@example.org,Eve\n', "line 3"),
        ("email\n".encode("utf-16"), "save it as CSV in UTF-8"),
        ("email\n" + "x" * 200_000, "field larger than"),
    ],
)
def test_a_list_that_cannot_be_understood_is_refused_with_the_place(tmp_path, content, message):
    with pytest.raises(InvalidRecipientList, match=message):
        summarise(open_recipient_list(written(tmp_path, content)))


def test_a_list_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(InvalidRecipientList, match="cannot be read: No such file"):
        open_recipient_list(tmp_path / "missing.csv")
    with pytest.raises(InvalidRecipientList, match="cannot be read: Is a directory"):
        open_recipient_list(tmp_path)


def test_a_row_too_long_for_its_chunk_to_travel_names_its_line(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text(f"email,text\na@example.org,short\nb@example.org,{'x' * 100}\n")
    recipients = open_recipient_list(path, longest_row=100)
    with pytest.raises(InvalidRecipientList, match=r"line 3: \d+ bytes, and 100 is the most.*YARD_CAMPAIGN_CHUNK_SIZE"):
        list(recipients.rows())
    assert len(list(open_recipient_list(path).rows())) == 2
