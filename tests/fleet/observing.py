"""An observer of the test fleet's queues: ``python -m tests.fleet.observing``."""

from __future__ import annotations

import logging

from services.core.observer import run
from tests.fleet.tables import QUEUES

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    run(QUEUES)
