"""Process images: upright variants for the web and for lists, without metadata."""

from __future__ import annotations

from typing import Any

from services.file_worker.limits import MAX_PIXELS, PREVIEW_PIXELS, WEB_PIXELS
from services.file_worker.rejection import FileRejected
from services.file_worker.work import Findings, Work
from shared.storage import OutputFolder
from shared.vips import load_vips

JPEG_QUALITY = 82
WEBP_QUALITY = 80
UPRIGHT = 1
"""The value of the EXIF tag ``Orientation`` for pixels that are stored as they are looked at."""


def process_image(work: Work) -> Findings:
    """Write the variants ``web`` (WebP) and ``preview`` (JPEG) of an image, upright, in sRGB, stripped of metadata.

    Raises:
        FileRejected: It claims too many pixels, which is told before any is decoded, or is damaged.
    """
    vips = load_vips()
    try:
        header = vips.Image.new_from_file(str(work.path), access="sequential", fail_on="truncated")
        facts = _facts(header, work.sniffed.media_type)
        variant = vips.Image.thumbnail(
            str(work.path),
            WEB_PIXELS,
            height=WEB_PIXELS,
            size="down",
            output_profile="srgb",
            fail_on="truncated",
        ).copy_memory()
        web = variant.webpsave_buffer(Q=WEBP_QUALITY, keep="none")
        work.output.write("web", "web.webp", "image/webp", web)
        write_preview(variant, work.output)
    except vips.Error as error:
        raise FileRejected("The image is damaged or cut short.") from error
    return Findings(facts)


def write_preview(image: Any, output: OutputFolder) -> None:
    """Write the artefact ``preview``, a small JPEG, of an image that libvips holds."""
    small = image.thumbnail_image(PREVIEW_PIXELS, height=PREVIEW_PIXELS, size="down")
    output.write("preview", "preview.jpg", "image/jpeg", jpeg(small))


def jpeg(image: Any) -> bytes:
    """Encode an image as JPEG without metadata, on white where it is transparent."""
    return bytes(image.jpegsave_buffer(Q=JPEG_QUALITY, keep="none", background=[255]))


def _facts(header: Any, media_type: str) -> dict[str, Any]:
    """Describe an image by its header, with the width and height of the upright picture."""
    if header.width * header.height > MAX_PIXELS:
        raise FileRejected(
            f"The image claims {header.width:,} × {header.height:,} pixels; "
            f"at most {MAX_PIXELS // 1_000_000} megapixels are processed."
        )
    fields = set(header.get_fields())
    orientation = header.get("orientation") if "orientation" in fields else UPRIGHT
    lies_on_its_side = orientation in (5, 6, 7, 8)  # EXIF 2.32, section 4.6.4, tag 0x0112
    width, height = (header.height, header.width) if lies_on_its_side else (header.width, header.height)
    return {
        "format": media_type.removeprefix("image/"),
        "width": width,
        "height": height,
        "orientation": orientation,
        "frames": header.get("n-pages") if "n-pages" in fields else 1,
    }
