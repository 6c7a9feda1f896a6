"""What happens by the clock: the entries of ``celery -A services.core beat``."""

from __future__ import annotations

from typing import Any

from celery.schedules import crontab

from shared.names import TaskName

SCHEDULE: dict[str, dict[str, Any]] = {
    "advance campaigns that a crash left standing": {
        "task": TaskName.CORE_ADVANCE_STALLED.value,
        "schedule": crontab(minute="*/5"),
    },
    "remove the files of old jobs": {
        "task": TaskName.CORE_CLEAN_ARTEFACTS.value,
        "schedule": crontab(hour="3", minute="30"),
    },
    "remove what ended long ago from the ledger": {
        "task": TaskName.CORE_CLEAN_LEDGER.value,
        "schedule": crontab(hour="3", minute="45"),
    },
    "remove dead letters that are too old": {
        "task": TaskName.CORE_CLEAN_DEAD_LETTERS.value,
        "schedule": crontab(minute="20"),
    },
    "remove tasks from the history that are too old": {
        "task": TaskName.CORE_CLEAN_HISTORY.value,
        "schedule": crontab(minute="50"),
    },
    # Celery's own name of the entry: where results do not vanish by themselves, beat would add a second.
    "celery.backend_cleanup": {
        "task": "celery.backend_cleanup",
        "schedule": crontab(hour="4", minute="0"),
    },
}
