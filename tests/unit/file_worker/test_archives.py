"""Archives: each member like a file of its own, and nothing that a hostile one wants."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import resource
import tarfile
import tracemalloc
import zipfile
from contextlib import contextmanager

import pytest

from examples.generators import archives, hostile
from services.file_worker.limits import MIB, RATIO_FLOOR_BYTES

NOTE = b"A note.\n"
MEMBERS = {"folder/note.txt": NOTE, "table.csv": b"a,b\n1,2\n3,4\n", "broken.json": hostile.broken_json()}


@contextmanager
def bounded():
    """Let no file grow beyond what an archive may expand to, nor the memory beyond a part of that."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (RATIO_FLOOR_BYTES + MIB, limits[1]))
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < RATIO_FLOOR_BYTES // 2
    finally:
        tracemalloc.stop()
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize(
    "content",
    [
        archives.zip_of(MEMBERS),
        archives.tar_of(MEMBERS),
        gzip.compress(archives.tar_of(MEMBERS)),
        bz2.compress(archives.tar_of(MEMBERS)),
        lzma.compress(archives.tar_of(MEMBERS)),
    ],
    ids=["zip", "tar", "tar.gz", "tar.bz2", "tar.xz"],
)
def test_each_member_is_processed_and_a_bad_one_fails_alone(process, storage, artefact, left_behind, content):
    report = process("archive", content)
    assert [(member["name"], member["status"], member["file_id"]) for member in report["members"]] == [
        ("folder/note.txt", "done", "1.1"),
        ("table.csv", "done", "1.2"),
        ("broken.json", "failed", "1.3"),
    ]
    assert report["facts"] == {"members": 3, "failed_members": 1}
    note = report["members"][0]["artefacts"][0]
    assert note["path"] == "out/members/0001/text.txt"
    assert storage.path(note["path"]).read_bytes() == NOTE
    listed = json.loads(artefact(report, "contents").read_bytes())
    assert [(entry["name"], entry["reason"]) for entry in listed] == [
        (member["name"], member["reason"]) for member in report["members"]
    ]
    assert left_behind() == [
        "out",
        "out/contents.json",
        "out/members",
        "out/members/0001",
        "out/members/0001/text.txt",
        "out/members/0002",
        "out/members/0002/statistics.json",
    ]


@pytest.mark.parametrize(
    "name", ["../escaped", "../../../../../../tmp/escaped", "/escaped", "a/../../escaped", "..\\escaped", "C:/escaped"]
)
@pytest.mark.parametrize("pack", [archives.zip_of, archives.tar_of, archives.tar_gz_of])
def test_a_member_whose_name_leads_out_fails_and_the_others_are_processed(process, tmp_path, pack, name):
    report = process("archive", pack({name: b"outside", "note.txt": NOTE}))
    hostile_member, good_member = report["members"]
    assert (hostile_member["status"], hostile_member["reason"]) == ("failed", "Its name leads out of the archive.")
    assert good_member["status"] == "done"
    assert not list(tmp_path.rglob("*escaped*"))


def test_links_devices_and_nested_archives_are_members_that_failed(process):
    linking = archives.tar_of({"note.txt": NOTE, "inner.zip": archives.zip_of(MEMBERS)}, {"passwd": "/etc/passwd"})
    target = io.BytesIO(linking)
    with tarfile.open(fileobj=target, mode="a") as archive:
        pipe = tarfile.TarInfo("pipe")
        pipe.type = tarfile.FIFOTYPE
        archive.addfile(pipe)
        hard_link = tarfile.TarInfo("hard link")
        hard_link.type, hard_link.linkname = tarfile.LNKTYPE, "note.txt"
        archive.addfile(hard_link)
    report = process("archive.tar", target.getvalue())
    assert {member["name"]: member["reason"] for member in report["members"]} == {
        "note.txt": None,
        "inner.zip": "It is an archive inside an archive, and those are not expanded.",
        "passwd": "It is a link, and links are not followed.",
        "pipe": "It is a device, a pipe or a sparse file, which are not expanded.",
        "hard link": "It is a link, and links are not followed.",
    }


def test_a_link_in_a_zip_is_not_followed(process):
    target = io.BytesIO(archives.zip_of({"note.txt": NOTE}))
    with zipfile.ZipFile(target, "a") as archive:
        link = zipfile.ZipInfo("passwd")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    report = process("archive.zip", target.getvalue())
    assert [member["reason"] for member in report["members"]] == [None, "It is a link, and links are not followed."]


def test_encrypted_and_damaged_members_fail_alone(process):
    content = bytearray(archives.zip_of({"secret.txt": NOTE, "damaged.txt": b"abcdefgh" * 50, "note.txt": NOTE}))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.find(signature) + offset] |= 1
    content[content.find(b"damaged.txt") + len(b"damaged.txt") + 2] ^= 0xFF
    report = process("archive.zip", bytes(content))
    assert [member["reason"] for member in report["members"]] == [
        "It is encrypted.",
        "It is damaged in the archive.",
        None,
    ]


def test_an_archive_of_which_nothing_could_be_processed_has_failed_and_says_why_for_each(process, left_behind):
    report = process("archive.zip", archives.zip_of({"../a": NOTE, "noise.png": hostile.noise(5000)}))
    assert (report["status"], report["reason"]) == (
        "failed",
        "None of the 2 files in the archive could be processed.",
    )
    assert [member["reason"] for member in report["members"]] == [
        "Its name leads out of the archive.",
        "The file is of no type that is processed.",
    ]
    assert left_behind() == []


BOMB = "The archive expands to far more than its size, like a decompression bomb."


@pytest.mark.parametrize(
    "make",
    [
        lambda: archives.zip_bomb(100),
        lambda: archives.tar_gz_of({"note.txt": NOTE, "zeros.txt": bytes(100 * MIB)}),
        lambda: archives.tar_gz_of({"note.txt": NOTE, "../passed over": bytes(100 * MIB)}),
    ],
    ids=["zip", "tar.gz", "tar.gz with a bomb that is passed over"],
)
def test_a_bomb_is_refused_as_a_whole_before_it_fills_the_disk_or_the_memory(process, left_behind, make):
    content = make()
    with bounded():
        report = process("bomb", content)
    assert (report["status"], report["reason"]) == ("failed", BOMB)
    assert "members" not in report
    assert left_behind() == []


def test_many_members_that_are_a_bomb_together_are_refused(process):
    report = process("bomb.zip", archives.zip_of({f"{number}.txt": bytes(MIB) for number in range(40)}))
    assert report["reason"] == BOMB


def header_bomb():
    info = tarfile.TarInfo("pax")
    info.type, info.size = tarfile.XHDTYPE, 2 * MIB
    return archives.tar_of({"note.txt": NOTE})[:1024] + info.tobuf() + bytes(2 * MIB)


def directory_bomb():
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for number in range(80):
            info = zipfile.ZipInfo(f"{number}.txt")
            info.comment = b"x" * 60_000
            archive.writestr(info, b"")
    return target.getvalue()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (archives.zip_of({f"{number}.txt": b"1" for number in range(1001)}), "more than 1,000 members"),
        (archives.tar_of({f"../{number}": b"" for number in range(1001)}), "more than 1,000 members"),
        (directory_bomb(), "more members than are processed"),
        (header_bomb(), "oversized header"),
        (archives.zip_of({}), "no files in it"),
        (archives.zip_of(MEMBERS)[:-30], "cut short"),
        (archives.tar_gz_of(MEMBERS)[:-30], "damaged or cut short"),
        (archives.tar_of({"zeros.txt": bytes(5000)})[:3000], "damaged or cut short"),
    ],
)
def test_an_archive_that_is_damaged_or_too_much_is_refused_as_a_whole(process, left_behind, content, reason):
    report = process("archive", content)
    assert report["status"] == "failed"
    assert reason in report["reason"]
    assert left_behind() == []
