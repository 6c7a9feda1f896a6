"""Reports the health of the API, as every process of the fleet does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from services.core.api.context import ApiContext
from services.core.ledger.access import can_be_read
from services.core.ledger.errors import LedgerError
from shared.health import clock
from shared.heartbeat import Heartbeat, Look

TURN_EVERY_SECONDS = 1.0


@asynccontextmanager
async def reporting(context: ApiContext) -> AsyncIterator[None]:
    """Report while the block runs: live while the loop turns, ready while the ledger can be read."""
    turned = clock()

    async def turn() -> None:
        nonlocal turned
        while True:
            turned = clock()
            await asyncio.sleep(TURN_EVERY_SECONDS)

    def look() -> Look:
        try:
            with context.ledger.reading() as session:
                can_be_read(session)
        except LedgerError as error:
            return Look(turned, str(error))
        return Look(turned)

    turning = asyncio.create_task(turn())
    heartbeat = Heartbeat("api", look, context.settings.run_folder)
    await asyncio.to_thread(heartbeat.start)
    try:
        yield
    finally:
        turning.cancel()
        with suppress(asyncio.CancelledError):
            await turning
        await asyncio.to_thread(heartbeat.end)
