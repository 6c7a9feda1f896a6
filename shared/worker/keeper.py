"""The thread of a worker that writes, renews and removes its records of acknowledged work, many at once."""

from __future__ import annotations

import logging
import mmap
import struct
from collections import deque
from collections.abc import Callable
from threading import Event
from time import sleep

import redis

from shared.health import clock
from shared.state import State
from shared.threads import start_thread
from shared.worker.acknowledged import AT_ONCE, LEASE_SECONDS, Acknowledged, Beginning, Holding

logger = logging.getLogger(__name__)

RENEW_EVERY_SECONDS = LEASE_SECONDS / 3
SURE_FOR_SECONDS = LEASE_SECONDS - 2.0
"""So long after the last renewal nobody can have taken over; the rest is for the steps that follow the question."""
TRY_AGAIN_SECONDS = 1.0
CLOSE_WITHIN_SECONDS = 3.0
LOOK_EVERY_SECONDS = 0.02

Answer = Callable[[bool | None], None]
"""Takes whether an execution may go on; ``None``: the state database is out of reach, and nothing may be acknowledged.

A record that it has all the same is removed before it counts as answering again.
"""


class SharedMoment:
    """A time by ``shared.health.clock`` that a process writes and its later forks read."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 8)
        self.set(clock())

    def set(self, moment: float) -> None:
        """Write the time."""
        struct.pack_into("d", self._memory, 0, moment)

    def get(self) -> float:
        """Read the time that was written last."""
        moment: float = struct.unpack_from("d", self._memory)[0]
        return moment


class RecordKeeper:
    """Keeps the records of one worker, with one round trip for whatever has come together since the last.

    While the state database is out of reach, what is to be acknowledged early can't begin; executions that merely were
    handed out again go on, for nothing is known against them.

    Args:
        state: Shared state.
        green: Whether the worker's tasks are greenlets; the thread is none, and can't be woken by them.
    """

    def __init__(self, state: State, *, green: bool) -> None:
        self._records = Acknowledged(state.apart())
        self._green = green
        self._renewed = clock()
        self._sure_since = SharedMoment()
        self._stood_still = False
        self._held: dict[Holding, None] = {}
        self._beginning: deque[tuple[Beginning, Answer]] = deque()
        self._ended: deque[Holding] = deque()
        self._wake = Event()
        self._closed = self._finished = False
        self.in_trouble = False
        """Whether the state database is out of reach, as far as anybody in this worker knows."""

    @property
    def sure(self) -> bool:
        """Whether no other worker can have taken over what this one holds; asks nobody, and works in a child too.

        A worker that has lost something can't be sure any more: a child that stood still as well may just go on.
        """
        return clock() - self._sure_since.get() < SURE_FOR_SECONDS

    def start(self) -> None:
        """Begin; the thread ends with the process."""
        start_thread(self._run, "acknowledged")

    def begin(self, beginning: Beginning, then: Answer) -> None:
        """Write a record and call ``then`` from the thread."""
        self._beginning.append((beginning, then))
        self._wake_up()

    def hold(self, holding: Holding) -> None:
        """Renew a record from now on."""
        self._held[holding] = None

    def let_go(self, holding: Holding) -> None:
        """Renew a record no longer, and leave it."""
        self._held.pop(holding, None)

    def end(self, holding: Holding) -> None:
        """Remove the record of an execution that ended."""
        self.let_go(holding)
        self._ended.append(holding)
        self._wake_up()

    def notice(self, error: Exception) -> None:
        """Note that the state database is out of reach; the thread finds out when it is back."""
        if not self.in_trouble:
            logger.warning(
                "Shared state is out of reach; what is acknowledged early waits: %s",
                type(error).__name__,
            )
        self.in_trouble = True

    def close(self) -> None:
        """Begin nothing more, and remove what ended; gives up after some seconds."""
        self._closed = True
        self._wake_up()
        deadline = clock() + CLOSE_WITHIN_SECONDS
        while not self._finished and clock() < deadline:
            sleep(LOOK_EVERY_SECONDS)

    def _run(self) -> None:
        closing = False
        while not closing:
            self._rest()
            closing = self._closed  # once more after that
            try:
                if self.in_trouble:
                    self._records.ask()
                self._work()
                self.in_trouble = False
            except (redis.RedisError, OSError) as error:
                self.notice(error)
                self._answer_without()
                sleep(TRY_AGAIN_SECONDS)
        self._finished = True

    def _rest(self) -> None:
        if self._green:
            sleep(TRY_AGAIN_SECONDS)
        else:
            self._wake.wait(TRY_AGAIN_SECONDS)
            self._wake.clear()

    def _wake_up(self) -> None:
        if not self._green:
            self._wake.set()

    def _work(self) -> None:
        started = clock()
        if started - self._renewed >= RENEW_EVERY_SECONDS:
            self._renew(started)
        while self._beginning and not self._closed:
            self._begin()
        self._release()

    def _renew(self, started: float) -> None:
        held = list(self._held)
        gone = self._records.renew(held)
        self._renewed = started
        for holding in held:
            if holding.message in gone and holding in self._held:
                logger.warning("Message %s was recorded as lost while this worker stood still.", holding.message)
                self._stood_still = True
                self.let_go(holding)
        if not self._stood_still:
            self._sure_since.set(started)

    def _begin(self) -> None:
        batch = [self._beginning.popleft() for _ in range(min(AT_ONCE, len(self._beginning)))]
        try:
            answers = self._records.begin([beginning for beginning, _ in batch])
        except BaseException:
            self._beginning.extendleft(reversed(batch))
            raise
        for (beginning, then), may in zip(batch, answers, strict=True):
            if may and beginning.kept:
                self.hold(beginning.holding)
            then(may)

    def _release(self) -> None:
        ended = [self._ended.popleft() for _ in range(len(self._ended))]
        try:
            self._records.release(ended)
        except BaseException:
            self._ended.extendleft(reversed(ended))
            raise

    def _answer_without(self) -> None:
        while self._beginning:
            beginning, then = self._beginning.popleft()
            if beginning.kept:
                self._ended.append(beginning.holding)
            then(None if beginning.kept else True)
