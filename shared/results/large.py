"""Large results: they lie in the storage of the fleet, and the result store holds a small reference.

A result is written as the store would have held it, below ``results/<hour>/<SHA-256>`` of the storage; see
``shared.object_store``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from kombu.exceptions import EncodeError

from shared.errors import FleetError, ResultUnavailable
from shared.object_store import DamagedObject, NoObject, ObjectStore, utc_now
from shared.storage import Storage

FOLDER = "results"
REFERENCE = "switchyard.large-result"
"""The one key of a reference, in a result store."""
INLINE_BYTES = 256 * 1024
"""Above this a result is large: far below memcached's megabyte, and little for Redis to copy to who waits."""


class ResultNotStored(FleetError, EncodeError):  # an EncodeError fails the task, as a result that is no JSON does
    """A large result can't be written to storage.  Stored as the failure of its task."""


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
        try:
            path = self._objects.put(encoded)
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
        try:
            return self._objects.get(path)
        except NoObject:
            raise ResultUnavailable("The result store refers to a large result by what is no path of one.") from None
        except OSError as error:
            raise ResultUnavailable(
                f"The result is large, {size} bytes, and lies in storage as {path}, which can't be read below "
                f"{self.storage.root}: {error.strerror}. It has expired, or this process does not see the storage that "
                "the worker wrote it to."
            ) from error
        except DamagedObject as error:
            raise ResultUnavailable(f"The large result {error}") from None

    def remove_older_than(self, age: timedelta) -> int:
        """Remove what was written longer ago than an age; it may stay up to an hour longer.

        Returns:
            How many hours of results were removed.
        """
        return self._objects.remove_older_than(age)

    @property
    def _objects(self) -> ObjectStore:
        return ObjectStore(self.storage, FOLDER, self.clock)


def is_reference(value: object) -> bool:
    """Tell whether a value looks like a reference to a large result."""
    return isinstance(value, dict) and REFERENCE in value
