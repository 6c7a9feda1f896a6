"""Large results: they lie in the storage of the fleet, and the result store holds a small reference.

A result is written as the store would have held it, below ``results/<hour>/<SHA-256>`` of the storage: the same result
of many tasks lies there once an hour.  An hour's folder is removed as a whole, so that nobody removes what another is
about to refer to.
"""

from __future__ import annotations

import hashlib
import logging
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

from kombu.exceptions import EncodeError

from shared.errors import FleetError, ResultUnavailable
from shared.storage import Storage

logger = logging.getLogger(__name__)

FOLDER = "results"
HOUR = "%Y-%m-%dT%H"
REFERENCE = "switchyard.large-result"
"""The one key of a reference, in a result store."""
OBJECT = re.compile(r"results/\d{4}-\d\d-\d\dT\d\d/([0-9a-f]{64})")
INLINE_BYTES = 256 * 1024
"""Above this a result is large: far below memcached's megabyte, and little for Redis to copy to who waits."""


class ResultNotStored(FleetError, EncodeError):  # an EncodeError fails the task, as a result that is no JSON does
    """A large result can't be written to storage.  Stored as the failure of its task."""


def utc_now() -> datetime:
    """Give the present instant."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class LargeResults:
    """Where large results lie, and which are large.

    Every process that stores or reads them has to see the same storage.
    """

    storage: Storage
    inline_bytes: int = INLINE_BYTES
    """Encoded results up to this stay in the result store."""
    clock: Callable[[], datetime] = utc_now

    def put(self, encoded: bytes) -> dict[str, Any]:
        """Write an encoded result; it is there whole or not at all.

        Returns:
            The reference: what the result store holds in its place.

        Raises:
            ResultNotStored: It can't be written.  Nothing of it is left.
        """
        path = f"{FOLDER}/{self.clock().strftime(HOUR)}/{hashlib.sha256(encoded).hexdigest()}"
        try:
            if not self.storage.path(path).exists():
                self.storage.place(BytesIO(encoded), path)
        except OSError as error:
            raise ResultNotStored(
                f"The result is large, {len(encoded)} bytes, and can't be written to {self.storage.root}: {error}. "
                "Let the worker write there, or return less."
            ) from error
        return {REFERENCE: path, "bytes": len(encoded)}

    def get(self, reference: dict[str, Any]) -> bytes:
        """Read an encoded result.

        Raises:
            ResultUnavailable: It has expired, or this process does not see the storage that it was written to.
        """
        path, size = reference[REFERENCE], reference.get("bytes")
        named = OBJECT.fullmatch(path) if isinstance(path, str) else None
        if named is None:
            raise ResultUnavailable("The result store refers to a large result by what is no path of one.")
        try:
            encoded = self.storage.path(path).read_bytes()
        except OSError as error:
            raise ResultUnavailable(
                f"The result is large, {size} bytes, and lies in storage as {path}, which can't be read below "
                f"{self.storage.root}: {error.strerror}. It has expired, or this process does not see the storage that "
                "the worker wrote it to."
            ) from error
        if hashlib.sha256(encoded).hexdigest() != named.group(1):
            raise ResultUnavailable(f"The large result {self.storage.root / path} is damaged.")
        return encoded

    def remove_older_than(self, age: timedelta) -> int:
        """Remove what was written longer ago than an age; it may stay up to an hour longer.

        Returns:
            How many hours of results were removed.
        """
        folder = self.storage.root / FOLDER
        latest = (self.clock() - age - timedelta(hours=1)).strftime(HOUR)
        removed = 0
        for hour in sorted(folder.iterdir()) if folder.is_dir() else []:
            if hour.name > latest:
                break
            try:
                shutil.rmtree(hour)
                removed += 1
            except OSError as error:
                logger.warning("Old large results in %s can't be removed now: %s", hour, error)
        return removed


def is_reference(value: object) -> bool:
    """Tell whether a value looks like a reference to a large result."""
    return isinstance(value, dict) and REFERENCE in value
