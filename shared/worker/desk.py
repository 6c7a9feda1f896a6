"""Where the tasks of a worker have their messages acknowledged while they run.

Only the loop of a worker may use its connection to the broker.  A child process asks it through a socket that it
inherits, and sends along the socket for the answer; a thread hands it a question; in solo and gevent the task itself
may do it.

The answer and the deed agree, although the loop may come late: a question is taken once, either by who serves it or,
when the wait is over, by its asker, and then nobody acknowledges any more.  One who finds it taken waits for what comes
of it.  What stays open is the time in which the worker itself waits for the broker: should the worker die in it, or
the broker keep it for longer than ``TOLD_WITHIN_SECONDS``, the answer is no although the broker may have heard.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable
from threading import Event, Lock, Thread
from typing import Any, Protocol

logger = logging.getLogger(__name__)

ANSWER_WITHIN_SECONDS = 10.0
"""After this time a task goes on without an answer, and the worker then leaves its message alone."""
TOLD_WITHIN_SECONDS = 30.0
"""How long a task waits for the outcome when its question was taken in time: longer than a transport waits for its
broker to take an acknowledgement."""
LOOK_EVERY_SECONDS = 0.2
FREE, TOLD, NOT_TOLD = b"?", b"1", b"0"
LARGEST_QUESTION = 4096

Tell = Callable[[str, str], bool]
"""Acknowledges the message of a task id and an execution; answers whether the broker was told."""


class Desk(Protocol):
    """Takes a task's question and returns whether the broker was told."""

    def ask(self, task_id: str, execution: str) -> bool:
        """Have a message acknowledged; called by the running task."""

    def watch(self, hub: Any) -> None:
        """Let the loop serve questions; called again after each reconnect."""

    def loop_ended(self) -> None:
        """Serve questions without the loop, while the last tasks run."""

    def close(self) -> None:
        """Serve no more questions."""


class DirectDesk:
    """For solo and gevent, where the task runs beside the loop or in its place."""

    def __init__(self, tell: Tell) -> None:
        self.ask = tell

    def watch(self, hub: Any) -> None:
        """Do nothing."""

    def loop_ended(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class Question:
    """A question of a thread: whoever takes it, the loop or at last the asker, is the only one to do so."""

    def __init__(self, task_id: str, execution: str) -> None:
        self.told = False
        self._about = task_id, execution
        self._free = Lock()
        self._answered = Event()

    def take(self) -> bool:
        """Take the question, unless somebody has."""
        return self._free.acquire(blocking=False)

    def serve(self, tell: Tell) -> None:
        """Take and answer it."""
        if self.take():
            self.answer(tell)

    def answer(self, tell: Tell) -> None:
        """Answer it; only for who took it."""
        try:
            self.told = tell(*self._about)
        finally:
            self._answered.set()

    def wait(self, seconds: float) -> bool:
        """Wait for the answer; returns whether there is one."""
        return self._answered.wait(seconds)


class ThreadDesk:
    """For the pool of threads."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._hub: Any = None
        self._loop_turns = True
        self.one_at_a_time = Lock()
        """Held by whoever uses the connection when the loop has ended."""

    def ask(self, task_id: str, execution: str) -> bool:
        """Have the loop acknowledge a message; without a loop, once it has ended, do it here."""
        question = Question(task_id, execution)
        if self._hub is not None:
            self._hub.call_soon(question.serve, self._tell)
        waited = 0.0
        while self._loop_turns and waited < ANSWER_WITHIN_SECONDS and not question.wait(LOOK_EVERY_SECONDS):
            waited += LOOK_EVERY_SECONDS
        if not question.take():
            question.wait(TOLD_WITHIN_SECONDS)
        elif not self._loop_turns:
            with self.one_at_a_time:
                question.answer(self._tell)
        return question.told

    def watch(self, hub: Any) -> None:
        """Remember the loop."""
        self._hub = hub

    def loop_ended(self) -> None:
        """Let the threads do it themselves, one at a time."""
        self._loop_turns = False

    def close(self) -> None:
        """Do nothing."""


class ProcessDesk:
    """For the pool of processes, made before it forks them."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._pid = os.getpid()
        self._asking, self._serving = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._asking.settimeout(ANSWER_WITHIN_SECONDS)
        self._serving.setblocking(False)
        self._closed = Event()
        self._server: Thread | None = None
        self.one_at_a_time = Lock()
        """Held by whoever uses the connection when the loop has ended."""

    def ask(self, task_id: str, execution: str) -> bool:
        """Have the parent process acknowledge a message.

        The socket for the answer holds one byte, which only one process can read: who has it has taken the question.
        """
        if os.getpid() == self._pid:
            return self._tell(task_id, execution)
        ours, theirs = socket.socketpair()
        with ours, theirs:
            try:
                ours.send(FREE)
                question = f"{task_id}\n{execution}".encode()
                socket.send_fds(self._asking, [question], [theirs.fileno()])
                return self._wait(ours, theirs)
            except OSError as error:
                logger.warning("The worker did not say whether task %s is acknowledged: %r", task_id, error)
                return False

    @staticmethod
    def _wait(ours: socket.socket, theirs: socket.socket) -> bool:
        ours.settimeout(ANSWER_WITHIN_SECONDS)
        try:
            return ours.recv(1) == TOLD
        except TimeoutError:
            if taken(theirs):
                raise
        ours.settimeout(TOLD_WITHIN_SECONDS)
        return ours.recv(1) == TOLD

    def watch(self, hub: Any) -> None:
        """Read questions in the loop."""
        hub.add_reader(self._serving, self.serve)

    def loop_ended(self) -> None:
        """Read questions in a thread, while the children do their last tasks."""
        self._server = Thread(target=self._serve_on, name="acknowledging", daemon=True)
        self._server.start()

    def close(self) -> None:
        """End that thread."""
        self._closed.set()
        if self._server is not None:
            self._server.join(ANSWER_WITHIN_SECONDS)

    def serve(self, *_fired: Any) -> None:
        """Answer all questions that have come."""
        while True:
            try:
                question, descriptors, _, _ = socket.recv_fds(self._serving, LARGEST_QUESTION, 1)
            except BlockingIOError:
                return
            for descriptor in descriptors:
                with socket.socket(fileno=descriptor) as asker:
                    self._answer(asker, question.decode())

    def _answer(self, asker: socket.socket, question: str) -> None:
        if not taken(asker) or is_gone(asker):
            return
        told = self._tell(*question.split("\n", 1))
        try:
            asker.send(TOLD if told else NOT_TOLD)
        except OSError as error:
            logger.warning("A task did not wait to hear whether it is acknowledged (%s): %r", told, error)

    def _serve_on(self) -> None:
        while not self._closed.wait(LOOK_EVERY_SECONDS):
            with self.one_at_a_time:
                self.serve()


def taken(end: socket.socket) -> bool:
    """Take the question of a socket; tell whether nobody had."""
    try:
        return end.recv(1, socket.MSG_DONTWAIT) == FREE
    except BlockingIOError:
        return False


def is_gone(end: socket.socket) -> bool:
    """Tell whether the other end of a socket that says nothing more is closed, as by the death of its process."""
    try:
        return end.recv(1, socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True
