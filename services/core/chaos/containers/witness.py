"""A program inside the networks of the fleet that sees what is counted, and answers questions on it.

``python -m services.core.chaos.containers.witness WORKER...`` reads a question from each line of its input.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from services.core.bootstrap import ledger, storage
from services.core.chaos.checker import Checker
from services.core.chaos.containers.questions import Question, dump_tally, load_receipts
from services.core.chaos.mail_folder import MailFolder
from services.core.chaos.pulse import Look, Looker, Pulse, look_at, pulses
from services.core.chaos.waiting import count_dead_letters, count_outbox
from services.core.ledger.errors import LedgerError
from shared.settings import load_settings

METRICS_PORT = 9100
MAIL_FOLDER = Path("/srv/mail")
RELAY = "relay"


def main(workers: Iterable[str]) -> None:
    """Answer until the input ends."""
    lookers: dict[str, Looker] = {name: partial(look_at, f"http://{name}:{METRICS_PORT}/metrics") for name in workers}
    witness = Witness({**lookers, RELAY: _look_at_relay})
    for line in sys.stdin:
        print(json.dumps(witness.answer(json.loads(line))), flush=True)


class Witness:
    """Answers questions.

    Args:
        lookers: Look at each process; in threads, so that one that is frozen holds no answer up.
    """

    def __init__(self, lookers: Mapping[str, Looker]) -> None:
        self._pulses: dict[str, Pulse] = pulses(lookers)
        self._mail = MailFolder(MAIL_FOLDER)
        self._checker = Checker(ledger(), storage(), self._mail)

    def answer(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Answer a question; of what the database would have to tell while it is away, say so."""
        try:
            return {"answer": self._answer(Question(asked["question"]), asked)}
        except (LedgerError, SQLAlchemyError) as error:
            return {"unavailable": str(error)}

    def _answer(self, question: Question, asked: Mapping[str, Any]) -> Any:
        match question:
            case Question.LOOK:
                return self._pulses[asked["of"]].last
            case Question.ARRIVED:
                return self._mail.read()
            case Question.CHECK:
                return dump_tally(self._checker.check(load_receipts(asked["receipts"])))
            case Question.DEAD_LETTERS:
                return count_dead_letters(ledger(), load_settings())


def _look_at_relay() -> Look:
    return Look(count_outbox(ledger()), 0.0)


if __name__ == "__main__":
    main(sys.argv[1:])
