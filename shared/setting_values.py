"""Reads the text of a setting as a value of its type, within its bounds."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, NamedTuple, NewType, Union, get_args, get_origin

import msgspec

from shared.secret import SecretStr

Networks = NewType("Networks", str)
"""Networks with commas between them."""

ON = frozenset({"1", "on", "t", "true", "y", "yes"})
OFF = frozenset({"0", "off", "f", "false", "n", "no"})


class Kind(NamedTuple):
    """How a text is read as a value of a type, and what to write for one."""

    read: Callable[[str], object]
    """Raises ``ValueError`` for a text that is none."""
    wanted: str


def read_value(text: str, hint: Any) -> Any:
    """Return what a text says, for a setting with this type.

    Raises:
        ValueError: It is of another type, or out of bounds; says what to write, and shows nothing of the text.
    """
    kind, bounds = _taken_apart(hint)
    read, wanted = KINDS.get(kind) or Kind(str, f"one of {', '.join(get_args(kind))}")
    try:
        return msgspec.convert(read(text), hint)
    except ValueError:
        raise ValueError(f"write {wanted}{_told(bounds)}") from None


def _taken_apart(hint: Any) -> tuple[Any, msgspec.Meta | None]:
    """Return what a value is when there is one, and the bounds of it."""
    if get_origin(hint) in (Union, UnionType):
        return _taken_apart(next(part for part in get_args(hint) if part is not NoneType))
    if get_origin(hint) is Annotated:
        kind, bounds = get_args(hint)
        return kind, bounds
    return hint, None


def _told(bounds: msgspec.Meta | None) -> str:
    words = {"of at least": bounds.ge, "above": bounds.gt, "of at most": bounds.le} if bounds else {}
    return " and".join(f" {word} {bound}" for word, bound in words.items() if bound is not None)


def _switch(text: str) -> bool:
    word = text.lower()
    if word not in ON | OFF:
        raise ValueError
    return word in ON


def _whole(text: str) -> int:
    """Read a whole number, also where a tool has written it as 1000.0 or 1e+06."""
    try:
        return int(text)
    except ValueError:
        number = float(text)
    if not number.is_integer():
        raise ValueError
    return int(number)


def _networks(text: str) -> Networks:
    """Check a list of addresses and networks with commas, and write them as networks."""
    return Networks(",".join(str(ip_network(part.strip())) for part in text.split(",") if part.strip()))


KINDS: dict[Any, Kind] = {
    bool: Kind(_switch, "true or false"),
    int: Kind(_whole, "a whole number"),
    float: Kind(float, "a number"),
    str: Kind(str, "a text"),
    Path: Kind(Path, "a path"),
    SecretStr: Kind(SecretStr, "a text"),
    Networks: Kind(_networks, "addresses or networks, such as 10.0.0.0/8, with commas between them"),
}
