"""What a worker imports."""

from __future__ import annotations

import subprocess
import sys

import pytest

from shared.names import ServiceName

PROGRAM = """
import sys
import shared.celery_app, shared.fleet, shared.brokers, shared.worker.health, shared.worker.metrics_server
from services.{service}.app import app
from shared.settings import load_settings
app.loader.import_default_modules()
load_settings()
print(*sorted({{name.partition(".")[0] for name in sys.modules}} & {libraries}))
"""
OF_THE_API = {"fastapi", "pydantic", "pydantic_core", "starlette", "uvicorn"}


@pytest.mark.parametrize("service", ServiceName)
def test_a_worker_imports_nothing_of_the_http_api(service, tmp_path):
    """Each worker would pay for it: pydantic takes some 7 MB of memory, and a tenth of a second of its start."""
    program = PROGRAM.format(service=service, libraries=OF_THE_API)
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=60, cwd=tmp_path
    )
    assert done.stdout == "\n"
