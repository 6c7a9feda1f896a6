"""Chains, groups and chords in each other, over all brokers: every way that Celery permits, and every size."""

from __future__ import annotations

from itertools import product

import pytest
from celery import chain, chord, group

from tests.fixtures.canvas import Deal, dealing_from, result_of
from tests.fleet.canvas_tasks import BROKERS, app, queue_of
from tests.fleet.canvas_trees import CONTENTS, EMPTY, PLACES, body, canvas, result

pytestmark = pytest.mark.concept("chain, group, chord, nested")

INNER = [(place, name, place(tree)) for place in PLACES for name, tree in CONTENTS.items()]
"""Everything in every place."""
DEEPER = [
    pytest.param(outer(tree), id=f"{outer.__name__}-{place.__name__}-{name}")
    for outer, (place, name, tree) in product(PLACES, INNER)
    if not (place is body and CONTENTS[name] == EMPTY)  # in Celery, too, such a chord in another canvas never ends
]
"""All of that in every place again."""
MIXES = list(product(BROKERS, repeat=3))


@pytest.mark.parametrize("tree", [pytest.param(tree, id=f"{place.__name__}-{name}") for place, name, tree in INNER])
def test_everything_in_every_place(tree, target):
    assert result_of(canvas(tree, dealing_from(target)).apply_async(("i",))) == result(tree, "i")


@pytest.mark.parametrize("tree", DEEPER[::8])
def test_nested_deeper(tree):
    """An eighth of all, evenly."""
    assert result_of(canvas(tree, dealing_from(BROKERS[0])).apply_async(("i",))) == result(tree, "i")


@pytest.mark.parametrize(
    ("build", "wanted"),
    [
        pytest.param(chain, "c(b(a(i)))", id="chain"),
        pytest.param(group, ["a(i)", "b(i)", "c(i)"], id="group"),
        pytest.param(lambda a, b, c: chord([a, b], c), "c([a(i), b(i)])", id="chord"),
        pytest.param(lambda a, b, c: chord([a], group(b, c)), ["b([a(i)])", "c([a(i)])"], id="group as a body"),
        pytest.param(lambda a, b, c: chain(a, group(b, c)), ["b(a(i))", "c(a(i))"], id="group as a last step"),
    ],
)
def test_every_mix_of_brokers(build, wanted):
    sent = {mix: build(*steps_on(mix)).apply_async(("i",)) for mix in MIXES}
    assert {mix: result_of(one) for mix, one in sent.items()} == dict.fromkeys(MIXES, wanted)


def steps_on(brokers):
    """Three steps, each on the broker that is meant for it."""
    for name, broker in zip("abc", brokers, strict=True):
        yield app.signature("canvas.step", args=(name,), queue=queue_of(broker))


@pytest.fixture
def deal() -> Deal:
    return dealing_from(BROKERS[0])


@pytest.mark.parametrize("size", [0, 1, 1000])
def test_group_of_any_size(deal, size):
    assert result_of(group([deal.add(n, 1) for n in range(size)], app=app).apply_async()) == list(range(1, size + 1))


@pytest.mark.parametrize("size", [0, 1, 1000])
def test_chord_of_any_size(deal, size):
    sent = chord([deal.add(n, 1) for n in range(size)], deal.total(), app=app).apply_async()
    assert result_of(sent) == sum(range(1, size + 1))


@pytest.mark.parametrize("size", [0, 1, 1000])
def test_body_of_any_size(deal, size):
    members = group([deal.add([n]) for n in range(size)], app=app)
    sent = chord([deal.echo(1), deal.echo(2)], members).apply_async()
    assert result_of(sent) == [[1, 2, n] for n in range(size)]


@pytest.mark.parametrize("size", [1, 200])
def test_chain_of_any_size(deal, size):
    """Each message of a chain holds all steps that are left, so the work grows with the square of the size."""
    assert result_of(chain([deal.add(0, 1), *(deal.add(1) for _ in range(size - 1))]).apply_async()) == size


def test_empty_chain():
    assert chain(app=app).apply_async() is None
