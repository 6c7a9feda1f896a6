"""What the API works with; one object for all routes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request

from services.core.api.asking import Asking
from services.core.api.rates import Rates
from services.core.api.samples import Samples
from services.core.ledger.engine import Ledger
from services.core.usecases.api_keys import KeyEntry
from shared.settings import FleetSettings
from shared.storage import Storage


@dataclass(frozen=True, slots=True)
class ApiContext:
    """What the API works with."""

    ledger: Ledger
    storage: Storage
    settings: FleetSettings
    exposition: Callable[[], bytes]
    """Returns the metrics of this process, as Prometheus reads them."""
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the API is to end: streams end then."""
    streams: dict[str, int] = field(default_factory=dict)
    """How many streams each key has open."""
    rates: Rates = field(default_factory=lambda: Rates(per_second=1.0))
    asking: Asking = field(default_factory=Asking)
    """Runs what asks brokers."""
    samples: Samples = field(default_factory=Samples)
    """What was asked a moment ago."""


def context_of(request: Request) -> ApiContext:
    """Return the context of the app that serves a request."""
    found: ApiContext = request.app.state.context
    return found


def note_caller(scope: Any, caller: KeyEntry) -> None:
    """Note who asks, for the log."""
    scope["switchyard.caller"] = caller.id
