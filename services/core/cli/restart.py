"""What ``yard restart`` does and says."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic

import typer

from services.core.ledger.migrations import upgrade
from services.core.local.rolling import restart_one, restartable
from shared.settings import load_settings


def restart_all(names: Sequence[str]) -> None:
    """Restart processes one after the other, and say of each when it is ready again.

    Raises:
        NotRestarted: One is not ready, or there is none of such a name; the rest was not touched.
        LedgerUnavailable: The tables of the ledger could not be brought up to date; nothing was restarted.
        KeyboardInterrupt: The process whose turn it is comes back by itself.
    """
    settings = load_settings()
    home = settings.home.resolve()
    waiting = restartable(home, names)
    upgrade(settings.ledger_url)
    count = len(waiting)
    try:
        for number, name in enumerate(tuple(waiting), 1):
            typer.echo(f"  [{number}/{count}] {name} …", nl=False)
            begun = monotonic()
            restart_one(home, name)
            waiting.remove(name)
            typer.echo(f" ready after {monotonic() - begun:.1f} s")
    except BaseException:
        typer.echo()
        raise
    finally:
        if waiting:
            typer.echo(f"Not restarted, or not ready yet: {', '.join(waiting)}", err=True)
    typer.echo(f"Restarted: {count} processes.")
