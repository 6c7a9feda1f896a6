"""Redis databases that a test has to itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import redis

FIRST = 5
"""Those below are the test fleet's."""


@contextmanager
def own_database(url: str, number: int = FIRST) -> Iterator[str]:
    """Give the URL of another database of a server; it is emptied afterwards."""
    own = urlsplit(url)._replace(path=f"/{number}").geturl()
    with redis.Redis.from_url(own) as client:
        try:
            yield own
        finally:
            client.flushdb()
