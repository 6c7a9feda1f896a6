"""What a recording keeps of an app's publishing, without a broker."""

from __future__ import annotations

import socket
import subprocess
import sys
from contextlib import suppress
from threading import Thread

import pytest
from celery import chain, chord, group
from kombu.exceptions import EncodeError, OperationalError

from shared.brokers import Broker, Brokers
from shared.celery_app import FleetCelery
from shared.errors import ConfigurationError, InvalidPriority, MisroutedQueue, UnknownBroker, UnknownQueue, UnknownTask
from shared.queues import QueueSpec, rabbitmq_queue, redis_queue
from shared.routing import TaskSpec
from shared.secret import SecretStr
from shared.testing import recording

QUEUES = [
    QueueSpec(queue=redis_queue("quick", "unit"), broker="fast", service="unit"),
    QueueSpec(queue=rabbitmq_queue("heavy", "unit"), broker="safe", service="unit"),
]


@pytest.fixture
def listener():
    """Takes no connection, and so tells whether one was tried."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        yield listening


def was_called(listening: socket.socket) -> bool:
    try:
        listening.accept()[0].close()
    except BlockingIOError:
        return False
    return True


def fleet(port: int) -> FleetCelery:
    url = f"127.0.0.1:{port}"
    brokers = Brokers([Broker("fast", SecretStr(f"redis://{url}/0")), Broker("safe", SecretStr(f"amqp://{url}//"))])
    app = FleetCelery(
        "unit",
        brokers=brokers,
        queues=QUEUES,
        tasks=[TaskSpec("far", "heavy", 7)],
        defaults={"result_backend": f"redis://{url}/1", "task_publish_retry": False},
    )

    @app.task(name="near", shared=False)
    def near(*values, **named):
        return values

    @app.task(name="caller", shared=False)
    def caller():
        near.delay("from inside")

    return app


@pytest.fixture
def app(listener):
    with fleet(listener.getsockname()[1]) as app:
        yield app
        assert not was_called(listener)


def kept(published) -> list[tuple]:
    return [(task.name, task.args, task.queue, task.broker) for task in published]


def near(*args) -> tuple:
    return ("near", list(args), "quick", "fast")


def far(*args) -> tuple:
    return ("far", list(args), "heavy", "safe")


def by_delay(app):
    app.tasks["near"].delay(1)


def by_apply_async(app):
    app.tasks["near"].apply_async((1,))


def by_send_task(app):
    app.send_task("near", (1,))


def by_signature(app):
    app.signature("near", (1,)).delay()


def by_chain(app):
    chain(app.signature("near", (1,)), app.signature("far"))()


def by_a_given_connection(app):
    with app.connection_for_write("fast") as connection:
        app.send_task("near", (1,), connection=connection)


def by_a_given_producer(app):
    with app.amqp.Producer(app.connection_for_write("fast"), auto_declare=False) as producer:
        app.send_task("near", (1,), producer=producer)


def by_a_thread(app):
    thread = Thread(target=by_delay, args=(app,))
    thread.start()
    thread.join()


@pytest.mark.parametrize(
    "publish",
    [
        by_delay,
        by_apply_async,
        by_send_task,
        by_signature,
        by_chain,
        by_a_given_connection,
        by_a_given_producer,
        by_a_thread,
    ],
)
def test_a_publish_is_kept_once(app, publish):
    with recording(app) as published:
        publish(app)
    assert kept(published) == [near(1)]


def test_a_group_is_kept_whole_and_each_member_goes_to_its_owner(app):
    with recording(app) as published:
        result = group(app.signature("near", (1,)), app.signature("far", (2,)), app=app).apply_async()
        assert result.save()
    assert kept(published) == [near(1), far(2)]
    assert {task.options["group_id"] for task in published} == {result.id}


def test_a_chord_publishes_its_header(app):
    with recording(app) as published:
        chord([app.signature("near", (1,)), app.signature("far", (2,))], app.signature("far")).apply_async()
        chain(group(app.signature("near", (n,)) for n in (3, 4)), app.signature("far")).apply_async()
        chord([], app.signature("far"), app=app).apply_async()
    assert kept(published) == [near(1), far(2), near(3), near(4), far([])]
    assert published[0].options["chord"].task == "far"


def test_the_later_steps_of_a_chain_are_told_in_their_order(app):
    steps = [app.signature("near", (1,)), app.signature("far", (2,)), app.signature("near", (3,))]
    with recording(app) as published:
        chain(*steps).apply_async()
        app.send_task("near")
    assert [(step.task, step.args) for step in published[0].then] == [("far", (2,)), ("near", (3,))]
    assert published[1].then == ()


def test_a_task_that_is_called_publishes_into_the_recording(app):
    with recording(app) as published:
        app.tasks["caller"]()
    assert kept(published) == [near("from inside")]


def test_arguments_priority_options_and_headers_are_told(app):
    with recording(app) as published:
        result = app.tasks["near"].apply_async(
            ((1, 2), {"a": (3,)}),
            {"x": None},
            queue="heavy",
            priority=0,
            countdown=60,
            compression="gzip",
            stamped_headers=["who"],
            who="me",
        )
        app.send_task("far")
    task, other = published
    assert (task.args, task.kwargs, task.priority, task.id) == ([[1, 2], {"a": [3]}], {"x": None}, 0, result.id)
    assert (task.options["countdown"], task.options["compression"], task.headers["stamps"]["who"]) == (60, "gzip", "me")
    assert "countdown" not in other.options
    assert (other.priority, type(other.priority)) == (7, int)


def test_events_about_a_publish_are_not_kept(app):
    app.conf.task_send_sent_event = True
    with recording(app) as published:
        app.send_task("near")
    assert kept(published) == [near()]


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda app: app.send_task("nearr"), UnknownTask),
        (lambda app: app.send_task("near", queue="quik"), UnknownQueue),
        (lambda app: app.send_task("near", broker="fats"), UnknownBroker),
        (lambda app: app.send_task("near", queue="heavy", broker="fast"), MisroutedQueue),
        (lambda app: app.send_task("near", priority=10), InvalidPriority),
        (lambda app: app.send_task("near", (object(),)), EncodeError),
    ],
)
def test_what_a_fleet_refuses_is_refused_and_not_kept(app, call, error):
    with recording(app) as published:
        with pytest.raises(error):
            call(app)
        by_delay(app)
    assert kept(published) == [near(1)]


def test_results_are_pending_and_nobody_can_wait_for_them(app):
    with recording(app):
        one = app.send_task("near")
        many = group(app.signature("near"), app.signature("far"), app=app).apply_async()
    assert (one.state, one.ready(), many.completed_count()) == ("PENDING", False, 0)
    one.forget()
    for result in (one, many):
        with pytest.raises(NotImplementedError, match="recorded and not sent"):
            result.get(timeout=60)


def test_recordings_nest_and_end(app):
    with recording(app) as outer:
        app.send_task("near", (1,))
        with suppress(UnknownTask), recording(app) as inner:
            app.send_task("near", (2,))
            app.send_task("nearr")
        app.send_task("near", (3,))
    assert (kept(outer), kept(inner)) == ([near(1), near(3)], [near(2)])


def test_after_a_recording_messages_leave_again(listener):
    with fleet(listener.getsockname()[1]) as app:
        with recording(app):
            app.send_task("near", ignore_result=True)
        app.conf.broker_transport_options = {"socket_timeout": 0.1, "socket_connect_timeout": 0.1}
        with pytest.raises(OperationalError):
            app.send_task("near", ignore_result=True)
    assert was_called(listener)


def test_apps_are_recorded_together_in_order(app, listener):
    with fleet(listener.getsockname()[1]) as other, recording(app, other) as published:
        app.send_task("near", (1,))
        other.send_task("far", (2,))
        app.send_task("near", (3,))
    assert kept(published) == [near(1), far(2), near(3)]


def test_an_eager_app_is_refused(app):
    app.conf.task_always_eager = True
    with pytest.raises(ConfigurationError, match="task_always_eager"), recording(app):
        pass
    assert app.recorder is None


def test_importing_it_needs_no_testcontainers():
    without = "import sys; sys.modules.update(testcontainers=None, docker=None); "
    subprocess.run(
        [sys.executable, "-c", without + "import shared.testing, shared.testing.fixtures"], check=True, timeout=60
    )
