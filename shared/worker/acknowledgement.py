"""Early and manual acknowledgement: the choice to run at most once, without losing sight of what is lost.

Before the broker is told, a record is written to shared state (``shared.worker.acknowledged``); when the work dies,
its failure is recorded: here, where only a child process died, or by another worker (``shared.worker.losses``).  A
fleet without shared state acknowledges just as well, but what dies with a whole worker leaves no trace.
"""

from __future__ import annotations

import logging
import socket
import ssl
from contextlib import suppress
from itertools import count
from typing import Any
from uuid import uuid4

import redis
from celery import bootsteps
from celery.app.task import Context
from celery.concurrency.prefork import TaskPool as PreforkPool
from celery.concurrency.solo import TaskPool as SoloPool
from celery.exceptions import Ignore
from celery.worker import state

from shared.worker.acknowledged import Acknowledged, Beginning, Holding, message_name
from shared.worker.acknowledged_request import Gate
from shared.worker.aside import Aside
from shared.worker.desk import Desk, DirectDesk, ProcessDesk, ThreadDesk
from shared.worker.forking import FORKS
from shared.worker.keeper import RecordKeeper
from shared.worker.losses import LossWatch, keepsake
from shared.worker.pools.last_tasks import asked_to_stop

logger = logging.getLogger(__name__)

TELLING = (redis.RedisError, OSError)
"""What shared state raises while it is out of reach."""


class Acknowledgement(bootsteps.StartStopStep):
    """Gives a worker its ``Acknowledging``: made before the pool forks, its threads started after that."""

    requires = FORKS

    def __init__(self, worker: Any, **options: Any) -> None:
        super().__init__(worker, **options)
        worker.app.acknowledging = self._acknowledging = Acknowledging(worker)

    def start(self, worker: Any) -> None:  # noqa: ARG002
        """Begin to keep records, and to look for those of dead workers."""
        self._acknowledging.start()

    def register_with_event_loop(self, worker: Any, hub: Any) -> None:  # noqa: ARG002
        """Let the loop serve the tasks; called after each connect."""
        self._acknowledging.desk.watch(hub)

    def close(self, worker: Any) -> None:  # noqa: ARG002
        """Go on serving the tasks that still run."""
        self._acknowledging.desk.loop_ended()


class Acknowledging:
    """What a worker, and the tasks in its children, know of acknowledgement; ``app.acknowledging`` in them all."""

    def __init__(self, worker: Any) -> None:
        self._worker = worker
        self._app = worker.app
        self._name = uuid4().hex
        self._numbers = count()
        self._direct = not worker.use_eventloop or issubclass(worker.pool_cls, SoloPool)
        self.desk = self._make_desk()
        self.records = Acknowledged(worker.app.state) if worker.app.state.configured else None
        if self.records is not None:
            self._keeper = RecordKeeper(worker.app.state, green=worker.pool_cls.is_green)
            self._watch = LossWatch(worker.app, self.records, self._keeper, self._name)
            self._aside = Aside(worker, lambda: not self._keeper.in_trouble)

    def start(self) -> None:
        """Start the threads."""
        if self.records is not None:
            self._keeper.start()
            self._watch.start()

    def close(self) -> None:
        """Remove the records of what ended; the connection to the broker still stands."""
        self.desk.close()
        if self.records is not None:
            self._watch.end()
            self._keeper.close()

    # In the task's process

    def acknowledge(self, request: Context, *, early: bool, store_errors: bool) -> bool:
        """Acknowledge the message of the execution that runs here; see ``FleetTask.acknowledge``."""
        if early or request.__dict__.get("acknowledged"):
            return True
        holding = Holding(message_name(request.__dict__), request.execution)
        try:
            if not self._record(holding, request, store_errors=store_errors):
                return False
        except TELLING as error:
            logger.warning("Task %s can't be acknowledged without a record of it: %s", request.id, type(error).__name__)
            return False
        request.acknowledged = self.desk.ask(request.id, request.execution)
        if not request.acknowledged:
            self._release(holding)
        return bool(request.acknowledged)

    def refuse_if_lost(self, request: Context) -> None:
        """Let an execution that acknowledged its message end only while nobody has recorded it as lost.

        Its worker may have stood still for longer than a lease lasts; a result now would contradict the failure that
        others have been told.

        Raises:
            Ignore: It was recorded as lost; nothing is stored or published for it.
        """
        if self.records is None or self._keeper.sure:
            return
        with suppress(*TELLING):
            holding = Holding(message_name(request.__dict__), request.execution)
            if self.records.renew([holding]):
                logger.error("Task %s was recorded as lost while its worker stood still; it ends unseen.", request.id)
                raise Ignore

    def give_up(self, request: Context) -> None:
        """Remove the record of an execution whose task goes on in another message: a retry or a replacement."""
        self._release(Holding(message_name(request.__dict__), request.execution))

    def _record(self, holding: Holding, request: Context, *, store_errors: bool) -> bool:
        if self.records is None:
            return True
        fields = {name: value for name, value in request.__dict__.items() if not name.startswith("_")}
        kept = keepsake(fields, broker=self._app.broker.alias, store_errors=store_errors)
        return self.records.begin([Beginning(holding, kept)])[0]

    def _release(self, holding: Holding) -> None:
        if self.records is not None:
            with suppress(*TELLING):
                self.records.release([holding])

    # In the worker's parent process

    def comes_first(self, request: Any) -> bool:
        """Tell whether there is something to do before an execution: for an early one, and for what comes back."""
        if not request.task.acks_late:
            return True
        return self.records is not None and bool(request.delivery_info.get("redelivered"))

    def begin(self, request: Any) -> None:
        """Acknowledge early, and refuse what came back although another execution acknowledged it.

        The loop does not wait for shared state: the request comes back to the pool when that has answered, with a
        ``gate`` that says what was decided.
        """
        if self.records is None:
            self._open(request, may=True)
            return
        kept = ""
        if not request.task.acks_late:
            fields = {**request.request_dict, **(request._payload[2] or {})}  # noqa: SLF001 - without a copy for the child
            kept = keepsake(fields, broker=self._app.broker.alias, store_errors=request.store_errors)
        beginning = Beginning(request.holding, kept)
        if self._keeper.in_trouble:
            if kept:
                self._aside.take(request)
            else:
                self._open(request, may=True)  # nothing is known against it
            return
        connects = self._worker.consumer.restart_count
        if self._worker.pool_cls.is_green:
            self._worker.timer.call_after(0, self._begin_in_greenlet, (self.records, request, beginning, connects))
            return

        def go_on(may: bool | None) -> None:
            self._worker.hub.call_soon(self._go_on, request, may, connects)

        self._keeper.begin(beginning, go_on)

    def _begin_in_greenlet(self, records: Acknowledged, request: Any, beginning: Beginning, connects: int) -> None:
        """Do what the keeper's thread does in the other pools; greenlets share nothing with it."""
        may: bool | None
        try:
            [may] = records.begin([beginning])
        except TELLING as error:
            self._keeper.notice(error)
            if beginning.kept:
                self._keeper.end(beginning.holding)
            may = None if beginning.kept else True
        self._go_on(request, may, connects)

    def _go_on(self, request: Any, may: bool | None, connects: int) -> None:
        """Hand a request to the pool at last, in the loop, unless its message has gone back to the broker meanwhile."""
        if self._worker.consumer.restart_count != connects:  # its slot went with the connection
            if may is not None:
                self._give_back(request)
        elif may is None:
            self._aside.take(request)
        else:
            if self._worker.blueprint.state != bootsteps.RUN or asked_to_stop():
                self._give_back(request)
            else:
                self._open(request, may=may)
            self._worker.start_task(request)  # which frees the slot of one that does not begin

    def _open(self, request: Any, *, may: bool) -> None:
        if not may:
            logger.warning("Task %s was handed out again, but is acknowledged elsewhere; it does not run.", request.id)
            request.acknowledge()
            request.gate = Gate.CLOSED
        elif request.task.acks_late or self._tell_of(request):
            request.gate = Gate.OPEN
        else:
            self._give_back(request)

    def _give_back(self, request: Any) -> None:
        """Begin nothing; the broker hands the message out again, and may find no record of it then."""
        request.gate = Gate.CLOSED
        if self.records is not None and not request.task.acks_late:
            self._keeper.let_go(request.holding)
            self._release(request.holding)

    def settle_ended(self) -> None:
        """Acknowledge the messages of work that has ended; for who stands in for the loop, which does it otherwise."""
        self._worker.consumer.settling.settle()

    def end(self, request: Any) -> None:
        """Remove the record of an execution that ended."""
        if self.records is not None:
            self._keeper.end(request.holding)

    def tell(self, request: Any) -> bool:
        """Acknowledge the message of a request at once; answer whether the broker was told.

        Celery's own ``Request.acknowledge`` only puts it on the list of the loop.
        """
        message = request.message
        if request.acknowledged or message.acknowledged:
            return bool(request.told)
        if not self._worker.pool_cls.is_green and is_cut_off(message.channel):
            return False  # of greenlets one always reads from the connection, and has noticed
        try:
            message.ack()
            qos = getattr(message.channel, "qos", None)
            held = message.acknowledged and getattr(qos, "last_ack_settled", True)
        except Exception as error:  # noqa: BLE001 - whatever a driver raises: the broker was not told
            logger.warning("Task %s can't be acknowledged: %r", request.id, error)
            return False
        if not held:
            return False
        request.told = request.acknowledged = True
        self._restore_prefetch()
        return True

    def _restore_prefetch(self) -> None:
        """Take a step back to the full prefetch after a reconnect, as each of Celery's own acknowledgements does."""
        if self._worker.blueprint.state == bootsteps.RUN:
            self._worker.consumer._restore_prefetch_count_after_connection_restart(None)  # noqa: SLF001

    def _tell(self, task_id: str, execution: str) -> bool:
        request = request_of(task_id, execution)
        return request is not None and self._tell_of(request)

    def _tell_of(self, request: Any) -> bool:
        told = self.tell(request)
        if told and self.records is not None:
            self._keeper.hold(request.holding)
        return told

    def name_execution(self) -> str:
        """Return a name for an execution that no other in the fleet has."""
        return f"{self._name}:{next(self._numbers)}"

    def _make_desk(self) -> Desk:
        if self._direct:
            return DirectDesk(self._tell)
        if issubclass(self._worker.pool_cls, PreforkPool):
            return ProcessDesk(self._tell)
        return ThreadDesk(self._tell)


def is_cut_off(channel: Any) -> bool:
    """Tell whether RabbitMQ has closed the connection, which a write would not notice; over TLS nobody can tell."""
    transport = getattr(getattr(channel, "connection", None), "transport", None)
    end = getattr(transport, "sock", None)
    if not isinstance(end, socket.socket) or isinstance(end, ssl.SSLSocket):
        return False
    try:
        return end.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def request_of(task_id: str, execution: str) -> Any:
    """Return the request of an execution of this worker; the task id alone may be that of two."""
    request = state.requests.get(task_id)
    if request is not None and request.execution == execution:
        return request
    while True:
        try:
            return next((each for each in state.reserved_requests if each.execution == execution), None)
        except RuntimeError:  # a thread changed the set meanwhile
            continue
