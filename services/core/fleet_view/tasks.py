"""Tasks of the history: searched, shown, revoked."""

from __future__ import annotations

from collections.abc import Sequence

from services.core.history import search
from services.core.history.search import HistoryStatus, TaskFilter, TaskPage
from services.core.history.sightings import Sighting
from services.core.ledger.engine import Ledger
from shared.celery_app import FleetCelery


def list_tasks(ledger: Ledger, which: TaskFilter, *, cursor: str | None = None, limit: int = 100) -> TaskPage:
    """List tasks, the newest first; see ``services.core.history.search.search_tasks``.

    Raises:
        InvalidSubmission: The cursor is none of ours.
        LedgerUnavailable: The database is out of reach.
    """
    with ledger.reading() as session:
        return search.search_tasks(session, which, cursor, limit)


def the_task(ledger: Ledger, task_id: str) -> Sighting:
    """Return what is known of a task.

    Raises:
        UnknownId: Nobody told of it, or too long ago.
        LedgerUnavailable: The database is out of reach.
    """
    with ledger.reading() as session:
        return search.the_task(session, task_id)


def status_of_history(ledger: Ledger) -> HistoryStatus:
    """Tell whether the history is kept now.

    Raises:
        LedgerUnavailable: The database is out of reach.
    """
    with ledger.reading() as session:
        return search.history_status(session, ledger.clock())


def revoke_tasks(app: FleetCelery, ids: Sequence[str], *, terminate: bool = False) -> None:
    """Have no worker run tasks, wherever they wait; those that wait for their time are taken out of shared state.

    Workers forget what they were told when all of them have ended, as Celery's do.

    Args:
        app: Any app of the fleet.
        ids: Of the tasks.
        terminate: Also end those that run, where their pool can: prefork.

    Raises:
        kombu.exceptions.OperationalError: No broker could be told, or shared state could not be asked.
    """
    app.control.revoke(list(ids), terminate=terminate)
