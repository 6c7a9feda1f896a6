"""The URL of a result store, as guides write it, turned into what Celery and its drivers take."""

from __future__ import annotations

from celery.app.backends import BACKEND_ALIASES

from shared.errors import InvalidResultStore, did_you_mean

DATABASE_PREFIXES = frozenset({"db", "database"})
CACHE_PREFIX = "cache"
POSTGRES_SPELLINGS = frozenset({"postgres", "postgresql", "postgresql+psycopg", "postgresql+psycopg2"})
MEMCACHED_SPELLINGS = frozenset({"memcached", "memcache", "pymemcache", "pylibmc"})

POSTGRES = "db+postgresql://user:password@host:5432/database"
SQLITE = "db+sqlite:////absolute/path/results.db"
MEMCACHED = "cache+memcached://host:11211/"
REDIS = "redis://:password@host:6379/2"

SPELT = {
    "db": POSTGRES,
    "database": POSTGRES,
    "postgres": POSTGRES,
    "postgresql": POSTGRES,
    "mysql": "db+mysql://user:password@host:3306/database",
    "sqlite": SQLITE,
    "cache": MEMCACHED,
    **dict.fromkeys(MEMCACHED_SPELLINGS, MEMCACHED),
}
"""The right spelling, by a scheme that is none."""
UNFIT = {
    "rpc": "sends a result to the client that asked, over one broker; here tasks run on several, and others ask too",
    "amqp": "is none any more in Celery",
    "cache+memory": "keeps results in the memory of one process, where no other finds them",
}
"""Why a store that Celery knows, or knew, is none for a fleet."""


def understood(url: str) -> str:
    """Return the URL of a result store as Celery takes it.

    ``redis://``, ``rediss://`` and ``sentinel://`` stay as they are.  ``db+`` and ``database+`` both mean a database:
    ``postgresql://`` is spoken with psycopg 3, however it is spelt, SQLite needs a file, any other goes to SQLAlchemy
    as it is.  ``cache+memcached://`` means memcached.  The other stores of Celery pass untouched.

    Raises:
        InvalidResultStore: It leads to no result store; the message says how it is spelt, and shows nothing of it.
    """
    scheme, separator, rest = url.partition("://")
    prefix, _, kind = scheme.partition("+")
    if not separator:
        return _named(url)
    if scheme in UNFIT or prefix in UNFIT:
        raise _unfit(scheme if scheme in UNFIT else prefix)
    if prefix in DATABASE_PREFIXES and kind:
        return _database(kind, rest)
    if prefix == CACHE_PREFIX and kind:
        return _memcached(kind, rest)
    if prefix in SPELT:
        raise InvalidResultStore(f"A result store is not spelt {scheme}://. Write {SPELT[prefix]}")
    if prefix not in BACKEND_ALIASES:
        raise InvalidResultStore(f"There is no result store {scheme}://.{_meant(prefix)}")
    return url


def _named(name: str) -> str:
    """Check the name of a store without a URL: one of Celery's, of a package, or a class."""
    if name in UNFIT:
        raise _unfit(name)
    if name in SPELT:
        raise InvalidResultStore(f"The result store {name!r} needs a URL. Write {SPELT[name]}")
    return name


def _database(kind: str, rest: str) -> str:
    if kind in POSTGRES_SPELLINGS:
        return f"db+postgresql+psycopg://{rest}"
    if kind.partition("+")[0] == "sqlite" and rest.partition("?")[0] in {"", "/", "/:memory:"}:
        raise InvalidResultStore(f"Results in SQLite need a file that all processes share. Write {SQLITE}")
    return f"db+{kind}://{rest}"


def _memcached(kind: str, rest: str) -> str:
    if kind not in MEMCACHED_SPELLINGS:
        raise InvalidResultStore(f"There is no result store cache+{kind}://. Write {MEMCACHED}")
    if not rest.strip("/;"):
        raise InvalidResultStore(f"The URL of memcached names no server. Write {MEMCACHED}")
    return f"cache+memcached://{rest}"


def _unfit(scheme: str) -> InvalidResultStore:
    return InvalidResultStore(f"{scheme}:// is no result store for a fleet: it {UNFIT[scheme]}. Write {REDIS}")


def _meant(prefix: str) -> str:
    spelt = {**dict.fromkeys(BACKEND_ALIASES, ""), **SPELT}
    hint = did_you_mean(prefix, spelt)
    return hint or f" Write {REDIS}, {POSTGRES} or {MEMCACHED}"
