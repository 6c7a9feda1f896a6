from __future__ import annotations

import csv
import json
from io import StringIO

import pytest
import pyvips

from services.core.merging.contact_sheet import GREY, MOST_TILES, Tile, contact_sheet
from services.core.merging.manifest import manifest_csv, manifest_json
from tests.unit.core.reports import done, failed


def test_the_manifest_holds_every_report_whole():
    reports = [done("f1", "Zoë.png", "jobs/j/out/f1/preview.jpg"), failed("f2", "bad.pdf")]
    manifest = json.loads(manifest_json("job-1", reports))
    assert manifest == {"job_id": "job-1", "counts": {"done": 1, "failed": 1}, "files": reports}
    assert manifest_json("job-1", reports) == manifest_json("job-1", json.loads(json.dumps(reports)))


def test_the_table_has_a_line_for_each_file_and_each_member_and_runs_no_formula():
    member = failed("f1.1", "=HYPERLINK(evil)", "bad")
    archive = done("f1", "photos.zip", members=[member])
    first, second = csv.DictReader(StringIO(manifest_csv([archive]).decode()))
    assert (first["file_id"], first["archive"], first["status"]) == ("f1", "", "done")
    assert (second["archive"], second["name"], second["reason"]) == ("f1", "'=HYPERLINK(evil)", "bad")


def colour_at(sheet: bytes, left: int, top: int):
    return pyvips.Image.new_from_buffer(sheet, "").getpoint(left, top)


@pytest.fixture
def red_picture(tmp_path):
    path = tmp_path / "red.png"
    red = pyvips.Image.black(400, 300, bands=4).linear([1] * 4, [250, 0, 0, 255]).cast("uchar")
    red.copy(interpretation="srgb").write_to_file(str(path))
    return path


def test_a_sheet_shows_pictures_and_greys_out_what_failed(tmp_path, red_picture):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(red_picture.read_bytes()[:200])
    sheet = contact_sheet(
        "job-1",
        [
            Tile("red.png", "image", red_picture),
            Tile("<b>&bad\x01.pdf", "pdf", failure="Encrypted; needs a <password> & more."),
            Tile("broken.jpg", "image", broken),
        ],
    )
    assert colour_at(sheet, 136, 134) == pytest.approx([250, 0, 0], abs=6)
    assert colour_at(sheet, 392, 210) == pytest.approx(list(GREY), abs=6)
    assert colour_at(sheet, 540, 60) == pytest.approx([224, 231, 240], abs=6)


def test_a_sheet_of_a_huge_job_stays_a_picture_that_can_be_opened():
    tiles = [Tile(f"{number}.csv", "csv") for number in range(MOST_TILES + 1)]
    image = pyvips.Image.new_from_buffer(contact_sheet("job-1", tiles), "")
    assert max(image.width, image.height) < 6000
