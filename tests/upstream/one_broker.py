"""The base line's worker: stock Celery, configured as Celery's ``t/integration/conftest.py`` does it."""

from __future__ import annotations

import os
from importlib import import_module

from celery import Celery

app = Celery("one", broker=os.environ["TEST_BROKER"], backend=os.environ["TEST_BACKEND"], set_as_current=False)
app.conf.update(result_extended=True, task_create_missing_queues=False)
app.register_task(import_module("t.integration.tasks").ClassBasedAutoRetryTask())
