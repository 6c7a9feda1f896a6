"""Collects the dead letters of a broker once, and may be killed on the way.

``python -m tests.fleet.collecting BROKER LEDGER-URL [taken | recorded]``
"""

from __future__ import annotations

import os
import signal
import sys

from services.core import collector
from services.core.app import app
from services.core.collector import Collector
from services.core.ledger.engine import open_ledger
from shared.letter_boxes import open_letter_box
from shared.secret import SecretStr


def die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def main(broker: str, url: str, dies: str = "") -> None:
    box = open_letter_box(app, broker)
    dying = {"taken": (collector, "collect_letters"), "recorded": (box, "remove")}
    if dies:
        setattr(*dying[dies], die)
    print(Collector(open_ledger(SecretStr(url)), 10_000).collect(box))


if __name__ == "__main__":
    main(*sys.argv[1:])
