"""Process JSON documents: their shape."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, NoReturn

from services.file_worker.limits import (
    MAX_JSON_BYTES,
    MAX_JSON_DEPTH,
    MAX_SHAPE_DEPTH,
    MAX_SHAPE_PATHS,
    MIB,
)
from services.file_worker.rejection import FileRejected
from services.file_worker.work import Findings, Work, printable

TYPE_NAMES = {dict: "object", list: "array", str: "string", int: "number", float: "number", bool: "boolean"}


@dataclass
class Place:
    """What is found at one path of a document, such as ``$.orders[].price``."""

    types: Counter[str] = field(default_factory=Counter)
    lengths: list[int] = field(default_factory=list)
    """The least and the greatest length of the arrays, where there are any."""

    def add(self, value: Any) -> None:
        """Take a further value at this path into account."""
        self.types[TYPE_NAMES.get(type(value), "null")] += 1
        if isinstance(value, list):
            known = [*self.lengths, len(value)]
            self.lengths = [min(known), max(known)]

    def described(self) -> dict[str, Any]:
        """Return the place as JSON."""
        shape: dict[str, Any] = {"types": dict(self.types)}
        if self.lengths:
            shape |= {"shortest": self.lengths[0], "longest": self.lengths[1]}
        return shape


@dataclass
class Shape:
    """The types of a document by path, and how deep and how large it is."""

    places: dict[str, Place] = field(default_factory=dict)
    values: int = 0
    depth: int = 0

    def add(self, value: Any, path: str | None = "$", depth: int = 1) -> None:
        """Walk a value and all that it holds; ``path`` is ``None`` where paths are no longer told apart.

        Raises:
            FileRejected: It is nested too deeply.
        """
        if depth > MAX_JSON_DEPTH:
            raise _too_deep()
        self.values += 1
        self.depth = max(self.depth, depth)
        if path is not None and (path in self.places or len(self.places) < MAX_SHAPE_PATHS):
            self.places.setdefault(path, Place()).add(value)
        below = path if depth < MAX_SHAPE_DEPTH else None
        if isinstance(value, dict):
            for key, child in value.items():
                self.add(child, below and f"{below}.{printable(key)}", depth + 1)
        elif isinstance(value, list):
            for child in value:
                self.add(child, below and f"{below}[]", depth + 1)


def process_json(work: Work) -> Findings:
    """Write the artefact ``statistics`` of a JSON document: the types that it has at each path.

    Raises:
        FileRejected: It is not valid JSON (RFC 8259), too large, or nested too deeply.
    """
    if work.bytes > MAX_JSON_BYTES:
        raise FileRejected(f"The JSON document is larger than {MAX_JSON_BYTES // MIB} MiB.")
    shape = Shape()
    document = _parse(work.path.read_bytes())
    shape.add(document)
    facts = {"type": TYPE_NAMES.get(type(document), "null"), "values": shape.values, "depth": shape.depth}
    places = {path: shape.places[path].described() for path in sorted(shape.places)}
    summary = json.dumps({**facts, "places": places}, indent=2)
    work.output.write("statistics", "statistics.json", "application/json", summary.encode())
    return Findings(facts)


def _parse(content: bytes) -> Any:
    try:
        return json.loads(content, parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise FileRejected("The JSON document is not in UTF-8, UTF-16 or UTF-32.") from error
    except json.JSONDecodeError as error:
        raise FileRejected(
            f"The JSON document is broken in line {error.lineno}, column {error.colno}: {error.msg}."
        ) from error
    except ValueError as error:
        raise FileRejected("The JSON document has a number with thousands of digits.") from error
    except RecursionError as error:
        raise _too_deep() from error


def _refuse_constant(constant: str) -> NoReturn:
    raise FileRejected(f"The JSON document has {constant}, which JSON does not.")


def _too_deep() -> FileRejected:
    return FileRejected(f"The JSON document is nested more than {MAX_JSON_DEPTH} deep.")
