"""Routing is total over its tables, stable, and refuses everything else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InvalidPriority, InvalidTable, MisroutedQueue, MixedBrokers, UnknownQueue
from shared.priorities import checked
from shared.routing import RoutingTable, TaskSpec

names = st.text(st.characters(categories=["L", "Nd"]), min_size=1, max_size=8)
owners = st.dictionaries(names, st.sampled_from(["red", "green", "blue"]), min_size=1, max_size=12)


@given(owners, st.data())
def test_a_queue_has_one_owner_whoever_asks(owners, data):
    queue = data.draw(st.sampled_from(sorted(owners)))
    table = RoutingTable(owners, [], queue)
    assert table.owner(queue) == table.destination(queue, None) == table.destination(queue, owners[queue])
    assert queue in table.queues_of(owners[queue])


@given(owners, st.data())
def test_a_broker_that_does_not_own_the_queue_is_refused(owners, data):
    queue = data.draw(st.sampled_from(sorted(owners)))
    other = data.draw(st.sampled_from(["red", "green", "blue"]).filter(lambda alias: alias != owners[queue]))
    with pytest.raises(MisroutedQueue, match=other):
        RoutingTable(owners, [], queue).destination(queue, other)


@given(owners, names)
def test_an_unknown_queue_is_refused_everywhere(owners, name):
    table = RoutingTable(owners, [], next(iter(owners)))
    if name not in owners:
        with pytest.raises(UnknownQueue):
            table.owner(name)
        with pytest.raises(UnknownQueue):
            table.the_one_broker([name])
        with pytest.raises(InvalidTable):
            RoutingTable(owners, [TaskSpec("task", name)], next(iter(owners)))


@given(owners, st.data())
def test_queues_have_one_broker_exactly_when_their_owners_agree(owners, data):
    queues = data.draw(st.lists(st.sampled_from(sorted(owners)), min_size=1))
    table = RoutingTable(owners, [], queues[0])
    if len({owners[queue] for queue in queues}) == 1:
        assert table.the_one_broker(queues) == owners[queues[0]]
    else:
        with pytest.raises(MixedBrokers):
            table.the_one_broker(queues)


@given(st.integers())
def test_priorities_are_zero_to_nine(number):
    if 0 <= number <= 9:
        assert checked(number) == number
    else:
        with pytest.raises(InvalidPriority):
            checked(number)


@given(st.one_of(st.text(), st.floats(), st.booleans(), st.none()))
def test_nothing_but_a_whole_number_is_a_priority(value):
    with pytest.raises(InvalidPriority):
        checked(value)
