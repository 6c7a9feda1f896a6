"""The stored outcome of a file: it lies beside the artefacts, appears with them, and is reported again.

So the folder of artefacts is the claim of its file: whoever has it in place first has done the work, and a second
execution neither works nor writes.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import cast

from shared.reports import FileReport
from shared.storage import OutputFolder, Storage, digest

NAME = ".outcome.json"
"""Hidden, for it is no artefact."""


class Overtaken(Exception):
    """Another execution has put the artefacts of the file in place meanwhile."""


def keep_outcome(output: OutputFolder, report: FileReport, *, in_place: Callable[[], FileReport | None]) -> None:
    """Store the report of a file among its artefacts in the making.

    Args:
        output: The folder in the making.
        report: What became of the file.
        in_place: Returns what another execution has stored, if one has.

    Raises:
        Overtaken: One has.
    """
    (output.folder / NAME).write_text(json.dumps(report), encoding="utf-8")
    if in_place() is not None:
        raise Overtaken


def stored_outcome(storage: Storage, source: str, destination: str, *, file_id: str, name: str) -> FileReport | None:
    """Return the report of a file whose artefacts are in place; ``None`` where they are not, or are another file's.

    Args:
        storage: Where the file and its artefacts lie.
        source: Relative path of the file.
        destination: Relative path of the folder of its artefacts.
        file_id: How the report calls the file.
        name: What its submitter calls it.
    """
    try:
        report = json.loads(storage.path(f"{destination}/{NAME}").read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    content = digest(storage.path(source)).sha256
    same = (report["file_id"], report["name"], report["sha256"]) == (file_id, name, content)
    return cast("FileReport", report) if same else None
