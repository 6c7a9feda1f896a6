"""The version of a message: a small number by which workers of two neighbouring releases tell what they can read.

It is raised when a worker of the release before would misread a message: a new task, an argument that is new, gone or
of another form, a header of ours without which the work would be done wrongly.  It stays where an older worker does
right without the change.  A message without a version, as a foreign program publishes it, is of the first.

A message is of one version in all its parts: its arguments, and the signatures of what follows on it, which travel in
it.  A worker that is handed an older one brings the arguments up to date (``FleetTask.upgrade_arguments``), and marks
what follows with the version that it came in, for it was made by the same caller.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

VERSION_HEADER = "message_version"
FIRST_VERSION = 1

INNER = ("tasks", "header", "body")
"""Where a chain, a group or a chord has the signatures that it is made of, among its keyword arguments."""
FOLLOWING = ("link", "link_error", "chain", "chord")
"""Where a signature has those that follow on it, among its options."""
EMBEDDED = ("callbacks", "errbacks", "chain", "chord")
"""Where a message has those that follow on its task, in its body."""


def version_of(headers: Mapping[str, Any]) -> int:
    """Return the version of a message by its headers, which anybody may have written."""
    version = headers.get(VERSION_HEADER)
    return version if isinstance(version, int) and version >= FIRST_VERSION else FIRST_VERSION


def is_marked_older(headers: Mapping[str, Any] | None, version: int) -> bool:
    """Tell whether headers bear a version that is below another; those without one may be of any."""
    return headers is not None and VERSION_HEADER in headers and version_of(headers) < version


def mark(signatures: Any, version: int) -> None:
    """Note in signatures, and in all that they are made of, which version they are of; a note that is there stays.

    Args:
        signatures: A signature, or several in lists; what is none is left alone.
        version: The version of whoever made them.
    """
    if isinstance(signatures, list | tuple):
        for signature in signatures:
            mark(signature, version)
    elif isinstance(signatures, Mapping) and isinstance(options := signatures.get("options"), dict):
        inner = signatures.get("kwargs")
        if signatures.get("subtask_type") is None:
            options["headers"] = {VERSION_HEADER: version, **(options.get("headers") or {})}
        elif isinstance(inner, Mapping):
            mark([inner.get(name) for name in INNER], version)
        mark([options.get(name) for name in FOLLOWING], version)


def mark_following(embedded: Mapping[str, Any], version: int) -> None:
    """Note which version the signatures are of that follow on a task, and came in its message."""
    mark([embedded.get(name) for name in EMBEDDED], version)
