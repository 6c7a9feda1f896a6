"""relier's own app with the task of the scenarios, as its README has it; runs in ``var/relier`` alone.

For ``celery -A tests.chaos.relier.app worker``.
"""

from __future__ import annotations

import asyncio
from typing import Any

from celery.signals import task_received

from tests.chaos.records import ENDED, RECEIVED, STARTED, note
from tests.chaos.setup import Setup, load_setup

WORK = "chaos.work"
HARD_TIMEOUT_SECONDS = 30


def app_and_work(setup: Setup) -> tuple[Any, Any]:
    """Return relier's app and the task, and have its workers note what they receive."""
    from relier import rl_task  # type: ignore[import-not-found]  # noqa: PLC0415 - the project's environment has none
    from relier.tasks.app import celery_app  # type: ignore[import-not-found]  # noqa: PLC0415 - as above

    @rl_task(name=WORK, idempotent=True, hard_timeout=HARD_TIMEOUT_SECONDS)
    async def work(_number: int, seconds: float, ctx: Any) -> None:
        note(setup.records, setup.worker, STARTED, ctx.task_id)
        await asyncio.sleep(seconds)
        note(setup.records, setup.worker, ENDED, ctx.task_id)

    def received(request: Any, **_: Any) -> None:
        note(setup.records, setup.worker, RECEIVED, request.id)

    task_received.connect(received, weak=False)
    return celery_app, work


def __getattr__(name: str) -> Any:
    """Give relier's app when Celery's command line asks for it."""
    if name != "app":
        raise AttributeError(name)
    globals()["app"], _ = made = app_and_work(load_setup())
    return made[0]
