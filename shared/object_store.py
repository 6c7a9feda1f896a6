"""Objects in storage that are found by their content and removed by their age.

An object lies below ``<folder>/<hour>/<SHA-256>``: the same content lies there once an hour.  An hour's folder is
removed as a whole, so that nobody removes what another is about to refer to.
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

from shared.errors import FleetError
from shared.storage import Storage

logger = logging.getLogger(__name__)

HOUR = "%Y-%m-%dT%H"
HOUR_AND_DIGEST = re.compile(r"\d{4}-\d\d-\d\dT\d\d/([0-9a-f]{64})")


class NoObject(FleetError):
    """What should name an object names none."""


class DamagedObject(FleetError):
    """An object is not what its name says."""


def utc_now() -> datetime:
    """Give the present instant."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class ObjectStore:
    """Objects of one kind; every process that writes or reads them has to see the same storage."""

    storage: Storage
    folder: str
    clock: Callable[[], datetime] = utc_now

    def put(self, content: bytes) -> str:
        """Write an object; it is there whole or not at all.

        Returns:
            Its path, relative to the root of the storage.

        Raises:
            OSError: It can't be written.  Nothing of it is left.
        """
        path = f"{self.folder}/{self.clock().strftime(HOUR)}/{hashlib.sha256(content).hexdigest()}"
        if not self.storage.path(path).exists():
            self.storage.place(BytesIO(content), path)
        return path

    def get(self, path: object) -> bytes:
        """Read an object.

        Args:
            path: What ``put`` returned; anything else is refused before a file is touched.

        Raises:
            NoObject: That is no path of an object of this folder.
            OSError: It can't be read.
            DamagedObject: Its content is not what was written.
        """
        folder, _, name = path.partition("/") if isinstance(path, str) else ("", "", "")
        named = HOUR_AND_DIGEST.fullmatch(name) if folder == self.folder else None
        if named is None:
            raise NoObject("It is no path of an object.")
        content = self.storage.path(f"{folder}/{name}").read_bytes()
        if hashlib.sha256(content).hexdigest() != named.group(1):
            raise DamagedObject(f"{self.storage.root / folder / name} is damaged.")
        return content

    def remove_older_than(self, age: timedelta) -> int:
        """Remove what was written longer ago than an age; it may stay up to an hour longer.

        Returns:
            How many hours of objects were removed.
        """
        folder = self.storage.root / self.folder
        latest = (self.clock() - age - timedelta(hours=1)).strftime(HOUR)
        removed = 0
        for hour in sorted(folder.iterdir()) if folder.is_dir() else []:
            if hour.name > latest:
                break
            try:
                shutil.rmtree(hour)
                removed += 1
            except OSError as error:
                logger.warning("Old objects in %s can't be removed now: %s", hour, error)
        return removed
