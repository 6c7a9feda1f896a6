"""The end of a worker: running work has a grace period to end, and what has not ended by then goes back.

| asked by                                    | running work                                                       |
|---------------------------------------------|--------------------------------------------------------------------|
| SIGTERM, Ctrl+C, ``celery control shutdown``| ends, within ``FleetWorker.grace``: the hard time limit, or 60 s   |
| SIGQUIT, Ctrl+C again                       | goes back at once, or after ``worker_soft_shutdown_timeout``       |

Work that waits in the worker goes back at once in either case.  The end of the grace period is that of the process, in
whatever state it is: a task may compute in the loop itself, a thread can't be interrupted, a broker may be frozen.  The
whole takes no longer than the grace period and ``AFTER_GRACE_SECONDS``; who kills workers has to wait as long.

Celery's own cold shutdown (SIGQUIT) is not used: in gevent and solo it acknowledges what it interrupts, and in threads
it interrupts nothing.
"""

from __future__ import annotations

import faulthandler
import logging
import math
import os
import signal
import sys
from contextlib import suppress
from time import sleep
from typing import Any

import redis
from billiard import active_children
from billiard.common import REMAP_SIGTERM
from celery import bootsteps
from celery.apps.worker import install_worker_term_handler, safe_say
from celery.platforms import EX_FAILURE
from celery.worker import state

from shared.health import clock
from shared.queues import AFTER_GRACE_SECONDS
from shared.threads import start_thread
from shared.worker.forking import FORKS
from shared.worker.pools.last_tasks import asked_to_stop
from shared.worker.suspects import taken

logger = logging.getLogger(__name__)

STDERR = 2
LOOK_EVERY_SECONDS = 0.5
END_WITHIN_SECONDS = AFTER_GRACE_SECONDS - 3.0
"""After this time the process ends even if not all could be given back."""


class Stopping(bootsteps.StartStopStep):
    """Watches the grace period of a worker, from a thread that starts after the pool has forked."""

    requires = FORKS

    def start(self, worker: Any) -> None:
        """Begin to watch."""
        worker.grace_period.watch()


class GracePeriod:
    """Ends a worker that was asked to stop and has not done so in time.

    Args:
        worker: The worker.
        seconds: How long running work gets to end.
    """

    def __init__(self, worker: Any, seconds: float) -> None:
        self.seconds = seconds
        self._worker = worker
        self._began = False
        self._ends = math.inf
        self._watches = True

    def watch(self) -> None:
        """Begin to watch; the thread ends with the process."""
        start_thread(self._run, "grace")

    def shorten(self, seconds: float) -> None:
        """Give running work so many seconds from now; safe in a signal handler."""
        self._ends = min(self._ends, clock() + seconds)

    def end(self) -> None:
        """Watch no more: the worker has stopped."""
        self._watches = False

    def _run(self) -> None:
        while self._watches:
            if not self._began and self._stops():
                self._began = True
                self.shorten(self.seconds)
            if clock() >= self._ends:
                self._end_process()
            sleep(LOOK_EVERY_SECONDS)

    def _stops(self) -> bool:
        return asked_to_stop() or self._worker.blueprint.state != bootsteps.RUN

    def _end_process(self) -> None:
        """Give back what this worker holds, and end it, whatever its other threads do."""
        faulthandler.dump_traceback_later(END_WITHIN_SECONDS, exit=True, file=STDERR)
        state.should_terminate = EX_FAILURE  # the children that are killed now did not die of their tasks
        for child in active_children():
            with suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGKILL)
        logger.warning("The grace period is over; %d tasks go back to their queues.", len(taken()))
        try:
            self._give_back()
        except (redis.RedisError, OSError) as error:
            logger.warning("They can't be given back, and go back when their leases run out: %s", type(error).__name__)
        finally:
            os._exit(EX_FAILURE)

    def _give_back(self) -> None:
        """Give back what is held on Redis; RabbitMQ takes it back when the connection ends with the process."""
        if not self._worker.pool.is_green:  # the client of shared state is that of the greenlets
            self._worker.isolation.give_back(taken())
        leases = self._worker.consumer.leases
        if leases is not None:
            leases.give_back()


def install_signal_handlers(worker: Any) -> None:
    """Have SIGQUIT, and a second Ctrl+C, give running work back; both stop the worker as SIGTERM does otherwise.

    Celery's ``REMAP_SIGTERM=SIGQUIT`` in the environment makes SIGTERM do the same.
    """

    def hurry(_: Any) -> None:
        worker.grace_period.shorten(worker.app.conf.worker_soft_shutdown_timeout)

    def interrupt(_: Any) -> None:
        safe_say("worker: Hitting Ctrl+C again gives running tasks back at once!", sys.__stdout__)
        install("SIGINT", hurry)

    def install(number: str, callback: Any) -> None:
        install_worker_term_handler(worker, sig=number, how="Warm", callback=callback, exitcode=EX_FAILURE)

    install("SIGQUIT", hurry)
    install("SIGINT", interrupt)
    if REMAP_SIGTERM == "SIGQUIT":
        install("SIGTERM", hurry)
