"""The only wiring of ``core``: which ledger and which storage its use cases work on."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from shared.settings import load_settings
from shared.storage import Storage

if TYPE_CHECKING:
    from services.core.ledger.engine import Ledger


@cache
def ledger() -> Ledger:
    """Return the ledger of this process; connects when it is first used."""
    from services.core.ledger.engine import open_ledger  # noqa: PLC0415 - SQLAlchemy, which not every command needs

    return open_ledger(load_settings().ledger_url)


@cache
def storage() -> Storage:
    """Return the storage that the services share."""
    return Storage(load_settings().storage)
