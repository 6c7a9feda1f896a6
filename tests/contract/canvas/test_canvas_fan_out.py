"""Fan-outs as guides write them, over all brokers and inside of canvases."""

from __future__ import annotations

import pytest
from celery import chain, chord, group

from shared.canvas import chunks, map, scatter, starmap  # noqa: A004
from tests.fixtures.canvas import dealing_from, ends_as, result_of
from tests.fleet.canvas_tasks import BROKERS, app

maps = pytest.mark.concept("map, starmap")
scattering = pytest.mark.concept("scatter")


@maps
def test_map_over_all_brokers_at_once():
    """In the order of the items, whoever runs them."""
    deal = dealing_from(BROKERS[0])
    sent = map(lambda n: deal.add(n, 1), range(1000)).delay()
    assert result_of(sent) == list(range(1, 1001))


@maps
def test_map_as_a_header_and_in_a_chain(deal):
    assert result_of(chord(map(deal.add(1), range(5)), deal.total()).delay()) == 15
    assert result_of(chain(map(deal.add(1), range(5)), deal.total(), deal.add(1)).delay()) == 16
    assert result_of(chord([deal.echo(1)], map(deal.step("a"), ["b"])).delay()) == ["a([1], b)"]


@maps
def test_map_of_chains(deal):
    assert result_of(map(chain(deal.add(1), deal.add(10)), range(3)).delay()) == [11, 12, 13]


@maps
def test_map_inside_a_task(deal):
    assert result_of(chain(deal.fan_out(deal.add(1), [1, 2, 3]), deal.total()).delay()) == 9


@maps
def test_map_with_errors_and_without_items(deal):
    sent = starmap(deal.fail().on_error(deal.failed(deal.key)), [(1, 2), (3, 4)]).delay()
    with pytest.raises(ValueError, match="as asked"):
        result_of(sent)
    assert sorted(deal.notes(2)) == sorted(one.id for one in sent)
    assert result_of(map(deal.echo(), []).delay()) == []


@pytest.mark.concept("chunks")
def test_chunks_as_a_header_and_with_more_arguments(deal):
    assert result_of(chord(chunks(deal.echo(range(5)), n=2), deal.echo()).delay()) == [[0, 1], [2, 3], [4]]
    assert result_of(chunks(deal.add(range(5), 10), n=2).delay()) == [[10, 11], [12, 13], [14]]


@scattering
def test_each_result_goes_to_one_call(deal):
    """The guide's form gives the whole list to each member of the body."""
    header = group(deal.add(n, n) for n in range(4))
    assert result_of(chord(header, scatter(deal.add(1))).delay()) == [1, 3, 5, 7]
    guide = chord(header, group(deal.echo() for _ in range(2)))
    assert result_of(guide.delay()) == [[0, 2, 4, 6]] * 2


@scattering
def test_scatter_in_a_chain_and_to_canvases(deal):
    header = group(deal.add(n, n) for n in range(3))
    assert result_of(chain(header, scatter(deal.add(1)), deal.total()).delay()) == 9
    assert result_of(chain(header, scatter(chain(deal.add(1), deal.add(10)))).delay()) == [11, 13, 15]
    each = chord([deal.add(1), deal.add(2)], deal.total())
    assert result_of(chain(deal.echo(1, 2), scatter(each)).delay()) == [5, 7]


@scattering
def test_scatter_with_one_result_or_none(deal):
    assert result_of(chord([deal.add(1, 1)], scatter(deal.add(1))).delay()) == [3]
    assert result_of(chord([], scatter(deal.add(1)), app=app).delay()) == []


@scattering
@pytest.mark.filterwarnings("ignore:task_allow_error_cb_on_chord_header")
def test_scatter_with_errors(deal):
    body = scatter(deal.fail()).on_error(deal.failed(deal.key))
    sent = chord([deal.echo(1), deal.echo(2)], body).delay()
    assert deal.notes(1) == [sent.id]
    assert ends_as(sent, "FAILURE")
