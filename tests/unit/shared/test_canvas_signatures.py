"""Signatures of a fleet: what guides show of them, and that any Celery reads what they become."""

from __future__ import annotations

import copy
import json

import pytest
from celery import Celery, Signature, chain, chord, group, xmap, xstarmap
from celery import chunks as celery_chunks

from shared.brokers import Broker, Brokers
from shared.canvas import FleetSignature, ImmutableSignature, chunks, map, scatter, signature, stamp, starmap  # noqa: A004
from shared.celery_app import FleetCelery
from shared.queues import QueueSpec, redis_queue
from shared.routing import TaskSpec
from shared.secret import SecretStr
from shared.testing import recording


@pytest.fixture
def app():
    with FleetCelery(
        "unit",
        brokers=Brokers([Broker("only", SecretStr("redis://127.0.0.1/0"))]),
        queues=[
            QueueSpec(queue=redis_queue(name, "unit"), broker="only", service="unit") for name in ("first", "quick")
        ],
        tasks=[TaskSpec("elsewhere", "quick", 8)],
    ) as app:
        yield app


@pytest.fixture
def add(app):
    @app.task(name="add", shared=False)
    def add(x, y=1):
        return x + y

    return add


def as_sent(sig, app=None) -> Signature:
    """What another process makes of a signature."""
    return Signature.from_dict(json.loads(json.dumps(sig)), app=app)


# Signatures ---------------------------------------------------------------------------------------------------------


def test_signatures_of_a_fleet(app, add):
    made = [
        *(add.s(1), add.si(1), add.signature((1,)), add.subtask((1,)), add.s(1).clone((2,)), add.s().partial(y=2)),
        *(app.signature("add", (1,)), app.signature(add.s(1)), app.signature(dict(add.s(1))), signature("add", (1,))),
        *(copy.copy(add.s(1)), chain(add.s(1), add.s(2)).tasks[0], group(add.s(1), add.s(2)).tasks[1]),
    ]
    assert {type(sig) for sig in made} == {FleetSignature}
    assert type(app.signature(dict(chain(add.s(1), add.s(2))))) is type(chain(add.s(1), add.s(2)))


def test_in_a_message_it_is_a_plain_signature(add):
    sig = add.s(1, y=2).set(priority=3)
    assert type(as_sent(sig)) is Signature
    assert as_sent(sig) == {**Signature("add", kwargs={"y": 2}, options={"priority": 3}), "args": [1]}


def test_a_stock_app_has_stock_signatures(add):
    stock = Celery("stock", set_as_current=False)

    @stock.task(name="theirs", shared=False)
    def theirs():
        pass

    assert type(theirs.s()) is Signature
    assert type(stock.signature("theirs")) is Signature


def test_partials(add):
    assert add.s(2).clone((1,)).args == (1, 2)
    assert add.s(2).clone(kwargs={"y": 3}, priority=9) == {**add.s(2), "kwargs": {"y": 3}, "options": {"priority": 9}}
    assert add.si(2).clone((1,)).args == (2,)


def test_arguments_of_an_immutable_signature_stay(add):
    sig = add.si(2, y=3)
    for attribute, value in (("args", (4,)), ("kwargs", {"y": 4})):
        with pytest.raises(ImmutableSignature, match="'add' is immutable"):
            setattr(sig, attribute, value)
    sig.args, sig.kwargs = [2], {"y": 3}
    assert sig.replace(args=(4,), options={"priority": 1}) == {**sig, "args": (4,), "options": {"priority": 1}}
    assert (sig.args, sig.kwargs) == ([2], {"y": 3})


def test_arguments_of_a_mutable_signature_can_be_assigned(add):
    sig = add.s(2)
    sig.args, sig.kwargs = (4,), {"y": 5}
    assert (sig.args, sig.kwargs) == ((4,), {"y": 5})
    assert sig() == 9


def test_chain_of_immutable_signatures_can_be_frozen(add):
    chain(add.si(1), add.si(2)).freeze()


# Stamps -------------------------------------------------------------------------------------------------------------


def stamps_of(app, sig) -> list:
    """Publish, and return the stamps of all messages."""
    with recording(app) as published:
        sig.apply_async()
    return [{name: one.headers["stamps"][name] for name in one.headers["stamped_headers"] or ()} for one in published]


def test_stamps_become_those_of_the_message(app, add):
    sig = add.s(1).stamp("priority", "high").stamp("retry", max_retries=5).stamp(kind="own", task="kept")
    assert stamps_of(app, sig) == [{"priority": "high", "retry": {"max_retries": 5}, "kind": "own", "task": "kept"}]
    assert stamps_of(app, as_sent(sig, app)) == stamps_of(app, sig)


@pytest.mark.parametrize("name", ["priority", "queue", "task_id", "immutable", "args", "eta", "stamped_headers", "app"])
def test_any_name_will_do(app, add, name):
    assert stamps_of(app, add.s(1).stamp(name, "value")) == [{name: "value"}]


def test_stamped_again_the_new_value_holds_and_fields_are_added(app, add):
    sig = add.s(1).stamp("a", 1).stamp("b", x=1).stamp("a", 2).stamp("b", y=2)
    assert stamps_of(app, sig) == [{"a": 2, "b": {"x": 1, "y": 2}}]


def test_every_part_of_a_canvas_is_stamped(app, add):
    last = add.s(2)
    last.link(add.s(3))
    last.link_error(add.s(4))
    whole = chain(add.s(1), chord([add.s(5), group(add.s(6))], last))
    stamp(whole, "a", "b")
    chord_ = whole.tasks[1]
    header = chord_.tasks.tasks
    parts = [
        whole.tasks[0],
        *header[:1],
        *header[1].tasks,
        chord_.body,
        *last.options["link"],
        *last.options["link_error"],
    ]
    for part in parts:
        assert stamps_of(app, part)[0] == {"a": "b"}, part
    assert stamps_of(app, whole) == [{"a": "b"}]


def test_parts_do_not_share_their_stamps(app, add):
    both = group(add.s(1), add.s(2))
    stamp(both, "a", x=1)
    both.tasks[0].stamp("a", y=2)
    assert stamps_of(app, both) == [{"a": {"x": 1, "y": 2}}, {"a": {"x": 1}}]


def test_stamp_needs_a_value_or_fields(add):
    for wrong in (lambda: add.s(1).stamp("a"), lambda: add.s(1).stamp("a", 1, x=2)):
        with pytest.raises(TypeError, match="either a value or fields"):
            wrong()
    assert add.s(1).stamp("a", None).options["fleet_stamps"] == {"a": None}


# Fan-out ------------------------------------------------------------------------------------------------------------


def test_map_makes_a_group(add):
    tuples = [(1, 2), (3, 4)]
    assert [sig.args for sig in map(add, "ab").tasks] == [("a",), ("b",)]
    assert [sig.args for sig in map(add.s, "ab").tasks] == [("a",), ("b",)]
    assert [sig.args for sig in map(add.s(9), iter("ab")).tasks] == [("a", 9), ("b", 9)]
    assert [sig.args for sig in starmap(add.s, tuples).tasks] == tuples
    assert map(add.s, []).tasks == []
    assert as_sent(map(add.s, "ab")) == as_sent(group(add.s("a"), add.s("b")))


def test_map_gives_the_item_to_whatever_comes_first(add):
    steps = chain(add.s(1), add.s(2))
    assert [sig.tasks[0].args for sig in map(steps, "ab").tasks] == [("a", 1), ("b", 1)]
    assert steps.tasks[0].args == (1,)
    (members,) = map(group(add.s(1), add.s(2)), "a").tasks
    assert [sig.args for sig in members.tasks] == [("a", 1), ("a", 2)]
    (whole,) = map(chord([add.s(1)], add.s(2)), "a").tasks
    assert [sig.args for sig in whole.tasks] == [("a", 1)]


def test_map_refuses_what_takes_no_item(add):
    with pytest.raises(ImmutableSignature, match="takes no item"):
        map(add.si(1), "ab")
    with pytest.raises(TypeError, match="Give a task, or its s"):
        map(str, "ab")


def test_chunks_hold_items_with_the_options_of_the_signature(add):
    first, last = chunks(add.s([1, 2, 3]).set(queue="quick", priority=7), n=2).tasks
    assert (first.task, first.kwargs["it"], last.kwargs["it"]) == ("celery.map", [1, 2], [3])
    assert first.options == last.options == {"queue": "quick", "priority": 7}
    (only,) = chunks(add.s([1, 2], 5), n=2).tasks
    assert (only.task, only.kwargs["it"]) == ("celery.starmap", [(1, 5), (2, 5)])


def test_what_calls_a_task_goes_where_that_task_goes(app, add):
    far = app.signature("elsewhere")
    with recording(app) as published:
        chunks(app.signature("elsewhere", ([1, 2, 3],)), n=2).apply_async()
        celery_chunks(far, [(1,), (2,), (3,)], 2, app=app).apply_async()
        xmap(far, [1, 2], app=app).apply_async()
        chord([xstarmap(far, [(1, 2)], app=app)], add.s()).apply_async()
        scatter(far).delay([1])
        scatter(chain(far, add.s(2))).delay([1])
    assert [(one.name, one.queue, one.priority) for one in published] == [
        *[("celery.map", "quick", 8)] * 2,
        *[("celery.starmap", "quick", 8)] * 2,
        ("celery.map", "quick", 8),
        ("celery.starmap", "quick", 8),
        *[("fleet.scatter", "quick", 8)] * 2,
    ]


def test_chunks_refuse_what_they_can_not_do(add):
    for wrong in (add.s(), add.s([1], y=2), chain(add.s([1]), add.s(2))):
        with pytest.raises(TypeError, match="first argument is the list"):
            chunks(wrong, n=2)
    with pytest.raises(ValueError, match="one item at least"):
        chunks(add.s([1]), n=0)


def test_scatter_goes_with_the_options_of_its_calls(app, add):
    with recording(app) as published:
        scatter(add.s().set(queue="quick", priority=9)).delay([1])
        scatter(add).delay([1])
    assert [(one.queue, one.priority) for one in published] == [("quick", 9), ("first", 4)]


def test_apps_of_others_have_no_scatter(app):
    assert "fleet.scatter" in app.tasks
    stock = Celery("stock", set_as_current=False)
    assert "fleet.scatter" not in stock.tasks
