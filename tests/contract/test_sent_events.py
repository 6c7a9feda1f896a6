"""Monitors are told of each publish, on the broker of its queue, with its place in the workflow."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from celery import chain, chord, group

from shared.bulk import bulk
from shared.listening import FleetEvent, Listening
from shared.settings import child_environment
from tests.fixtures.workers import ROOT
from tests.fleet.inspection import wait_for
from tests.fleet.tables import BROKERS, parked

PUBLISH_AND_END = """
from tests.fleet.app import app
app.conf.task_send_sent_event = True
print(app.send_task("try.parked_batch").id)
"""


@pytest.fixture
def told(brokers, fleet_of_tests) -> Iterator[Any]:
    """An app, and what looks for the event of a task by its id: the broker that it came over, and the event."""
    fleet_of_tests.conf.task_send_sent_event = True
    found: dict[str, tuple[str, dict]] = {}
    with Listening(fleet_of_tests) as listening:

        def look(task_id: str) -> tuple[str, dict] | None:
            for news in listening.news(0.05):
                match news:
                    case FleetEvent(broker, {"type": "task-sent", "uuid": uuid} as event):
                        found[uuid] = (broker, dict(event))
            return found.get(task_id)

        def first(broker: str) -> bool:
            sent = fleet_of_tests.send_task(f"try.parked_{broker}")
            return any(look(sent.id) for _ in range(10))

        for broker in BROKERS:  # Redis has it among its subscribers a moment after it says so
            wait_for(partial(first, broker), "a first event")
        yield fleet_of_tests, lambda task_id: wait_for(lambda: look(task_id), f"the event of {task_id}")


def test_an_event_comes_over_the_broker_of_the_queue(told):
    app, event_of = told
    for broker in BROKERS:
        sent = app.send_task(f"try.parked_{broker}", ("an-argument",), countdown=3600)
        over, event = event_of(sent.id)
        assert (over, event["queue"], event["args"]) == (broker, parked(broker), "('an-argument',)")
        assert event["eta"]
        sent.revoke()


def test_an_event_tells_group_body_and_what_follows(told):
    app, event_of = told
    app.set_current()
    one, two, three = (app.signature(f"try.parked_{broker}", immutable=True) for broker in BROKERS)
    body = one.clone()
    waiting = chord(group([two, three]), body).apply_async()
    _, event = event_of(waiting.parent.children[0].id)
    assert event["group"] == waiting.parent.id
    assert event["chord"][:2] == [waiting.id, "try.parked_default"]
    last = chain(one.clone(), chord([two.clone(), three.clone()], one.clone()), three.clone()).apply_async()
    first = last
    while first.parent is not None:
        first = first.parent
    _, event = event_of(first.id)
    assert [step[1] for step in event["next"]] == ["try.parked_default", "try.parked_batch"]
    assert event["next"][1][0] == last.id


def test_of_what_is_published_in_bulk_each_is_told(told):
    app, event_of = told
    with bulk():
        sent = [app.send_task("try.parked_batch") for _ in range(300)]
    assert {event_of(each.id)[0] for each in sent} == {"batch"}


def test_a_process_that_ends_at_once_has_told(told):
    _, event_of = told
    done = subprocess.run(
        [sys.executable, "-c", PUBLISH_AND_END], env=child_environment(), cwd=ROOT, capture_output=True, text=True,
        timeout=60, check=True,
    )  # fmt: skip
    assert event_of(done.stdout.strip())[0] == "batch"
