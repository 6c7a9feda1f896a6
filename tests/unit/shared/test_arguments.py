"""References to large arguments: what they stand for, and where they do not lead."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from celery import Signature

from shared.arguments import REFERENCE, WORTH_STORING_BYTES, LargeArguments, resolved
from shared.errors import ArgumentUnavailable
from shared.storage import Storage

NOON = datetime(2026, 11, 21, 12, 30, tzinfo=UTC)


class Clock:
    def __init__(self):
        self.now = NOON

    def __call__(self):
        return self.now


@pytest.fixture
def large(tmp_path):
    return LargeArguments(Storage(tmp_path), clock=Clock())


def test_a_reference_is_replaced_wherever_it_is(large):
    stored = large.put({"a": 1})
    given = ([1, stored], {"deep": [{"er": stored}]}, (stored,))
    assert resolved(given, large) == ([1, {"a": 1}], {"deep": [{"er": {"a": 1}}]}, ({"a": 1},))


def test_a_value_without_any_is_the_same_object(large):
    value = [{"a": [1, 2]}, Signature("try.echo")]
    assert resolved(value, large) is value
    assert resolved(value, None) is value


def test_a_signature_keeps_its_references(large):
    stored = large.put("text")
    signature = dict(Signature("try.echo", (stored,)))
    assert resolved([signature, stored], large) == [signature, "text"]


def test_only_what_is_worth_it_goes_to_storage(large):
    small, big = "x" * (WORTH_STORING_BYTES - 3), "x" * WORTH_STORING_BYTES
    args, kwargs = large.offloaded((small, big), {"small": small, "big": big, "stored": large.put(1)})
    assert args[0] == kwargs["small"] == small
    assert args[1] == kwargs["big"]
    assert large.get(args[1]) == big
    assert large.get(kwargs["stored"]) == 1


@pytest.mark.parametrize(
    "path", ["../../etc/passwd", "/etc/passwd", "arguments/2026-11-21T12/../../ledger.db", "results/x", 7, None]
)
def test_a_reference_leads_nowhere_but_to_arguments(large, path):
    with pytest.raises(ArgumentUnavailable, match="no path there"):
        resolved([{REFERENCE: path}], large)


def test_a_reference_to_a_result_is_none_to_an_argument(large):
    stored = large.put("text")
    with pytest.raises(ArgumentUnavailable, match="no path there"):
        large.get({REFERENCE: stored[REFERENCE].replace("arguments/", "results/")})


def test_a_damaged_argument_is_refused(large):
    stored = large.put("whole")
    large.storage.path(stored[REFERENCE]).write_bytes(b'"whol"')
    with pytest.raises(ArgumentUnavailable, match="damaged"):
        large.get(stored)


def test_without_storage_a_reference_says_what_to_do(large):
    with pytest.raises(ArgumentUnavailable, match=r"large, 6 bytes, .* give its FleetCelery large_arguments="):
        resolved([large.put("text")], None)


def test_arguments_are_removed_when_their_whole_hour_is_old_enough(large):
    stored = large.put("old")
    large.clock.now = NOON + timedelta(days=30, minutes=29)
    assert large.remove_expired() == 0, "the last of that hour is younger than that"
    large.clock.now = NOON + timedelta(days=30, minutes=30)
    assert large.remove_expired() == 1
    with pytest.raises(ArgumentUnavailable, match="removed after 30 days"):
        large.get(stored)
