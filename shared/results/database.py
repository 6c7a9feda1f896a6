"""The result store in a database: PostgreSQL where results have to last, SQLite for one machine."""

from __future__ import annotations

import os
from threading import Lock
from typing import Any

from celery.backends import database
from celery.backends.database.session import SessionManager
from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import InterfaceError, OperationalError

from shared.results.polling import PollingStore

CONNECT_WITHIN_SECONDS = 4
BUSY_SECONDS = 30
"""How long a writer waits for another; SQLite has one at a time."""
CONNECT_ARGUMENTS: dict[str, dict[str, Any]] = {
    "postgresql": {
        "connect_timeout": CONNECT_WITHIN_SECONDS,
        # A cut connection is given up after some seconds, and not after the quarter of an hour that Linux takes.
        "tcp_user_timeout": 10_000,
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
    },
    "sqlite": {"timeout": BUSY_SECONDS},
}
"""By the dialect of the URL."""


class Sessions(SessionManager):
    """Keeps one engine for each process, with its pool of connections.

    Celery makes a new engine and a new connection for each operation of a process that no pool has forked: in clients,
    and in workers of threads and greenlets.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._engines: dict[str, Engine] = {}
        self._sessions: dict[str, Any] = {}
        self._pid = os.getpid()
        self._opening = Lock()
        self._inherited: list[Any] = []

    def get_engine(self, dburi: str, **options: Any) -> Engine:
        """Return the engine of this process."""
        with self._opening:
            if self._pid != os.getpid():
                # Closing an inherited connection would end it for the parent too: it is kept and never touched.
                self._inherited.append(self._engines)
                self._engines, self._sessions, self._pid = {}, {}, os.getpid()
            if dburi not in self._engines:
                engine = create_engine(dburi, **options)
                if self.engine_callback is not None:
                    self.engine_callback(engine)
                self._engines[dburi] = engine
            return self._engines[dburi]

    def _after_fork(self) -> None:
        """Do nothing: a fork is seen by the process id, and the lock may be somebody's who is not there any more."""
        self._opening = Lock()


class DatabaseBackend(PollingStore, database.DatabaseBackend):
    """Celery's result store in a database: connects when it is first used, shows no result in its errors.

    Chords are watched by ``celery.chord_unlock``, which goes to the queue of the chord's body.
    """

    def __init__(self, *args: Any, url: str = "", engine_options: dict[str, Any] | None = None, **options: Any) -> None:
        given = engine_options or {}
        ours = CONNECT_ARGUMENTS.get(url.partition(":")[0].partition("+")[0], {})
        conf = options["app"].conf.database_engine_options or {}
        chosen = {**conf.get("connect_args", {}), **given.get("connect_args", {})}
        engine_options = {"hide_parameters": True, **given, "connect_args": {**ours, **chosen}}
        super().__init__(*args, url=url, engine_options=engine_options, **options)
        callback = self.session_manager.engine_callback
        self.session_manager: SessionManager = Sessions(engine_callback=callback)

    def close(self) -> None:
        """Close the connections of this process."""
        self.session_manager.invalidate(self.url)

    def is_out_of_reach(self, error: Exception) -> bool:
        """Tell whether the database does not answer, starts, or is busy."""
        return isinstance(error, OperationalError | InterfaceError)

    def _decode_stored_result(self, payload: Any) -> Any:
        """Decode a result; Celery would take what it can't decode for a pickle, which may run any code."""
        return self.decode(payload)
