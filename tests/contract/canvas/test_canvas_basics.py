"""What a guide to Celery shows of the canvas, on each broker and in each pool.

The first task runs in the worker of ``target`` and ``pool``, which publishes what comes after it; that runs on the
other brokers.
"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from celery import Signature, chain, chord, group, xmap
from celery.canvas import StampingVisitor

from shared.canvas import ImmutableSignature, chunks, map, scatter, stamp, starmap  # noqa: A004
from tests.fixtures.canvas import canvas_workers, dealing_from, result_of
from tests.fleet import canvas_tasks
from tests.fleet.canvas_tasks import BROKERS, POOLS, app, queue_of


@pytest.fixture(scope="module", autouse=True)
def workers(brokers, tmp_path_factory):
    with canvas_workers(tmp_path_factory.mktemp("workers"), [(broker, pool) for broker in BROKERS for pool in POOLS]):
        yield


@pytest.fixture(params=POOLS)
def pool(request):
    """The pool of the first task's worker."""
    return request.param


@pytest.fixture
def queue(target, pool):
    return queue_of(target, pool)


@pytest.fixture
def deal(target, pool):
    return dealing_from(target, pool)


@pytest.fixture
def add():
    return canvas_tasks.add


@pytest.fixture
def echo():
    return canvas_tasks.echo


@pytest.mark.concept("signatures, partials, templates")
def test_partial(add, queue):
    template = add.s(2).set(queue=queue)
    assert [result_of(template.delay(n)) for n in range(3)] == [2, 3, 4]
    assert result_of(app.signature("canvas.add", kwargs={"x": 1}, queue=queue).delay(y=5)) == 6
    assert result_of(template.clone((10,)).delay()) == 12
    assert result_of(template.replace(args=(1, 1)).delay()) == 2


@pytest.mark.concept("immutability")
def test_immutable(add, queue):
    assert result_of(chain(add.si(1, 1).set(queue=queue), add.si(5, 5).set(queue=queue)).delay()) == 10
    fixed = app.signature("canvas.add", args=(2, 2), queue=queue, immutable=True)
    with pytest.raises(ImmutableSignature, match=r"canvas\.add.* is immutable"):
        fixed.args = (3, 3)
    assert result_of(fixed.delay(7)) == 4
    free = add.s(2, 2).set(queue=queue)
    free.args = (3, 3)
    assert result_of(free.delay()) == 6


@pytest.mark.concept("callbacks")
def test_callback_and_errback(deal):
    assert result_of(deal.add(1, 1).apply_async(link=deal.note(deal.key), link_error=deal.failed(deal.key))) == 2
    assert deal.notes(1) == ["2"]
    deal.add(1, 1)  # the next is on the first broker again
    failed = deal.fail().apply_async(link=deal.note(deal.key), link_error=deal.failed(deal.key))
    assert deal.notes(2) == ["2", failed.id]


@pytest.mark.concept("chain, group, chord, nested")
def test_chain(deal):
    assert result_of(chain(deal.add(1, 1), deal.add(2), deal.add(3), deal.add(4)).delay()) == 11
    assert result_of((deal.add(1, 1) | deal.add(2)).delay()) == 4


@pytest.mark.concept("chain, group, chord, nested")
def test_group(deal):
    assert result_of(group(deal.add(n, n) for n in range(4)).delay()) == [0, 2, 4, 6]


@pytest.mark.concept("chain, group, chord, nested")
def test_chord(deal):
    assert result_of(chord(deal.add(n, n) for n in range(4))(deal.total())) == 12


@pytest.mark.concept("chain, group, chord, nested")
def test_nested(deal):
    inner = chord([deal.add(1), chain(deal.add(2), deal.add(3))], deal.total())
    whole = chain(deal.add(1, 1), inner, group(deal.add(1), deal.add(2)), deal.total(), deal.add(1))
    assert result_of(whole.delay()) == (3 + 7) + 1 + (3 + 7) + 2 + 1


@pytest.mark.concept("chain, group, chord, nested")
def test_task_that_changes_its_canvas(deal):
    replaced = deal.replace(group(deal.echo(1), deal.echo(2)))
    sent = chord([replaced, deal.add_to_chord(3, deal.echo(4))], deal.echo()).delay()
    assert sorted(result_of(sent), key=str) == [3, 4, [1, 2]]


@pytest.mark.concept("chunks")
def test_chunks(add, echo, queue):
    """A guide's form and Celery's own."""
    assert result_of(chunks(echo.s(range(7)).set(queue=queue), n=3).delay()) == [[0, 1, 2], [3, 4, 5], [6]]
    assert result_of(add.chunks(zip(range(3), range(3), strict=True), 2).apply_async(queue=queue)) == [
        [0, 2],
        [4],
    ]


@pytest.mark.concept("map, starmap")
def test_map_and_starmap(add, echo, queue):
    """In parallel, one message each; and Celery's own, one message in all."""
    assert result_of(map(echo.s().set(queue=queue), "abc").delay()) == ["a", "b", "c"]
    assert result_of(map(lambda n: add.s(n, 1).set(queue=queue), range(3)).delay()) == [1, 2, 3]
    assert result_of(starmap(add.s().set(queue=queue), [(1, 2), (3, 4)]).delay()) == [3, 7]
    assert result_of(xmap(echo.s(), "abc", app=app).apply_async(queue=queue)) == ["a", "b", "c"]


@pytest.mark.concept("scatter")
def test_scatter(add, deal, queue):
    each = add.s(10).set(queue=queue)
    assert result_of(chord([deal.add(n, n) for n in range(3)], scatter(each)).delay()) == [10, 12, 14]
    assert result_of(chain(deal.echo(1, 2), scatter(each), deal.total()).delay()) == 23


class PerTask(StampingVisitor):
    def on_signature(self, sig: Signature, **_) -> dict:
        return {"task": sig.task}


@pytest.mark.concept("stamping")
def test_stamps(deal):
    """By name and value, by name and fields, Celery's own by keyword, and a visitor's."""
    sig = deal.request().stamp("priority", "high").stamp("retry", max_retries=5).stamp(kind="test")
    sig.stamp(PerTask())
    found = result_of(sig.delay())
    assert found["stamps"] == {
        "priority": "high",
        "retry": {"max_retries": 5},
        "kind": "test",
        "task": "canvas.request",
    }
    assert found["priority"] == 4


@pytest.mark.concept("stamping")
def test_stamps_on_one_link_on_callbacks_and_through_retries(deal):
    steps = chain(deal.request(), deal.request().stamp("only", "here"), deal.request())
    sent = steps.delay()
    assert [result_of(one)["stamps"] for one in (sent.parent.parent, sent.parent, sent)] == [{}, {"only": "here"}, {}]
    callback = deal.request(deal.key)
    callback.link(deal.note(deal.key))
    retried = deal.request_after_retry()
    retried.link(callback)
    found = result_of(stamp(retried, "priority", "high").delay())
    assert (found["retries"], found["stamps"], found["priority"]) == (1, {"priority": "high"}, 4)
    assert "'stamps': {'priority': 'high'}" in deal.notes(1)[0]


@pytest.mark.concept("retry")
def test_retry(deal):
    assert result_of(chain(deal.retry(1, deal.key), deal.add(1)).delay()) == 2
    assert deal.notes(2) == ["0", "1"]


@pytest.mark.concept("eta, countdown, expires")
def test_countdown(deal):
    started = datetime.now(UTC)
    sent = chain(deal.add(1, 1), deal.add(1).set(countdown=0.3)).apply_async(countdown=0.3)
    assert result_of(sent) == 3
    assert (sent.date_done - started).total_seconds() >= 0.6
