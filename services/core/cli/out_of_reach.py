"""The error for a broker that could not be reached from the command line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from kombu.exceptions import OperationalError

from shared.errors import FleetError


class OutOfReach(FleetError):
    """A broker does not answer; what was to be published may not be in it."""


@contextmanager
def publishing(what: str) -> Iterator[None]:
    """Turn a broker's failure into one line that says what to do.

    Raises:
        OutOfReach: The broker refused or did not answer.
    """
    try:
        yield
    except OperationalError as error:
        raise OutOfReach(f"{what} A broker does not answer ({error}). Is the fleet up? See `yard status`.") from error
