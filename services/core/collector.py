"""The collector: moves dead letters from every broker into the ledger, where they can be searched and replayed."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress
from threading import Event, Thread

from services.core.app import app
from services.core.ledger.engine import Ledger
from services.core.ledger.errors import LedgerUnavailable
from services.core.usecases.collect_letters import collect_letters
from shared.dead_letters import DeadLetter, Reason
from shared.letter_boxes import LetterBox, open_letter_box

logger = logging.getLogger(__name__)

AT_ONCE = 50
LOOK_EVERY_SECONDS = 1.0
REST_SECONDS = 2.0
"""How long a broker that does not answer, or the ledger, is left alone."""
END_WITHIN_SECONDS = 5.0


class Collector:
    """Collects from each broker in a thread of its own, so that one that is away holds up no other.

    A letter leaves its broker when the ledger has it.  Whoever is killed between the two leaves it at both places,
    and the next one finds that the ledger knows it.  Any number may run at once.

    Args:
        ledger: Where they go.
        most: How many of a queue the ledger keeps.
    """

    def __init__(self, ledger: Ledger, most: int) -> None:
        self._ledger = ledger
        self._most = most
        self._ended = Event()
        self._threads = [
            Thread(target=self._run, args=(alias,), name=f"dead letters of {alias}", daemon=True)
            for alias in app.brokers
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """End when what is in hand is done, and within some seconds."""
        self._ended.set()
        for thread in self._threads:
            thread.join(END_WITHIN_SECONDS)

    def _run(self, alias: str) -> None:
        box: LetterBox | None = None
        complained, pause = False, 0.0
        while not self._ended.wait(pause):
            try:
                box = box or open_letter_box(app, alias)
                pause = 0.0 if self.collect(box) == AT_ONCE else LOOK_EVERY_SECONDS
                complained = False
            except Exception as error:  # noqa: BLE001 - whatever a driver or the ledger raises: this thread goes on
                level = logging.DEBUG if complained else logging.WARNING
                logger.log(level, "Dead letters stay on broker %s: %s: %s", alias, type(error).__name__, error)
                _close(box)
                box, complained, pause = None, True, REST_SECONDS
        _close(box)

    def collect(self, box: LetterBox) -> int:
        """Move the oldest letters of a broker into the ledger; return how many were taken."""
        letters = box.take(AT_ONCE)
        if letters:
            new = self._record(letters)
            box.remove()
            if new:
                logger.info("%d dead letters are in the ledger: %s", new, ", ".join(sorted({e.queue for e in letters})))
        return len(letters)

    def _record(self, letters: Sequence[DeadLetter]) -> int:
        """Record letters; one that the ledger refuses holds up no other, and is recorded as what can't be read."""
        try:
            return collect_letters(self._ledger, letters, self._most)
        except LedgerUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a database has against a value
            if len(letters) > 1:
                return sum(self._record([letter]) for letter in letters)
            [refused] = letters
            logger.warning("The ledger refuses the dead letter of task %s: %s", refused.id, type(error).__name__)
            return collect_letters(self._ledger, [unrecordable(refused, error)], self._most)


def unrecordable(letter: DeadLetter, error: Exception) -> DeadLetter:
    """Return what is recorded in the place of a dead letter that the ledger refuses: all of it, as its body."""
    return DeadLetter(
        queue=letter.queue,
        broker=letter.broker,
        reason=Reason.UNDECODABLE,
        detail=f"The ledger refused the dead letter that is the body of this one: {type(error).__name__}",
        at=letter.at,
        body=letter.dumps(),
    )


def _close(box: LetterBox | None) -> None:
    if box is not None:
        with suppress(Exception):
            box.close()
