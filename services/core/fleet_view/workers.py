"""The workers of all brokers: what each runs, serves and has, and how one is drained."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from shared.asking import Answers, ask_fleet
from shared.celery_app import FleetCelery
from shared.errors import FleetError, did_you_mean

ASKED = ("stats", "active", "reserved", "active_queues")


class UnknownWorker(FleetError):
    """No worker that answers has this name; the message names close ones, and nothing was changed."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        super().__init__(f"No worker {name!r} answers.{did_you_mean(name, known)}")


@dataclass(frozen=True, slots=True)
class RunningTask:
    """A task that a worker runs."""

    id: str
    name: str
    queue: str | None
    since: float | None
    """When it began, in seconds since the epoch."""
    args: str | None
    kwargs: str | None


@dataclass(frozen=True, slots=True)
class WorkerView:
    """One worker that answered; what it did not tell is ``None``."""

    name: str
    broker: str
    queues: tuple[str, ...]
    running: tuple[RunningTask, ...]
    reserved: int
    """Tasks that it holds and did not begin."""
    pool: str | None
    """What it runs its tasks in, such as ``prefork``."""
    processes: int | None
    """How many tasks it runs at once."""
    memory_kib: int | None
    """What its processes have now, pages that they share counted once; of a worker that does not tell so, as one of
    stock Celery, the most that its parent process has had."""
    pid: int | None
    up_seconds: int | None
    done: int
    """Tasks that it has taken since it started."""


@dataclass(frozen=True, slots=True)
class Workers:
    """Those that answered, and the brokers whose workers could not be asked."""

    workers: tuple[WorkerView, ...]
    not_asked: Mapping[str, str]
    """Alias of the broker, and why."""


def list_workers(app: FleetCelery, *, names: Sequence[str] = (), timeout: float = 1.0) -> Workers:
    """Ask the workers of every broker, all at once, what they do.

    Args:
        app: Any app of the fleet.
        names: Node names of those that are meant; all by default.
        timeout: Seconds to wait for answers; a worker that computes in its loop may need more.
    """
    with ThreadPoolExecutor(len(ASKED)) as pool:
        asked = [pool.submit(ask_fleet, app, command, {}, destination=names, timeout=timeout) for command in ASKED]
        answers = dict(zip(ASKED, (each.result() for each in asked), strict=True))
    not_asked = {each.broker: each.why_not for each in answers["stats"] if each.why_not}
    found = [
        _view(node, each.broker, told, {command: _of(answers[command], each.broker, node) for command in ASKED[1:]})
        for each in answers["stats"]
        for node, told in each.workers.items()
        if isinstance(told, Mapping)
    ]
    return Workers(tuple(sorted(found, key=lambda worker: (worker.name, worker.broker))), not_asked)


def find_worker(app: FleetCelery, name: str, *, timeout: float = 1.0) -> WorkerView:
    """Find a worker by its node name, or by what is before the ``@`` where that is enough.

    Raises:
        UnknownWorker: None that answers is called so, or several are.
    """
    there = list_workers(app, timeout=timeout).workers
    found = [each for each in there if name in (each.name, each.name.partition("@")[0])]
    if len(found) != 1:
        raise UnknownWorker(name, [each.name for each in there])
    return found[0]


def drain_worker(app: FleetCelery, name: str, *, timeout: float = 1.0) -> WorkerView:
    """Have a worker take nothing more: it ends what it holds, and stays without queues until it is started anew.

    Returns:
        The worker as it was; its queues are those that it left.

    Raises:
        UnknownWorker: None that answers is called so, or several are.
    """
    worker = find_worker(app, name, timeout=timeout)
    for queue in worker.queues:
        ask_fleet(
            app, "cancel_consumer", {"queue": queue}, destination=[worker.name], brokers=[worker.broker],
            timeout=timeout,
        )  # fmt: skip
    return worker


def undrain_worker(app: FleetCelery, name: str, queues: Sequence[str], *, timeout: float = 1.0) -> WorkerView:
    """Have a worker serve queues of its broker again.

    Raises:
        UnknownWorker: None that answers is called so, or several are.
    """
    worker = find_worker(app, name, timeout=timeout)
    for queue in queues:
        ask_fleet(
            app, "add_consumer", {"queue": queue}, destination=[worker.name], brokers=[worker.broker], timeout=timeout
        )
    return worker


def _of(answers: Sequence[Answers], broker: str, node: str) -> list[Any]:
    found = next((each.workers.get(node) for each in answers if each.broker == broker), None)
    return found if isinstance(found, list) else []


def _view(node: str, broker: str, stats: Mapping[str, Any], told: Mapping[str, list[Any]]) -> WorkerView:
    pool = stats.get("pool") or {}
    usage = stats.get("rusage")
    most = usage.get("maxrss") if isinstance(usage, Mapping) else None
    return WorkerView(
        name=node,
        broker=broker,
        queues=tuple(sorted(str(queue["name"]) for queue in told["active_queues"])),
        running=tuple(map(_running, told["active"])),
        reserved=len(told["reserved"]),
        pool=str(pool.get("implementation", "")).rpartition(":")[0].rpartition(".")[2] or None,
        processes=pool.get("max-concurrency"),
        memory_kib=stats.get("memory_kib") or most,
        pid=stats.get("pid"),
        up_seconds=stats.get("uptime"),
        done=sum((stats.get("total") or {}).values()),
    )


def _running(request: Mapping[str, Any]) -> RunningTask:
    return RunningTask(
        str(request["id"]), str(request["name"]), (request.get("delivery_info") or {}).get("routing_key"),
        request.get("time_start"), _text(request.get("args")), _text(request.get("kwargs")),
    )  # fmt: skip


def _text(told: Any) -> str | None:
    return None if told is None else str(told)
