"""The fleet of the canvas tests: on each broker a queue for each pool, and tasks that say where and how often they ran.

``celery -A tests.fleet.canvas_tasks worker -Q canvas.<broker>.<pool>``
"""

from __future__ import annotations

from celery import Signature

from shared.brokers import switchyard_brokers
from shared.canvas import map  # noqa: A004
from shared.celery_app import FleetCelery
from shared.fleet import switchyard_defaults, switchyard_state
from shared.names import BrokerName
from shared.queues import Pool, QueueSpec, rabbitmq_queue, redis_queue
from tests.fleet.inspection import wait_for

BROKERS = (BrokerName.CRITICAL, BrokerName.BATCH, BrokerName.DEFAULT)
POOLS = (Pool.PREFORK, Pool.THREADS, Pool.GEVENT, Pool.SOLO)


def queue_of(broker: str, pool: str = Pool.PREFORK) -> str:
    """The queue of the worker of a broker and a pool."""
    return f"canvas.{broker}.{pool}"


def parked_on(broker: str) -> str:
    """The queue of a broker that no worker serves."""
    return f"canvas.{broker}.parked"


def _spec(name: str, broker: str, pool: Pool = Pool.PREFORK) -> QueueSpec:
    declare = rabbitmq_queue if broker == BrokerName.BATCH else redis_queue
    return QueueSpec(queue=declare(name, f"canvas.{broker}"), broker=broker, service="canvas", pool=pool)


app = FleetCelery(
    "canvas",
    brokers=switchyard_brokers,
    queues=[
        *(_spec(queue_of(broker, pool), broker, pool) for broker in BROKERS for pool in POOLS),
        *(_spec(parked_on(broker), broker) for broker in BROKERS),
    ],
    home=BrokerName.DEFAULT,
    default_queue=queue_of(BrokerName.DEFAULT),
    defaults=switchyard_defaults,
    state=switchyard_state,
)


def note(key: str, entry: str) -> int:
    """Append to what the tasks of a test have noted; return how many entries there are."""
    return int(app.state.client.rpush(f"canvas:{key}", entry))


def noted(key: str) -> list[str]:
    """What the tasks of a test have noted, in order."""
    entries = app.state.client.lrange(f"canvas:{key}", 0, -1)
    return [entry if isinstance(entry, str) else entry.decode() for entry in entries]


@app.task(shared=False, name="canvas.add")
def add(x, y):
    return x + y


@app.task(shared=False, name="canvas.total")
def total(numbers):
    return sum(numbers)


@app.task(shared=False, name="canvas.echo")
def echo(*values):
    return values[0] if len(values) == 1 else list(values)


@app.task(shared=False, name="canvas.step")
def step(*given):
    """Say what was done to what: ``step("a", "b")`` is ``b(a)``; the name is the last argument."""
    return shown(given[-1], given[:-1])


def shown(name: str, inputs) -> str:
    """How ``step`` shows what it did."""
    return f"{name}({', '.join(str(value) for value in inputs)})".replace("'", "")


@app.task(shared=False, name="canvas.fail")
def fail(*_):
    raise ValueError("as asked")


@app.task(shared=False, name="canvas.note")
def note_value(*values):
    """Note the second of two values, or the only one, under the last, and return the first."""
    note(values[-1], str(values[0]))
    return values[0]


@app.task(shared=False, name="canvas.failed")
def failed(task_id, key):
    """An errback of the kind that is published: it takes the id of what failed."""
    note(key, task_id)


@app.task(shared=False, name="canvas.failed_here")
def failed_here(request, error, _, key):
    """An errback of the kind that is called where the task failed."""
    note(key, f"{request.id} {type(error).__name__}")


@app.task(shared=False, name="canvas.retry", bind=True, max_retries=2)
def retry(self, value, key, queue=None):
    """Retry once, in the same queue or another; then return the value."""
    note(key, f"{self.request.retries}")
    if not self.request.retries:
        raise self.retry(countdown=0, **({"queue": queue} if queue else {}))
    return value


@app.task(shared=False, name="canvas.replace", bind=True)
def replace(self, *given):
    """Put a signature, the last argument, in the place of this task."""
    return self.replace(Signature.from_dict(given[-1], app=app))


@app.task(shared=False, name="canvas.add_to_chord", bind=True)
def add_to_chord(self, value, *sigs):
    """Add members to the header of the chord that this task is a member of."""
    for sig in sigs:
        self.add_to_chord(Signature.from_dict(sig, app=app))
    return value


@app.task(shared=False, name="canvas.fan_out", bind=True)
def fan_out(self, each, items):
    """Put a call for each item in the place of this task."""
    return self.replace(map(Signature.from_dict(each, app=app), items))


@app.task(shared=False, name="canvas.request", bind=True)
def request(self, *_):
    """What the request says of itself: how urgent it is, what it is stamped with, how often it was retried."""
    return told_of(self.request)


@app.task(shared=False, name="canvas.request_after_retry", bind=True, max_retries=1)
def request_after_retry(self):
    """The same, after a retry."""
    if not self.request.retries:
        raise self.retry(countdown=0)
    return told_of(self.request)


def told_of(request):
    return {"priority": request.delivery_info["priority"], "stamps": request.stamps, "retries": request.retries}


@app.task(shared=False, name="canvas.hold")
def hold(key):
    """Note that it holds, and end when the test lets go."""
    note(key, "holds")
    wait_for(lambda: app.state.client.lpop(f"canvas:{key}:go"), "the test to let go", 60)


def let_go(key: str) -> None:
    """End the task that holds."""
    app.state.client.rpush(f"canvas:{key}:go", 1)
