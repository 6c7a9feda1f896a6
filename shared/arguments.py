"""Large arguments: they lie in the storage of the fleet, and the message holds a small reference.

An argument is written as JSON below ``arguments/<hour>/<SHA-256>`` of the storage; see ``shared.object_store``.  The
worker reads it before the body of the task runs.  It is not removed when it is read: a retry, a redelivery and a
replayed dead letter need it again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from kombu.exceptions import EncodeError
from kombu.serialization import dumps, loads

from shared.errors import ArgumentUnavailable, PublishError
from shared.object_store import DamagedObject, NoObject, ObjectStore, utc_now
from shared.storage import Storage

FOLDER = "arguments"
REFERENCE = "switchyard.stored"
"""The key by which a reference is known, in the arguments of a task."""
KEPT_FOR = timedelta(days=30)
"""Longer than a message lives: the longest of delays, retries and dead letters that a fleet should have."""
WORTH_STORING_BYTES = 16 * 1024
"""Smaller arguments stay in the message: a file for each costs more than it spares."""

Reference = dict[str, Any]


class ArgumentNotStored(PublishError, EncodeError):  # an EncodeError fails the task whose next step it is of
    """A large argument can't be written to storage; nothing was sent."""


@dataclass(frozen=True, slots=True)
class LargeArguments:
    """Where large arguments lie, and for how long.

    Every process that publishes them or works them off has to see the same storage.
    """

    storage: Storage
    kept_for: timedelta = KEPT_FOR
    clock: Callable[[], datetime] = utc_now

    def put(self, value: Any) -> Reference:
        """Write an argument as JSON; it is there whole or not at all.

        Returns:
            The reference: what the message holds in its place, JSON itself.

        Raises:
            kombu.exceptions.EncodeError: It is no JSON.
            ArgumentNotStored: It can't be written.  Nothing of it is left.
        """
        return self._put(encoded(value))

    def offloaded(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """Write the large ones among the arguments of a task, and return all with references in their place.

        Raises:
            kombu.exceptions.EncodeError: One is no JSON.
            ArgumentNotStored: One can't be written.
        """
        return [self._offload(each) for each in args], {name: self._offload(each) for name, each in kwargs.items()}

    def get(self, reference: Reference) -> Any:
        """Read an argument.

        Raises:
            ArgumentUnavailable: It has expired, or this process does not see the storage that it was written to.
        """
        path, size = reference[REFERENCE], reference.get("bytes")
        try:
            content = self._objects.get(path)
        except NoObject:
            raise ArgumentUnavailable(
                f"An argument refers to storage by what is no path there; {REFERENCE!r} is a key of ours alone."
            ) from None
        except OSError as error:
            raise ArgumentUnavailable(
                f"An argument is large, {size} bytes, and lies in storage as {path}, which can't be read below "
                f"{self.storage.root}: {error.strerror}. It was removed after {self.kept_for}, or this process does "
                "not see the storage of whoever published the task."
            ) from error
        except DamagedObject as error:
            raise ArgumentUnavailable(f"The large argument {error}") from None
        return loads(content, "application/json", "utf-8", accept=["application/json"])

    def remove_expired(self) -> int:
        """Remove what is older than it is kept; it may stay up to an hour longer.

        Returns:
            How many hours of arguments were removed.
        """
        return self._objects.remove_older_than(self.kept_for)

    def _offload(self, value: Any) -> Any:
        if is_reference(value):
            return value
        content = encoded(value)
        return value if len(content) < WORTH_STORING_BYTES else self._put(content)

    def _put(self, content: bytes) -> Reference:
        try:
            path = self._objects.put(content)
        except OSError as error:
            raise ArgumentNotStored(
                f"An argument is large, {len(content)} bytes, and can't be written to {self.storage.root}: {error}. "
                "Let this process write there; nothing was sent."
            ) from error
        return {REFERENCE: path, "bytes": len(content)}

    @property
    def _objects(self) -> ObjectStore:
        return ObjectStore(self.storage, FOLDER, self.clock)


def encoded(value: Any) -> bytes:
    """Return a value as JSON.

    Raises:
        kombu.exceptions.EncodeError: It is none.
    """
    _, _, content = dumps(value, serializer="json")
    return content.encode() if isinstance(content, str) else bytes(content)


def is_reference(value: object) -> bool:
    """Tell whether a value is a reference to a large argument."""
    return isinstance(value, dict) and REFERENCE in value


def resolved(value: Any, large: LargeArguments | None) -> Any:
    """Return a value with what its references stand for, however deep in lists and dictionaries they are.

    A value without any is returned as it is.  Those in a signature stay: the task that it is of needs them.

    Args:
        value: Arguments of a task.
        large: Where large arguments lie; ``None`` where this process has no storage.

    Raises:
        ArgumentUnavailable: One can't be read here.
    """
    if not _has_reference(value):
        return value
    if type(value) is dict:
        if REFERENCE not in value:
            return {key: resolved(each, large) for key, each in value.items()}
        if large is None:
            raise ArgumentUnavailable(
                f"An argument is large, {value.get('bytes')} bytes, and lies in storage, which this process does not "
                "have: give its FleetCelery large_arguments=, over the storage of whoever published the task."
            )
        return large.get(value)
    return type(value)(resolved(each, large) for each in value)


def _has_reference(value: Any) -> bool:
    if type(value) is dict:
        return REFERENCE in value or ("subtask_type" not in value and any(map(_has_reference, value.values())))
    return type(value) in (list, tuple) and any(map(_has_reference, value))
