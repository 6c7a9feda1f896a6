"""From a file to its report: every example, time limits, failures of the storage, repetition."""

from __future__ import annotations

import resource
import signal
from typing import Any

import pytest
import pyvips
from celery.exceptions import SoftTimeLimitExceeded

from examples.generators import archives, data, documents, hostile, photographs
from examples.make_files import PHOTOGRAPHS, bad_files, good_files
from services.file_worker import processing
from services.file_worker.processing import process_file
from shared.storage import PathEscapes, digest

REASONS = {
    "escaping.zip": "None of the 2 files",
    "bomb.zip": "decompression bomb",
    "nested.zip": "None of the 1 files",
    "cut-short.jpg": "damaged or cut short",
    "bomb.png": "60,000 × 60,000 pixels",
    "noise.png": "of no type that is processed",
    "locked.pdf": "encrypted",
    "cut-short.pdf": "cut short",
    "empty.txt": "empty",
    "nul-bytes.csv": "such as NUL",
    "broken.json": "broken in line 1",
}
ALIKE = {name for name, *_ in PHOTOGRAPHS[4:]}
EXAMPLES = [example for example in (*good_files(), *bad_files()) if example.name not in ALIKE]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_every_example_ends_as_expected_with_its_artefacts_or_its_reason(process, storage, left_behind, example):
    report = process(example.name, example.make())
    assert report["status"] == example.outcome
    if example.outcome == "failed":
        assert REASONS[example.name] in report["reason"]
        assert (report["artefacts"], left_behind()) == ([], [])
        return
    assert report["reason"] is None
    assert report["artefacts"]
    for artefact in report["artefacts"]:
        assert digest(storage.path(artefact["path"])) == (artefact["bytes"], artefact["sha256"])
    assert not [path for path in left_behind() if "partial" in path]


def limit_at(call):
    """Raise the soft time limit when progress is told for the so-manieth time."""
    calls = iter(range(call + 1))

    def tell(stage, current, total):
        if next(calls) == call:
            raise SoftTimeLimitExceeded

    return tell


@pytest.mark.parametrize(
    ("name", "content", "call"),
    [
        ("table.csv", data.consignments_csv(10_000), 1),
        ("report.pdf", documents.pdf(1, "Report", "Author", 5, (0, 0, 0)), 3),
        ("text.txt", b"words " * 100_000, 1),
        ("archive.zip", archives.zip_of({"1.txt": b"one", "2.txt": b"two", "3.txt": b"three"}), 2),
    ],
)
def test_at_a_soft_time_limit_partial_output_is_removed_and_the_file_has_failed(
    process, left_behind, name, content, call
):
    report = process(name, content, progress=limit_at(call))
    assert (report["status"], report["reason"]) == ("failed", "It took longer than its time limit.")
    assert report["artefacts"] == []
    assert "members" not in report
    assert left_behind() == []


def strike(signal_number, frame):
    raise SoftTimeLimitExceeded


def test_a_soft_time_limit_that_strikes_inside_libvips_is_not_lost(process, left_behind):
    content = (
        pyvips.Image.gaussnoise(3000, 3000, mean=128, sigma=40, seed=1).cast("uchar").pngsave_buffer(compression=1)
    )
    previous = signal.signal(signal.SIGVTALRM, strike)
    signal.setitimer(signal.ITIMER_VIRTUAL, 0.1)  # seconds of this process's own work, of which most is libvips's
    try:
        report = process("noise.png", content)
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, previous)
    assert (report["status"], report["reason"]) == ("failed", "It took longer than its time limit.")
    assert left_behind() == []


def test_processing_a_file_again_gives_the_same_artefacts(process, left_behind):
    content = archives.zip_of({"hill.jpg": photographs.photograph(1, 400, 300), "note.txt": b"A note.\n"})
    first = process("archive.zip", content)
    paths = left_behind()
    second = process("archive.zip", content)
    assert second["artefacts"] == first["artefacts"]
    assert [member["artefacts"] for member in second["members"]] == [member["artefacts"] for member in first["members"]]
    assert left_behind() == paths


def test_a_file_whose_artefacts_are_in_place_is_not_processed_again(process, storage):
    first = process("note.txt", b"A note.\n")
    in_place = storage.path("out").stat()
    second = process("note.txt", b"A note.\n")
    assert {**second, "seconds": 0} == {**first, "seconds": 0}
    assert storage.path("out").stat() == in_place


def test_of_two_executions_at_once_the_first_one_s_artefacts_stay(process, storage, left_behind):
    overtaken: list[Any] = []

    def overtake(stage, current, total):
        if not overtaken:
            overtaken.append(stage)
            process("notes.csv", content)
            overtaken.append(storage.path("out").stat())

    content = b"number,amount\n" + b"1,2\n" * 200_000
    report = process("notes.csv", content, progress=overtake)
    assert len(overtaken) == 2, "no progress was told, so nobody has overtaken"
    assert report["status"] == "done"
    assert storage.path("out").stat() == overtaken[1]
    assert all(name == "out" or name.startswith("out/") for name in left_behind()), "the second one's are gone"


def test_processing_another_file_replaces_every_artefact_and_a_failure_keeps_the_earlier_ones(process, left_behind):
    process("archive.zip", archives.zip_of({"note.txt": b"A note.\n"}))
    assert "out/members/0001/text.txt" in left_behind()
    process("note.txt", b"A note.\n")
    assert left_behind() == ["out", "out/text.txt"]
    assert process("bomb.png", hostile.png_bomb(60_000))["status"] == "failed"
    assert left_behind() == ["out", "out/text.txt"]


def test_a_storage_that_cannot_be_written_is_no_failure_of_the_file(process, left_behind):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (450_000, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            process("text.txt", ("列車" * 100_000).encode("utf-16"))  # half as long again in UTF-8
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert left_behind() == []


def test_a_file_that_is_not_there_is_no_failure_of_the_file(storage):
    with pytest.raises(FileNotFoundError):
        process_file(storage, "in/missing", "out", file_id="1", name="missing")


@pytest.mark.parametrize(("source", "destination"), [("../file", "out"), ("in/file", "/out"), ("in/file", "a/../..")])
def test_a_path_that_leads_out_of_the_storage_is_refused(storage, source, destination):
    with pytest.raises(PathEscapes):
        process_file(storage, source, destination, file_id="1", name="file")


def test_a_file_is_never_replaced_by_its_own_artefacts(process, storage):
    process("note.txt", b"A note.\n")
    with pytest.raises(ValueError, match="lies in its own destination"):
        process_file(storage, "in/file", "in", file_id="1", name="file")
    assert storage.path("in/file").read_bytes() == b"A note.\n"


def test_whatever_a_parser_raises_is_a_failure_of_the_file_and_is_logged(process, left_behind, monkeypatch, caplog):
    def trip(work):
        work.output.write("text", "text.txt", "text/plain", b"half")
        raise ZeroDivisionError("by the file")

    monkeypatch.setitem(processing.PROCESSORS, "text", trip)
    report = process("note.txt", b"A note.\n")
    assert (report["status"], report["reason"]) == ("failed", "It could not be read; it is probably damaged.")
    assert "ZeroDivisionError: by the file" in caplog.text
    assert left_behind() == []


def test_a_lack_of_memory_is_no_failure_of_the_file(process, left_behind, monkeypatch):
    def exhaust(work):
        raise MemoryError

    monkeypatch.setitem(processing.PROCESSORS, "text", exhaust)
    with pytest.raises(MemoryError):
        process("note.txt", b"A note.\n")
    assert left_behind() == []
