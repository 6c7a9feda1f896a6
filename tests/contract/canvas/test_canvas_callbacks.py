"""Callbacks and errbacks over all brokers: each runs once, on its own broker, wherever the error is."""

from __future__ import annotations

import pytest
from celery import chain, chord, group
from celery.exceptions import ChordError

from tests.fixtures.canvas import ends_as, result_of

pytestmark = pytest.mark.concept("callbacks")


def fails(sent, error=ValueError):
    with pytest.raises(error):
        result_of(sent)
    return True


# Callbacks ----------------------------------------------------------------------------------------------------------


def test_callback(deal):
    assert result_of(deal.add(1, 1).apply_async(link=deal.note(deal.key))) == 2
    assert deal.notes(1) == ["2"]


def test_several_callbacks(deal):
    assert result_of(deal.add(1, 1).apply_async(link=[deal.note(deal.key), deal.note(5, deal.key)])) == 2
    assert sorted(deal.notes(2)) == ["2", "2"]


def test_chain_as_a_callback(deal):
    deal.add(1, 1).apply_async(link=chain(deal.add(1), deal.note(deal.key)))
    assert deal.notes(1) == ["3"]


def test_group_as_a_callback(deal):
    deal.add(1, 1).apply_async(link=group(deal.note(deal.key), deal.note(deal.key)))
    assert deal.notes(2) == ["2", "2"]


def test_chord_as_a_callback(deal):
    body = chain(deal.total(), deal.note(deal.key))
    deal.add(1, 1).apply_async(link=chord([deal.add(1), deal.add(2)], body))
    assert deal.notes(1) == ["7"]


def test_callback_of_a_callback(deal):
    callback = deal.add(1)
    callback.link(deal.note(deal.key))
    deal.add(1, 1).apply_async(link=callback)
    assert deal.notes(1) == ["3"]


def test_immutable_callback(deal):
    deal.add(1, 1).apply_async(link=deal.note(9, deal.key).set(immutable=True))
    assert deal.notes(1) == ["9"]


def test_callback_that_retries(deal):
    callback = deal.retry(deal.key)
    callback.link(deal.note(deal.key))
    deal.add(1, 1).apply_async(link=callback)
    assert deal.notes(3) == ["0", "1", "2"]


def test_callback_of_a_chain_follows_its_last_step(deal):
    steps = chain(deal.add(1, 1), deal.add(1))
    steps.link(deal.note(deal.key))
    assert result_of(steps.apply_async()) == 3
    assert result_of(chain(deal.add(1, 1), deal.add(2)).apply_async(link=deal.note(deal.key))) == 4
    assert sorted(deal.notes(2)) == ["3", "4"]


def test_callback_of_a_group_follows_its_first_member(deal):
    members = group(deal.add(1, 1), deal.add(2, 2))
    members.link(deal.note(7, deal.key))
    assert result_of(members.apply_async()) == [2, 4]
    assert deal.notes(1) == ["7"]


def test_callback_of_a_chord_follows_its_body(deal):
    whole = chord([deal.add(1, 1), deal.add(2, 2)], deal.total())
    whole.link(deal.note(deal.key))
    assert result_of(whole.apply_async(link=deal.note(deal.key))) == 6
    assert deal.notes(2) == ["6", "6"]


# Errbacks -----------------------------------------------------------------------------------------------------------


def test_errback_that_is_published(deal):
    sent = deal.fail().apply_async(link_error=deal.failed(deal.key))
    assert fails(sent)
    assert deal.notes(1) == [sent.id]


def test_errback_that_is_called_where_the_task_failed(deal):
    """One that takes the request, the error and the traceback is no message: Celery calls it in the same process."""
    sent = deal.fail().apply_async(link_error=deal.failed_here(deal.key))
    assert fails(sent)
    assert deal.notes(1) == [f"{sent.id} ValueError"]


def test_several_errbacks(deal):
    sent = deal.fail().apply_async(link_error=[deal.failed(deal.key), deal.failed_here(deal.key)])
    assert sorted(deal.notes(2)) == [sent.id, f"{sent.id} ValueError"]


def test_no_errback_after_success(deal):
    assert result_of(deal.add(1, 1).on_error(deal.failed(deal.key)).apply_async(link=deal.note(deal.key))) == 2
    assert deal.notes(1) == ["2"]


def test_callback_that_fails_leaves_the_result(deal):
    callback = deal.fail().on_error(deal.failed(deal.key))
    assert result_of(deal.add(1, 1).apply_async(link=callback)) == 2
    assert len(deal.notes(1)) == 1


@pytest.mark.parametrize("failing", [0, 1, 2])
def test_step_of_a_chain(deal, failing):
    steps = [deal.add(*([1, 1] if step == 0 else [1])) for step in range(3)]
    steps[failing] = deal.fail().set(queue=steps[failing].options["queue"])
    sent = chain(*steps).on_error(deal.failed(deal.key)).apply_async(link=deal.note(deal.key))
    failed = [sent.parent.parent, sent.parent, sent][failing]
    assert fails(sent)
    assert deal.notes(1) == [failed.id]
    assert ends_as(sent, "FAILURE")


def test_errback_of_one_step(deal):
    sent = chain(deal.add(1, 1), deal.fail().on_error(deal.failed(deal.key)), deal.note(deal.key)).apply_async()
    assert fails(sent)
    assert deal.notes(1) == [sent.parent.id]


def test_member_of_a_group(deal):
    sent = group(deal.add(1, 1), deal.fail().on_error(deal.failed(deal.key)), deal.add(2, 2)).apply_async()
    assert fails(sent)
    assert [result_of(sent[0]), result_of(sent[2])] == [2, 4]
    assert deal.notes(1) == [sent[1].id]


def test_every_member_of_a_group(deal):
    members = group(deal.fail(), deal.fail())
    members.link_error(deal.failed(deal.key))
    sent = members.apply_async()
    assert fails(sent)
    assert sorted(deal.notes(2)) == sorted(one.id for one in sent)


@pytest.mark.parametrize("failing", [1, 3])
def test_header_calls_the_errback_of_the_body_once(deal, failing):
    header = [deal.fail() for _ in range(failing)] + [deal.add(1, 1)]
    sent = chord(header, deal.total().on_error(deal.failed(deal.key))).apply_async()
    assert deal.notes(1) == [sent.id]
    assert ends_as(sent, "FAILURE")
    assert isinstance(sent.result, ChordError)


def test_header_calls_an_errback_that_takes_the_error(deal):
    sent = chord([deal.add(1, 1), deal.fail()], deal.total().on_error(deal.failed_here(deal.key))).apply_async()
    assert deal.notes(1) == [f"{sent.id} ChordError"]


def test_errback_of_a_chord_given_with_the_call(deal):
    sent = chord([deal.add(1, 1), deal.fail()], deal.total()).apply_async(link_error=deal.failed(deal.key))
    assert deal.notes(1) == [sent.id]


def test_errback_of_a_member_of_the_header(deal):
    sent = chord([deal.add(1, 1), deal.fail().on_error(deal.failed(deal.key))], deal.total()).apply_async()
    assert deal.notes(1) == [sent.parent[1].id]
    assert ends_as(sent, "FAILURE")


def test_chain_in_the_header(deal):
    header = [deal.add(1, 1), chain(deal.fail(), deal.add(1), deal.add(1))]
    sent = chord(header, deal.total().on_error(deal.failed(deal.key))).apply_async()
    assert deal.notes(1) == [sent.id]
    assert ends_as(sent, "FAILURE")


def test_body(deal):
    sent = chord([deal.add(1, 1), deal.add(2, 2)], deal.fail().on_error(deal.failed(deal.key))).apply_async()
    assert fails(sent)
    assert deal.notes(1) == [sent.id]


def test_header_of_a_chain_as_the_body(deal):
    body = chain(deal.total(), deal.add(1)).on_error(deal.failed(deal.key))
    sent = chord([deal.add(1, 1), deal.fail()], body).apply_async()
    assert len(deal.notes(1)) == 1
    assert ends_as(sent, "FAILURE")


def test_step_of_a_chain_as_the_body(deal):
    body = chain(deal.total(), deal.fail(), deal.add(1)).on_error(deal.failed(deal.key))
    sent = chord([deal.add(1, 1), deal.add(2, 2)], body).apply_async()
    assert fails(sent)
    assert len(deal.notes(1)) == 1


def test_header_of_a_group_as_the_body(deal):
    members = group(deal.total(), deal.total())
    members.link_error(deal.failed(deal.key))
    sent = chord([deal.add(1, 1), deal.fail()], members).apply_async()
    assert sorted(deal.notes(2)) == sorted(one.id for one in sent)


@pytest.mark.filterwarnings("ignore:task_allow_error_cb_on_chord_header")
def test_header_in_a_chain(deal):
    middle = chord([deal.add(1), deal.fail()], deal.total())
    sent = chain(deal.add(1, 1), middle, deal.add(1)).apply_async(link_error=deal.failed(deal.key))
    assert len(deal.notes(1)) == 1
    assert ends_as(sent, "FAILURE")


def test_header_in_a_group(deal):
    inner = chord([deal.add(1, 1), deal.fail()], deal.total().on_error(deal.failed(deal.key)))
    sent = group(deal.add(1, 1), inner).apply_async()
    assert fails(sent, ChordError)
    assert deal.notes(1) == [sent[1].id]
