"""Reports as the file service would send them."""

from __future__ import annotations

from typing import cast

from shared.reports import Artefact, FileReport


def done(file_id: str, name: str, *previews: str, **changes) -> FileReport:
    artefacts: list[Artefact] = [
        {"role": "preview", "path": path, "media_type": "image/jpeg", "bytes": 10, "sha256": "0" * 64}
        for path in previews
    ]
    report: FileReport = {
        "file_id": file_id,
        "name": name,
        "status": "done",
        "reason": None,
        "kind": "image",
        "media_type": "image/png",
        "bytes": 1234,
        "sha256": "a" * 64,
        "seconds": 0.25,
        "facts": {"width": 640, "mean": 0.5},
        "artefacts": artefacts,
    }
    return cast("FileReport", {**report, **changes})


def failed(file_id: str, name: str, reason: str = "The file is truncated.", **changes) -> FileReport:
    return done(file_id, name, **{"status": "failed", "reason": reason, "facts": {}, "sha256": None, **changes})
