"""Learns from a message that went the full way what others of its kind have in common with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from celery.app.routes import MapRoute
from celery.backends.base import Backend
from kombu.utils.functional import maybe_list

from shared.brokers import Broker, BrokerKind
from shared.canvas.carriers import CALLED_BY
from shared.prepared.brief import brief
from shared.prepared.message import OWN_HEADERS, Prepared
from shared.results.store import FleetStore
from shared.retry_policies import NO_RETRY, RetryPolicy
from shared.sent_events import HIDDEN

if TYPE_CHECKING:
    from shared.celery_app import FleetCelery

GATE = "shared.publishing:FleetAMQP"
"""Who replaces the gate has other ideas of what messages look like."""
UNSAID = ("compression", "immediate", "timeout", "confirm_timeout")
ALWAYS_EMPTY = ("eta", "expires", "stamped_headers")
OPTIONS = frozenset(
    {
        *("exchange", "routing_key", "mandatory", "immediate", "declare", "serializer"),
        *("compression", "timeout", "confirm_timeout"),
        *("retry", "retry_policy", "delivery_mode", "priority", "correlation_id", "reply_to", "timestamp"),
    }
)
"""What a producer is told of an ordinary message.  One that has more has something that nobody foresaw here."""
OWN_OF_EVENTS = frozenset({"uuid", "root_id", "parent_id", "args", "kwargs", "group", "chord", "next"})


class Sample(NamedTuple):
    """A message as it was handed to a producer."""

    task: str
    broker: Broker
    queue: str
    headers: Mapping[str, Any]
    body: Any
    """Not encoded."""
    options: Mapping[str, Any]
    sent_event: Mapping[str, Any] | None


def learn(app: FleetCelery, sample: Sample) -> Prepared | None:
    """Return what messages of its kind have in common; ``None`` where they may differ in more than is filled in."""
    options, headers = sample.options, sample.headers
    if not is_routed_by_its_name(app, sample.task) or not is_ordinary(sample) or not store_is_known(app, headers):
        return None
    if sample.broker.kind is BrokerKind.REDIS and options["exchange"]:
        return None  # kombu looks up where the message goes
    declare = tuple(maybe_list(options.get("declare")) or ())
    if not all(queue.can_cache_declaration for queue in declare):
        return None  # it expires, and lives on with each message
    retry_policy = RetryPolicy.of(options.get("retry_policy")) if options.get("retry") else NO_RETRY
    return Prepared(
        task=sample.task,
        broker=sample.broker,
        queue=sample.queue,
        exchange=options["exchange"],
        routing_key=options["routing_key"],
        mandatory=options["mandatory"],
        declare=tuple((hash(queue), queue) for queue in declare),
        content_type="application/json",
        content_encoding="utf-8",
        headers={name: value for name, value in headers.items() if name not in OWN_HEADERS},
        properties={name: options[name] for name in ("delivery_mode", "priority")},
        timestamped="timestamp" in options,
        policy=retry_policy,
        show=shown(app, sample.task),
        sent_event=sample.sent_event
        and {name: value for name, value in sample.sent_event.items() if name not in OWN_OF_EVENTS},
    )


def is_routed_by_its_name(app: FleetCelery, task: str) -> bool:
    """Tell whether all messages of a task go to the same queue with the same priority, when their options say none."""
    static = app.amqp_cls == GATE and all(type(route) is MapRoute for route in app.amqp.routes)
    return static and task not in CALLED_BY and not app.conf.task_inherit_parent_priority


def is_ordinary(sample: Sample) -> bool:
    """Tell whether a message has nothing that is not filled in, or the same in all messages of its kind."""
    options, headers, body = sample.options, sample.headers, sample.body
    return (
        isinstance(body, tuple)
        and headers.keys() >= OWN_HEADERS
        and not any(headers[name] for name in ALWAYS_EMPTY)
        and options.keys() <= OPTIONS
        and options.get("serializer") == "json"
        and not any(options.get(name) for name in UNSAID)
        and isinstance(options["exchange"], str)
        and options["delivery_mode"] in (1, 2)
    )


def store_is_known(app: FleetCelery, headers: Mapping[str, Any]) -> bool:
    """Tell whether the result store need not be told of a task before it is published."""
    told = type(app.backend).on_task_call
    return bool(headers["ignore_result"]) or told in (FleetStore.on_task_call, Backend.on_task_call)


def shown(app: FleetCelery, task: str) -> Callable[[Any], str]:
    """Return what shows the arguments of a task to people."""
    if app.hides_arguments(task):
        return lambda _: HIDDEN
    return partial(brief, most=app.amqp.argsrepr_maxsize, levels=app.conf.task_repr_maxlevels)
