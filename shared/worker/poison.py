"""Poison: a task that takes its process with it is stopped after some executions, and kept as a dead letter.

What is counted is deaths, by task id, in shared state:

- A child process that dies is seen by its parent, which counts at once.
- A worker that dies as a whole can count nothing.  So whoever starts a message that was handed out before counts it as
  a death *first*, and takes that back when the execution ends.
- The first execution is not counted when it starts: a task that ends well costs nothing.  When its message comes again
  and nothing is known of it, the first execution is taken for a death where it surely ran: the queue is fetched one
  message for each slot, and neither an eta nor a rate limit held the task back.  Else it counts as held.
- What a living worker gives back (its connection broke, it stops, the task asked for it) is known not to have died.
  What goes on meanwhile counts again: on Redis all the time, on RabbitMQ from its new delivery on.

So a queue with prefetch 1 executes poison exactly ``max_lost_executions`` times, one that is fetched ahead at most once
more, and a message that was only held has all its tries left.  One case remains: a message that was on its way into a
worker with prefetch 1 in the very moment in which that died counts as if it had run.

A suspect (a message with a death on its account) starts again at once, beside others, for most deaths are nobody's
fault: a machine ends, a container is killed.  Only its last execution, before which a limit of three knows two deaths,
is alone: nothing else runs beside it in its process, so that nobody is buried for what a neighbour did.  In prefork a
child runs one task at a time anyway; there it has the worker to itself only if the whole worker died before.  With a
limit of one the first execution is the last, and is not alone: its death is final, whoever's fault it was.

Without shared state each worker counts the deaths of its own children, in memory, and nobody those of whole workers.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Iterable
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

import redis

from shared.delays.producer import WAITED_HEADER
from shared.limits import Limit

if TYPE_CHECKING:
    from shared.celery_app import FleetCelery
    from shared.queues import QueueSpec

logger = logging.getLogger(__name__)

DEFAULT_LIMIT = 3
REMEMBERED_SECONDS = 7 * 86400
"""How long a death is remembered; longer than any backlog should keep its message waiting."""
REMEMBERED_HERE = 10_000
BLIND_SECONDS = 10.0
"""How long shared state is left alone after it did not answer: a worker's loop must not wait for it at each message."""
CHILD, WORKER = "child", "worker"


class Deaths(NamedTuple):
    """What is known of a task's executions so far."""

    times: int
    of: str
    """What died last, ``child`` or ``worker``, as far as it is known."""


NONE = Deaths(0, CHILD)


class Coroner:
    """Counts the executions that took their process with them.

    It never raises: where shared state does not answer, what this process has seen itself must do.
    """

    def __init__(self, app: FleetCelery) -> None:
        self._app = app
        self._here: OrderedDict[str, int] = OrderedDict()
        self._acquitted: OrderedDict[str, Deaths] = OrderedDict()
        """What this worker gave back while shared state could not be told."""
        self._blind_until = 0.0

    def limit(self, request: Any) -> int:
        """Return how many executions of a task may take their process with them."""
        spec = self._spec(request)
        return spec.max_lost_executions if spec is not None else DEFAULT_LIMIT

    def before(self, request: Any) -> Deaths:
        """Return the deaths of a task whose message was handed out before."""
        queue, _ = self._app.amqp.origin(request.delivery_info)
        answer = self._ask(lambda state: state.mget(key(request.id), ahead_key(queue)))
        if answer is None:
            return Deaths(self._here.get(request.id, 0), CHILD)
        if (acquitted := self._acquitted.pop(request.id, None)) is not None:
            return acquitted
        known, fetched_ahead = answer
        if known is not None:
            return read(known)
        return Deaths(int(not fetched_ahead and self._starts_at_once(request)), WORKER)

    def begin(self, request: Any) -> None:
        """Count an execution as a death, until it ends."""
        request.on_record = True
        self._write(request.id, Deaths((request.deaths or NONE).times + 1, WORKER))

    def child_died(self, request: Any) -> int:
        """Count the death of a child process; returns how many there were with it."""
        before = request.deaths
        if before is None:
            known = self._ask(lambda state: state.get(key(request.id)))
            before = read(known) if known else NONE
        count: int = max(before.times, self._here.get(request.id, 0)) + 1
        self._here[request.id] = count
        if len(self._here) > REMEMBERED_HERE:
            self._here.popitem(last=False)
        self._write(request.id, Deaths(count, CHILD))
        return count

    def acquit(self, requests: Iterable[Any]) -> None:
        """Note of requests that go back to their broker that they did not die."""
        innocent = [request for request in requests if not request.acknowledged]
        if not innocent:
            return

        def write(state: redis.Redis) -> bool:
            with state.pipeline(transaction=False) as pipeline:
                for request in innocent:
                    deaths = request.deaths or NONE
                    pipeline.set(key(request.id), shown(deaths), ex=REMEMBERED_SECONDS, nx=request.deaths is None)
                    request.on_record = True
                pipeline.execute()
            return True

        if self._ask(write) is None and self._app.state.configured:
            for request in innocent:
                self._acquitted[request.id] = request.deaths or NONE
            while len(self._acquitted) > REMEMBERED_HERE:
                self._acquitted.popitem(last=False)

    def acquit_message(self, task_id: str) -> None:
        """Note of a message that goes back, and of which no request was made, that it did not die."""
        innocent = shown(NONE)
        self._ask(lambda state: state.set(key(task_id), innocent, ex=REMEMBERED_SECONDS, nx=True))

    def forget(self, request: Any) -> None:
        """Close the file of a task that came to its end."""
        self._here.pop(request.id, None)
        self._ask(lambda state: state.delete(key(request.id)))

    def fetches_ahead(self, queues: Iterable[str]) -> None:
        """Note that a worker holds messages of some queues before it has a slot for them."""

        def write(state: redis.Redis) -> None:
            for queue in queues:
                state.set(ahead_key(queue), 1, ex=REMEMBERED_SECONDS)

        self._ask(write)

    def _write(self, task_id: str, deaths: Deaths) -> None:
        self._ask(lambda state: state.set(key(task_id), shown(deaths), ex=REMEMBERED_SECONDS))

    def _ask(self, question: Any) -> Any:
        if not self._app.state.configured or monotonic() < self._blind_until:
            return None
        try:
            return question(self._app.state.client)
        except (redis.RedisError, OSError) as error:
            self._blind_until = monotonic() + BLIND_SECONDS
            logger.warning("Deaths of tasks are not counted for %g s: %s", BLIND_SECONDS, type(error).__name__)
            return None

    def _spec(self, request: Any) -> QueueSpec | None:
        queue, _ = self._app.amqp.origin(request.delivery_info)
        spec: QueueSpec | None = self._app.queue_table.get(queue)
        return spec

    def _starts_at_once(self, request: Any) -> bool:
        """Tell whether a worker starts a message like this one as soon as it has it."""
        spec, headers = self._spec(request), request.request_dict
        delayed = headers.get("eta") not in (None, headers.get(WAITED_HEADER))
        limited = request.task.rate_limit or Limit.of(request.task)
        return spec is not None and spec.prefetch == 1 and not delayed and not limited


_coroners: WeakKeyDictionary[Any, Coroner] = WeakKeyDictionary()


def coroner_of(app: FleetCelery) -> Coroner:
    """Return the one coroner of an app in this process."""
    try:
        return _coroners[app]
    except KeyError:
        return _coroners.setdefault(app, Coroner(app))


def key(task_id: str) -> str:
    """Return where the deaths of a task are counted."""
    return f"fleet.deaths:{task_id}"


def ahead_key(queue: str) -> str:
    """Return where it is noted that workers fetch a queue ahead."""
    return f"fleet.fetched-ahead:{queue}"


def shown(deaths: Deaths) -> str:
    """Return deaths as they are kept."""
    return f"{deaths.times} {deaths.of}"


def read(kept: bytes) -> Deaths:
    """Return deaths from what is kept."""
    count, _, of = kept.decode().partition(" ")
    return Deaths(int(count), of)
