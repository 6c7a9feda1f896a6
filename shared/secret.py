"""A text that nobody should see: a password, or a URL that may hold one."""

from __future__ import annotations

from typing import Any

STARS = "**********"


class SecretStr:
    """A text that shows as stars wherever it is printed, logged or formatted; ``get_secret_value`` is the way to it.

    It is compared by its text and can't be changed.  JSON has no form for it, so that none is sent or stored by
    accident.  It is no dataclass, for those are taken apart by whoever prints or stores one.
    """

    __slots__ = ("_text",)
    _text: str

    def __init__(self, text: str) -> None:
        object.__setattr__(self, "_text", text)

    def get_secret_value(self) -> str:
        """Return the text itself."""
        return self._text

    def __len__(self) -> int:
        return len(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SecretStr) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __str__(self) -> str:
        return STARS if self._text else ""

    def __repr__(self) -> str:
        return f"SecretStr({str(self)!r})"

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("A secret can't be changed; make another SecretStr.")

    def __delattr__(self, name: str) -> None:
        raise AttributeError("A secret can't be changed; make another SecretStr.")

    def __reduce__(self) -> tuple[Any, ...]:
        return SecretStr, (self._text,)
