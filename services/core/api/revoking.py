"""Takes back tasks of work that was called off."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial

from services.core.api.asking import Asking
from services.core.app import app

logger = logging.getLogger(__name__)


async def revoke(asking: Asking, task_ids: Sequence[str]) -> None:
    """Tell all workers not to run tasks; what runs ends.

    The ledger says that they were called off, so a broker that can't be told costs work that nobody needs, and no more.
    """
    if not task_ids:
        return
    try:
        await asking.run(partial(app.control.revoke, list(task_ids)))
    except Exception as error:  # noqa: BLE001 - whatever a driver raises
        logger.warning("Not all workers were told to leave out %d tasks: %s", len(task_ids), type(error).__name__)
