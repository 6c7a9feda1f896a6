"""The result stores of a fleet: Redis, a database or memcached, and the storage that large results lie in."""

from __future__ import annotations
