"""The storage root: nothing leaves it, and folders of artefacts appear whole."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.storage import PathEscapes, Storage, digest

NASTY = st.text(alphabet=st.sampled_from("ab./\\\0 ~:"), max_size=12) | st.text(max_size=20)


@given(path=NASTY)
def test_every_path_lies_below_the_root_or_is_refused(path: str, tmp_path_factory: pytest.TempPathFactory):
    root = tmp_path_factory.getbasetemp().resolve() / "root"
    try:
        found = Storage(root).path(path)
    except PathEscapes:
        assert {"", ".", ".."} & set(path.split("/")) or "\\" in path or "\0" in path
    else:
        assert found == root.joinpath(*path.split("/"))
        assert found != root


@pytest.mark.parametrize(
    "path", ["", ".", "..", "/etc/passwd", "../x", "a/../../x", "a//b", "a/", "a\\b", "..\\x", "a\0b", "./a"]
)
def test_a_path_that_leads_out_or_nowhere_is_refused_before_anything_is_written(storage, tmp_path, path):
    with pytest.raises(PathEscapes, match="not a path inside the storage root"):
        storage.place(io.BytesIO(b"x"), path)
    with pytest.raises(PathEscapes), storage.writing(path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_symbolic_link_that_points_out_is_refused_and_one_that_points_inside_is_followed(storage, tmp_path):
    storage.place(io.BytesIO(b"inside"), "real/file")
    root = tmp_path / "storage"
    (tmp_path / "outside").mkdir()
    (root / "out").symlink_to(tmp_path / "outside")
    (root / "passwd").symlink_to("/etc/passwd")
    (root / "in").symlink_to(root / "real")
    for path in ("out", "out/file", "passwd"):
        with pytest.raises(PathEscapes):
            storage.path(path)
    assert storage.path("in/file").read_bytes() == b"inside"


def test_a_file_is_placed_whole_with_its_digest(storage):
    content = bytes(range(256)) * 10_000
    placed = storage.place(io.BytesIO(content), "a/b/file.bin")
    assert placed == (len(content), hashlib.sha256(content).hexdigest())
    assert digest(storage.path("a/b/file.bin")) == placed


def test_a_stream_that_breaks_off_leaves_nothing_and_what_was_there_stays(storage):
    class Broken(io.BytesIO):
        def read(self, size=-1):
            if self.tell():
                raise ConnectionResetError
            return super().read(min(size, 4))

    storage.place(io.BytesIO(b"earlier"), "file")
    with pytest.raises(ConnectionResetError):
        storage.place(Broken(b"12345678"), "file")
    assert [path.name for path in storage.path("file").parent.iterdir()] == ["file"]
    assert storage.path("file").read_bytes() == b"earlier"


def write(storage: Storage, destination: str, **files: bytes) -> None:
    with storage.writing(destination) as output:
        for name, content in files.items():
            output.write(name, name, "text/plain", content)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_folder_appears_when_it_is_complete_and_replaces_the_earlier_one_as_a_whole(storage):
    out = storage.path("jobs/1/out")
    write(storage, "jobs/1/out", one=b"1", two=b"2")
    with storage.writing("jobs/1/out") as output:
        output.write("two", "two", "text/plain", b"new")
        assert contents(out) == {"one": b"1", "two": b"2"}
    assert contents(out) == {"two": b"new"}
    assert output.artefacts == [
        {
            "role": "two",
            "path": "jobs/1/out/two",
            "media_type": "text/plain",
            "bytes": 3,
            "sha256": hashlib.sha256(b"new").hexdigest(),
        }
    ]
    assert list(out.parent.iterdir()) == [out]


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_exception_removes_the_partial_folder_and_keeps_the_earlier_one(storage, failure):
    write(storage, "out", one=b"1")

    def fail_half_way():
        with storage.writing("out") as output:
            output.write("one", "one", "text/plain", b"half")
            raise failure

    with pytest.raises(failure):
        fail_half_way()
    assert contents(storage.path("out")) == {"one": b"1"}
    assert [path.name for path in storage.path("out").parent.iterdir()] == ["out"]


def test_what_a_killed_process_left_is_removed_and_the_partial_folders_of_others_are_not(storage):
    write(storage, "a", one=b"1")
    root = storage.path("a").parent
    for name in ("a.0123abcd.partial", "a.b.0123abcd.partial", "ab.0123abcd.partial"):
        (root / name).mkdir()
        (root / name / "half").write_bytes(b"half")
    write(storage, "a", one=b"2")
    assert sorted(path.name for path in root.iterdir()) == ["a", "a.b.0123abcd.partial", "ab.0123abcd.partial"]


def test_a_writer_whose_work_was_taken_over_commits_nothing(storage):
    def be_overtaken():
        with storage.writing("out") as stale:
            stale.write("one", "one", "text/plain", b"stale")
            write(storage, "out", one=b"fresh")

    with pytest.raises(FileNotFoundError):
        be_overtaken()
    assert contents(storage.path("out")) == {"one": b"fresh"}
