"""Assertions about what was published, and what they say when they fail."""

from __future__ import annotations

from unittest.mock import ANY

import pytest

from shared.brokers import Broker, Brokers
from shared.celery_app import FleetCelery
from shared.errors import UnknownBroker, UnknownQueue, UnknownTask
from shared.queues import QueueSpec, rabbitmq_queue, redis_queue
from shared.routing import TaskSpec
from shared.secret import SecretStr
from shared.testing import recording

BROKERS = Brokers([Broker("fast", SecretStr("redis://nowhere")), Broker("safe", SecretStr("amqp://nowhere"))])
QUEUES = [
    QueueSpec(queue=redis_queue("quick", "unit"), broker="fast", service="unit"),
    QueueSpec(queue=rabbitmq_queue("heavy", "unit"), broker="safe", service="unit"),
]
TASKS = [TaskSpec("mail", "quick", 7), TaskSpec("index", "heavy"), TaskSpec("idle", "heavy")]


@pytest.fixture
def app():
    with FleetCelery("unit", brokers=BROKERS, queues=QUEUES, tasks=TASKS) as app:
        yield app


@pytest.fixture
def published(app):
    with recording(app) as published:
        app.send_task("mail", ("ada", (1, 2)), {"again": True}, countdown=60, link=app.signature("index"))
        app.send_task("mail", ("bob", ()), queue="heavy", priority=0)
        app.send_task("index")
        yield published


@pytest.mark.parametrize(
    ("task", "described"),
    [
        ("mail", {}),
        ("mail", {"args": ("ada", (1, 2))}),
        ("mail", {"args": ["ada", [1, 2]], "kwargs": {"again": True}}),
        ("mail", {"args": (ANY, ANY)}),
        ("mail", {"queue": "heavy", "broker": "safe", "priority": 0}),
        ("mail", {"countdown": 60, "priority": 7}),
        ("mail", {"countdown": None, "args": ("bob", ())}),
        ("mail", {"times": 2}),
        ("index", {"times": 1, "args": (), "kwargs": {}}),
    ],
)
def test_what_was_published_is_found(published, task, described):
    assert published.assert_published(task, **described).name == task


@pytest.mark.parametrize(
    ("task", "described"),
    [
        ("idle", {}),
        ("mail", {"args": ("ada",)}),
        ("mail", {"kwargs": {}, "countdown": 60}),
        ("mail", {"queue": "quick", "broker": "safe"}),
        ("mail", {"priority": 4}),
        ("mail", {"countdown": 61}),
        ("mail", {"expires": 1}),
        ("mail", {"link": None, "countdown": 60}),
    ],
)
def test_what_was_not_published_is_not_found(published, task, described):
    with pytest.raises(AssertionError):
        published.assert_published(task, **described)
    published.assert_not_published(task, **described)


@pytest.mark.parametrize("times", [1, 3])
def test_another_number_of_messages_fails(published, times):
    with pytest.raises(AssertionError, match=f"^mail: 2 fit, wanted {times}"):
        published.assert_published("mail", times=times)


def test_a_task_may_be_given_as_itself(app, published):
    @app.task(name="idle", shared=False)
    def idle():
        """Is never published."""

    published.assert_not_published(idle)
    idle.delay()
    published.assert_published(idle)


def test_what_was_published_against_expectation_is_told(published):
    with pytest.raises(AssertionError, match=r"^index: 1 fit, wanted none"):
        published.assert_not_published("index")
    with pytest.raises(AssertionError, match=r"^any task: 3 fit, wanted none"):
        published.assert_not_published()
    with pytest.raises(AssertionError, match=r"^any task, queue='quick': 1 fit, wanted none"):
        published.assert_not_published(queue="quick")


def test_a_failure_lists_what_was_published_and_what_differs(published):
    with pytest.raises(AssertionError) as caught:
        published.assert_published("mail", args=("ada", ANY), queue="heavy", countdown=5)
    assert str(caught.value) == (
        "mail, args=['ada', <ANY>], queue='heavy', countdown=5: 0 fit, wanted at least 1.\n"
        "Published: 3\n"
        "  1. mail  args=['ada', [1, 2]]  kwargs={'again': True}  queue=quick  broker=fast  priority=7\n"
        "     queue is 'quick'; countdown is 60\n"
        "  2. mail  args=['bob', []]  kwargs={}  queue=heavy  broker=safe  priority=0\n"
        "     args is ['bob', []]; countdown is None\n"
        "  3. index  args=[]  kwargs={}  queue=heavy  broker=safe  priority=4\n"
        "     another task"
    )


def test_a_failure_stays_readable_whatever_was_published(app):
    with recording(app) as published:
        for number in range(300):
            app.send_task("mail", ("x" * 100_000, list(range(1000)), number))
    with pytest.raises(AssertionError) as caught:
        published.assert_published("index")
    assert len(str(caught.value)) < 20_000
    assert str(caught.value).endswith("… and 280 more")


def test_a_recording_can_be_cleared(published):
    published.clear()
    with pytest.raises(AssertionError, match=r"^mail: 0 fit, wanted at least 1\.\nPublished: nothing$"):
        published.assert_published("mail")


@pytest.mark.parametrize(
    ("task", "described", "error", "spelling"),
    [
        ("mial", {}, UnknownTask, "mail"),
        ("mail", {"queue": "haevy"}, UnknownQueue, "heavy"),
        ("mail", {"broker": "save"}, UnknownBroker, "safe"),
    ],
)
def test_an_assertion_about_an_unknown_name_is_refused(published, task, described, error, spelling):
    for assertion in (published.assert_published, published.assert_not_published):
        with pytest.raises(error, match=spelling):
            assertion(task, **described)
