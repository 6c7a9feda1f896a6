"""The only wiring of ``core``: which ledger and which storage its use cases work on."""

from __future__ import annotations

from functools import cache

from services.core.ledger.engine import Ledger, open_ledger
from shared.settings import load_settings
from shared.storage import Storage


@cache
def ledger() -> Ledger:
    """Return the ledger of this process; connects when it is first used."""
    return open_ledger(load_settings().ledger_url)


@cache
def storage() -> Storage:
    """Return the storage that the services share."""
    return Storage(load_settings().storage)
