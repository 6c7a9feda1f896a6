"""Tasks of a canvas that change it while it runs: they replace themselves, add members, retry."""

from __future__ import annotations

import pytest
from celery import chain, chord, group

from tests.fixtures.canvas import Deal, result_of
from tests.fleet.canvas_tasks import BROKERS, queue_of

nested = pytest.mark.concept("chain, group, chord, nested")
retries = pytest.mark.concept("retry")


def inner(kind: str, deal: Deal, value: str):
    """Something that may take the place of a task."""
    return {
        "task": lambda: deal.step(value, "a"),
        "chain": lambda: chain(deal.step(value, "a"), deal.step("b")),
        "group": lambda: group(deal.step(value, "a"), deal.step(value, "b")),
        "chord": lambda: chord([deal.step(value, "a"), deal.step(value, "b")], deal.step("c")),
        "chain that ends in a group": lambda: chain(deal.step(value, "a"), group(deal.step("b"), deal.step("c"))),
    }[kind]()


REPLACEMENTS = {
    "task": "a(i)",
    "chain": "b(a(i))",
    "group": ["a(i)", "b(i)"],
    "chord": "c([a(i), b(i)])",
    "chain that ends in a group": ["b(a(i))", "c(a(i))"],
}


def after(value) -> str:
    return f"z({value})".replace("'", "")


# Replaced -----------------------------------------------------------------------------------------------------------


@nested
@pytest.mark.parametrize("kind", REPLACEMENTS)
def test_replaced_by_itself_with_its_callback(deal, kind):
    sent = deal.replace(inner(kind, deal, "i")).apply_async(link=deal.note(deal.key))
    assert result_of(sent) == REPLACEMENTS[kind]
    assert deal.notes(1) == [str(REPLACEMENTS[kind])]


@nested
@pytest.mark.parametrize("kind", REPLACEMENTS)
def test_replaced_in_a_chain(deal, kind):
    sent = chain(deal.echo("x"), deal.replace(inner(kind, deal, "i")), deal.step("z")).apply_async()
    assert result_of(sent) == after(REPLACEMENTS[kind])


@nested
@pytest.mark.parametrize("kind", REPLACEMENTS)
def test_replaced_in_a_group_and_in_a_header(deal, kind):
    members = [deal.replace(inner(kind, deal, "i")), deal.echo("x")]
    assert result_of(group(members).apply_async()) == [REPLACEMENTS[kind], "x"]
    assert result_of(chord(members, deal.step("z")).apply_async()) == after([REPLACEMENTS[kind], "x"])


@nested
@pytest.mark.parametrize("kind", REPLACEMENTS)
def test_replaced_as_a_body(deal, kind):
    sent = chord([deal.echo(1), deal.echo(2)], deal.replace(inner(kind, deal, "i"))).apply_async()
    assert result_of(sent) == REPLACEMENTS[kind]


@nested
def test_replaced_by_what_is_replaced(deal):
    twice = deal.replace(deal.replace(deal.step("i", "a")))
    assert result_of(chain(deal.echo("x"), twice, deal.step("z")).apply_async()) == "z(a(i))"


@nested
def test_replacement_that_fails(deal):
    sent = deal.replace(chain(deal.echo(1), deal.fail())).apply_async(link_error=deal.failed(deal.key))
    with pytest.raises(ValueError, match="as asked"):
        result_of(sent)
    assert deal.notes(1) == [sent.id]


# Enlarged -----------------------------------------------------------------------------------------------------------


@nested
def test_members_are_added_to_a_header(deal):
    more = deal.add_to_chord("a", deal.echo("b"), chain(deal.echo("c"), deal.echo()))
    assert sorted(result_of(chord([more, deal.echo("d")], deal.echo()).apply_async())) == ["a", "b", "c", "d"]


@nested
def test_members_are_added_to_a_header_in_a_chain(deal):
    sent = chain(deal.echo("a"), group(deal.add_to_chord(deal.echo("b")), deal.echo()), deal.echo()).apply_async()
    assert sorted(result_of(sent)) == ["a", "a", "b"]


# Retried ------------------------------------------------------------------------------------------------------------


@retries
def test_retried_in_a_chain(deal):
    assert result_of(chain(deal.add(1, 1), deal.retry(deal.key), deal.add(1)).apply_async()) == 3
    assert deal.notes(2) == ["0", "1"]


@retries
def test_retried_in_a_header_and_a_body(deal):
    sent = chord([deal.retry(1, deal.key), deal.add(1, 1)], deal.retry(deal.key)).apply_async()
    assert result_of(sent) == [1, 2]
    assert deal.notes(4) == ["0", "1", "0", "1"]


@retries
def test_retried_on_another_broker(deal, target):
    elsewhere = queue_of(BROKERS[(BROKERS.index(target) + 1) % 3])
    sent = chain(deal.retry(1, deal.key, elsewhere), deal.add(1)).apply_async()
    assert result_of(sent) == 2
    assert deal.notes(2) == ["0", "1"]


# Immutable ----------------------------------------------------------------------------------------------------------


@pytest.mark.concept("immutability")
def test_immutable_in_each_place(deal):
    fixed = deal.add(5, 5).set(immutable=True)
    assert result_of(chain(deal.add(1, 1), fixed, deal.add(1)).apply_async()) == 11
    assert result_of(chain(deal.add(1, 1), group(fixed, deal.add(1))).apply_async()) == [10, 3]
    assert result_of(chord([deal.add(1, 1), deal.add(2, 2)], fixed).apply_async()) == 10
