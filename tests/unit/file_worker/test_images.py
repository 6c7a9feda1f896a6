"""Images: upright, stripped, in sRGB, and refused when they lie or are damaged."""

from __future__ import annotations

import pytest
import pyvips

from examples.generators import graphics, hostile, photographs

RED, BLUE = [200, 20, 20], [20, 20, 200]


def two_colours(width, height):
    """An upright picture, red above and blue below."""
    half = pyvips.Image.black(width, height // 2, bands=3)
    return (half + RED).join(half + BLUE, "vertical").cast("uchar").copy(interpretation="srgb")


def is_near(pixel, colour):
    return all(abs(have - want) < 40 for have, want in zip(pixel, colour, strict=True))


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_variants_are_upright_however_the_camera_was_held(process, artefact, orientation):
    report = process("photo.jpg", photographs.camera_jpeg(two_colours(600, 900), orientation))
    assert report["facts"] == {"format": "jpeg", "width": 600, "height": 900, "orientation": orientation, "frames": 1}
    for role, height in (("web", 900), ("preview", 320)):
        variant = pyvips.Image.new_from_file(str(artefact(report, role)))
        assert variant.height == height
        assert variant.width == round(height * 600 / 900)
        assert is_near(variant(variant.width // 2, 10), RED)
        assert is_near(variant(variant.width // 2, height - 10), BLUE)


def test_no_metadata_reaches_the_variants(process, artefact):
    original = photographs.photograph(1, 800, 600, orientation=6)
    assert "exif-ifd3-GPSLatitude" in pyvips.Image.new_from_buffer(original, "").get_fields()
    report = process("photo.jpg", original)
    for role in ("web", "preview"):
        content = artefact(report, role).read_bytes()
        fields = pyvips.Image.new_from_buffer(content, "").get_fields()
        assert not [field for field in fields if field.startswith(("exif", "orientation", "icc", "xmp", "iptc"))]
        assert b"Switchyard" not in content


def test_large_images_shrink_to_the_longest_side_and_small_ones_keep_their_size(process, artefact):
    large = process("large.jpg", photographs.photograph(1, 3000, 1000))
    web = pyvips.Image.new_from_file(str(artefact(large, "web")))
    assert (web.width, web.height) == (1600, 533)
    small = process("small.gif", graphics.animated_gif(100, 5))
    preview = pyvips.Image.new_from_file(str(artefact(small, "preview")))
    assert (preview.width, preview.height, small["facts"]["frames"]) == (100, 100, 5)


def test_transparency_is_kept_for_the_web_and_white_in_the_preview(process, artefact):
    report = process("rings.png", graphics.transparent_png(200))
    assert pyvips.Image.new_from_file(str(artefact(report, "web"))).hasalpha()
    assert is_near(pyvips.Image.new_from_file(str(artefact(report, "preview")))(0, 0), [255, 255, 255])


def test_deep_images_keep_their_shades(process, artefact):
    report = process("gradient.png", graphics.deep_png(320, 100))
    preview = pyvips.Image.new_from_file(str(artefact(report, "preview"))).colourspace("b-w")
    for share in (0.25, 0.5, 0.75):
        assert preview(int(320 * share), 50)[0] == pytest.approx(255 * share, abs=8)


@pytest.mark.parametrize("share", [0.95, 0.5, 0.01])
@pytest.mark.parametrize("name", ["photo.jpg", "rings.png", "leaf.webp", "scan.tiff"])
def test_an_image_that_is_cut_short_is_refused(process, left_behind, name, share):
    whole = {
        "photo.jpg": photographs.photograph(1, 800, 600),
        "rings.png": graphics.transparent_png(300),
        "leaf.webp": graphics.texture_webp(400, 400),
        "scan.tiff": graphics.scanned_tiff(400, 400),
    }
    report = process(name, hostile.cut_short(whole[name], share))
    assert (report["status"], report["reason"]) == ("failed", "The image is damaged or cut short.")
    assert report["artefacts"] == []
    assert left_behind() == []


def test_an_image_that_claims_too_many_pixels_is_refused_by_its_header(process):
    report = process("bomb.png", hostile.png_bomb(60_000))
    assert report["status"] == "failed"
    assert report["reason"] == ("The image claims 60,000 × 60,000 pixels; at most 100 megapixels are processed.")
