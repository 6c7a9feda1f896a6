"""The shorter way of ordinary calls: what ``send_task`` does for a call whose like was published before."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Mapping
from time import time
from typing import TYPE_CHECKING, Any, NamedTuple

from celery import signals
from celery.app.amqp import _callback_publish_retry
from kombu.serialization import dumps
from kombu.utils.functional import maybe_list
from kombu.utils.json import JSONEncoder
from kombu.utils.uuid import uuid

from shared.brokers import BrokerKind
from shared.bulk import bulk_under_way
from shared.chords.dispatching import dispatch_under_way
from shared.delays.fallback import waits_in_a_worker
from shared.delays.firing import firing_under_way
from shared.prepared.learning import Sample, learn
from shared.prepared.message import OWN_HEADERS, Filled, Prepared, Wired
from shared.producers import as_publish_failed
from shared.sent_events import place_in_workflow
from shared.tallies import SENT
from shared.transports.framing import rabbitmq_wire
from shared.transports.pushing import redis_wire

if TYPE_CHECKING:
    from celery.result import AsyncResult

    from shared.celery_app import FleetCelery

MOST_KINDS = 1000
"""After so many kinds of call all are forgotten; a program that has as many has one for each call."""
PLAIN = (str, int, float)
OWN_OPTIONS = frozenset(
    {
        *("task_id", "group_id", "group_index", "root_id", "parent_id", "reply_to"),
        *("link", "link_error", "chain", "chord"),
        *("add_to_parent", "result_cls", "producer", "publisher", "task_type"),
    }
)
"""Options in which the calls of one kind may differ."""
LONGEST_ID = 200
MOST_MEMBERS = 1 << 31
OF_ITS_TIME = frozenset({"expires", "time_limit", "soft_time_limit"})
"""Options that mean something else when they are ``None`` than when they are left out."""
WIRES: Mapping[BrokerKind, Callable[[Prepared], Callable[[Filled], Wired]]] = {
    BrokerKind.REDIS: redis_wire,
    BrokerKind.RABBITMQ: rabbitmq_wire,
}
ENCODE: Callable[[Any], str] = JSONEncoder(check_circular=False).encode
"""kombu's JSON, by an encoder that is kept: 3 µs and not 5.  What refers to itself ends in a ``RecursionError``."""
NOTHING_FOLLOWS = '{"callbacks": null, "errbacks": null, "chain": null, "chord": null}'

Kind = tuple[Hashable, ...]


class Following(NamedTuple):
    """What follows on a task: callbacks, errbacks, the steps of its chain, the body of its chord."""

    link: Any
    link_error: Any
    chain: Any
    chord: Any

    def encode(self) -> str:
        """Return it as JSON; a chord's body is encoded once for all members that go out in bulk."""
        if self.link is self.link_error is self.chain is None:
            if self.chord is None:
                return NOTHING_FOLLOWS
            if (batch := bulk_under_way()) is not None:
                return f"{NOTHING_FOLLOWS[:-5]}{batch.text_of(self.chord, ENCODE)}}}"
        return ENCODE(self.embedded())

    def embedded(self) -> dict[str, Any]:
        """Return it as it is in a message."""
        callbacks, errbacks = maybe_list(self.link), maybe_list(self.link_error)
        return {"callbacks": callbacks, "errbacks": errbacks, "chain": self.chain, "chord": self.chord}


class Known(NamedTuple):
    """What is known of one kind of call."""

    prepared: Prepared
    wire: Callable[[Filled], Wired]


class PreparedCalls:
    """The kinds of call that were published before, and what their messages look like.

    The full way is taken where anything is unusual: a delay, an expiry, stamps, headers, anybody who listens
    to the signals of publishing, a recording, a router that is a function, an argument that can't be encoded, or a
    message that is too large.  Whatever is refused is so refused by the same code as ever.
    """

    def __init__(self, app: FleetCelery) -> None:
        self._app = app
        self._known: dict[Kind, Known | None] = {}
        self._state: tuple[Any, ...] = ()

    def kind_of(self, name: str, options: Mapping[str, Any]) -> Kind | None:
        """Return what makes a call like others; ``None`` when something about it is unusual."""
        if not self._is_usual(options):
            return None
        app = self._app
        kind: list[Hashable] = [name, app._tasks.get(name), options.get("task_type"), app.hides_arguments(name)]  # noqa: SLF001
        for option, value in options.items():
            if value is None:
                if option in OF_ITS_TIME:
                    kind.append(option)
            elif option not in OWN_OPTIONS:
                if not isinstance(value, PLAIN) or option == "expires":
                    return None
                kind.append((option, value, type(value)))  # True is no 1 where it stands for a priority
        return tuple(kind)

    def send(self, kind: Kind, args: Any, kwargs: Any, options: Mapping[str, Any]) -> AsyncResult | None:
        """Publish a call; ``None`` when it has to go the full way, and nothing was sent.

        Raises:
            PublishFailed: The broker did not take it.
        """
        known = self._known.get(kind)
        if known is None:
            return None
        task_id = options.get("task_id") or uuid()
        root_id, parent_id = options.get("root_id"), options.get("parent_id")
        parent = self._app.current_worker_task
        if parent:
            root_id = root_id or parent.request.root_id or parent.request.id
            parent_id = parent_id or parent.request.id
        follows = Following(*(options.get(name) for name in ("link", "link_error", "chain", "chord")))
        filled = filled_in(
            known.prepared,
            (args or (), kwargs or {}, follows),
            {
                "id": task_id,
                "root_id": root_id or task_id,
                "parent_id": parent_id,
                "group": options.get("group_id"),
                "group_index": options.get("group_index"),
                "published_at": time(),
                "reply_to": options.get("reply_to") or self._app.thread_oid,
            },
        )
        if filled is None or len(filled.body) > self._app.bounds.message_bytes:
            return None
        self._publish(known, filled, follows)
        result: AsyncResult = (options.get("result_cls") or self._app.AsyncResult)(task_id)
        result.ignored = options.get("ignore_result")
        if parent and options.get("add_to_parent", True):
            parent.add_trail(result)
        return result

    def learn(self, kind: Kind, sample: Sample | None) -> None:
        """Learn what a kind of call looks like from one that was published the full way."""
        if kind in self._known:
            return
        if len(self._known) >= MOST_KINDS:
            self._known.clear()
        self._known[kind] = None
        prepared = learn(self._app, sample) if sample is not None else None
        if prepared is not None and sample is not None and is_the_same(prepared, sample):
            self._known[kind] = Known(prepared, WIRES[prepared.broker.kind](prepared))

    def _is_usual(self, options: Mapping[str, Any]) -> bool:
        """Tell whether nothing around a call makes it unusual."""
        app = self._app
        state = (os.getpid(), app.conf.generation, app.message_version)
        if state != self._state:  # a child, whose messages bear its own origin, or other settings
            self._known, self._state = {}, state
        return (
            app.recorder is None
            and not signals.before_task_publish.receivers
            and not signals.after_task_publish.receivers
            and not signals.task_sent.receivers
            and dispatch_under_way() is None
            and firing_under_way() is None
            and not waits_in_a_worker()
            and (bulk_under_way() is not None or not has_a_producer_of_its_own(options))
        )

    def _publish(self, known: Known, filled: Filled, follows: Following) -> None:
        app, prepared = self._app, known.prepared
        message, batch = known.wire(filled), bulk_under_way()
        if batch is not None:
            batch.producer(app, prepared.broker).take(message)
        else:
            pool = app.amqp.pools[prepared.broker]
            with as_publish_failed(lambda: prepared.broker), pool.acquire(block=True) as producer:
                producer.publish_prepared(message)
        SENT.count(prepared.task, prepared.queue, prepared.broker.alias)
        if prepared.sent_event is not None:
            event = sent_event(prepared.sent_event, filled, follows)
            app.amqp._event_dispatcher.tell(prepared.broker.alias, "task-sent", event)  # noqa: SLF001


def filled_in(prepared: Prepared, content: tuple[Any, Any, Following], own: dict[str, Any]) -> Filled | None:
    """Return what a message has of its own; ``None`` where anything in it is of a kind that only the full way knows.

    Args:
        prepared: What it has in common with others.
        content: Positional arguments, those by keyword, and what follows on the task.
        own: The rest.
    """
    args, kwargs, follows = content
    ids = (own["id"], own["root_id"], own["parent_id"], own["group"], own["reply_to"])
    if not all(each is None or (type(each) is str and len(each) <= LONGEST_ID) for each in ids):
        return None
    if not isinstance(args, list | tuple) or type(kwargs) is not dict or not is_index(own["group_index"]):
        return None
    try:
        body = f"{ENCODE((args, kwargs))[:-1]}, {follows.encode()}]"
        return Filled(body, argsrepr=prepared.show(args), kwargsrepr=prepared.show(kwargs), **own)
    except Exception:  # noqa: BLE001 - whatever an argument raises when it is encoded; the full way says what it is
        return None


def has_a_producer_of_its_own(options: Mapping[str, Any]) -> bool:
    """Tell whether a call is published by what it says, or tried again in a way of Celery's; in bulk none is."""
    return bool(options.get("producer") or options.get("publisher") or _callback_publish_retry.get())


def is_index(value: Any) -> bool:
    """Tell whether a value may be the place of a task in its group."""
    return value is None or (type(value) is int and 0 <= value < MOST_MEMBERS)


def is_the_same(prepared: Prepared, sample: Sample) -> bool:
    """Tell whether the message that was learnt from is the same when it is filled in."""
    args, kwargs, embedded = sample.body
    follows = Following(*(embedded[name] for name in ("callbacks", "errbacks", "chain", "chord")))
    own = {name: sample.headers[name] for name in OWN_HEADERS - {"argsrepr", "kwargsrepr"}}
    own["reply_to"] = sample.options["reply_to"]
    filled = filled_in(prepared, (args, kwargs, follows), own)
    return (
        filled is not None
        and {**prepared.headers, **filled.headers()} == sample.headers
        and (prepared.content_type, prepared.content_encoding, filled.body) == dumps(sample.body, serializer="json")
        and sample.options["correlation_id"] == filled.id
        and sample.options.get("timestamp", int(filled.published_at)) == int(filled.published_at)
        and (prepared.sent_event is None or sent_event(prepared.sent_event, filled, follows) == sample.sent_event)
    )


def sent_event(common: Mapping[str, Any], filled: Filled, follows: Following) -> dict[str, Any]:
    """Return what monitors are told of a message."""
    return {
        **common,
        "uuid": filled.id,
        "root_id": filled.root_id,
        "parent_id": filled.parent_id,
        "args": filled.argsrepr,
        "kwargs": filled.kwargsrepr,
        **place_in_workflow({"group": filled.group}, ((), {}, follows.embedded())),
    }
