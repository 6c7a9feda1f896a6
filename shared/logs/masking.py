"""Keeps passwords out of lines, whoever wrote them: a library may log a URL or what a server said."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import unquote, urlsplit

import msgspec

from shared.secret import SecretStr
from shared.settings import FleetSettings

PASSWORD_IN_URL = re.compile(r"(?<=://)([^/@:\s\"']*):[^/@\s\"']*@")
API_KEY = re.compile(r"\byard_[0-9a-z]{8}_[\w-]{43}")
"""A key of the HTTP API, which somebody may have put where it does not belong; ``services.core.usecases.api_keys``."""
SHORTEST = 6
"""A shorter password is not searched for: it may be part of any word.  In URLs it is masked all the same."""
STARS = "**"


class Mask:
    """Replaces passwords by stars: those in URLs, and the fleet's own wherever they stand."""

    def __init__(self, secrets: Iterable[str]) -> None:
        known = sorted({secret for secret in secrets if len(secret) >= SHORTEST}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None

    @classmethod
    def of(cls, settings: FleetSettings) -> Mask:
        """Return a mask for every password that the settings hold."""
        held = msgspec.structs.astuple(settings)
        return cls(secret for value in held if isinstance(value, SecretStr) for secret in _passwords(value))

    def __call__(self, text: str) -> str:
        """Return the text without passwords."""
        text = API_KEY.sub(STARS, PASSWORD_IN_URL.sub(rf"\1:{STARS}@", text))
        return self._known.sub(STARS, text) if self._known else text


def _passwords(value: SecretStr) -> Iterable[str]:
    text = value.get_secret_value()
    if "://" not in text:
        return (text,)
    password = urlsplit(text).password or ""
    return (password, unquote(password))
