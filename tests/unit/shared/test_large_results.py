"""Large results in storage: whole or not at all, found by content, removed by the hour, refused when damaged."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from shared.errors import ResultUnavailable
from shared.results.large import REFERENCE, LargeResults, ResultNotStored
from shared.storage import Storage

NOON = datetime(2026, 11, 21, 12, 30, tzinfo=UTC)


class Clock:
    def __init__(self):
        self.now = NOON

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def large(tmp_path, clock):
    return LargeResults(Storage(tmp_path / "storage"), clock=clock)


def objects(large):
    return sorted(str(path.relative_to(large.storage.root)) for path in large.storage.root.rglob("*") if path.is_file())


def test_what_was_put_is_got(large):
    reference = large.put(b'"a result"')
    assert reference["bytes"] == 10
    assert large.get(reference) == b'"a result"'


def test_the_same_result_lies_there_once_an_hour(large, clock):
    first, second = large.put(b"same"), large.put(b"same")
    assert first == second
    clock.now += timedelta(hours=1)
    assert large.put(b"same") != first
    assert len(objects(large)) == 2


def test_what_cannot_be_written_fails_with_what_to_do_and_leaves_nothing(large):
    large.storage.root.parent.mkdir(exist_ok=True)
    large.storage.root.write_text("a file where the folder should be")
    with pytest.raises(ResultNotStored, match=r"The result is large, 4 bytes, and can't be written to .*storage"):
        large.put(b"four")


def test_another_process_without_that_storage_is_told_so(large, tmp_path):
    elsewhere = LargeResults(Storage(tmp_path / "elsewhere"))
    with pytest.raises(ResultUnavailable, match=r"as results/2026-11-21T12/\w{64}, which can't be read"):
        elsewhere.get(large.put(b"here"))


def test_a_damaged_result_is_refused(large):
    reference = large.put(b"whole")
    large.storage.path(reference[REFERENCE]).write_bytes(b"whol")
    with pytest.raises(ResultUnavailable, match="damaged"):
        large.get(reference)


@pytest.mark.parametrize(
    "path", ["../../etc/passwd", "/etc/passwd", "results/2026-11-21T12/../../ledger.db", "jobs/job-1/in/f", 7, None]
)
def test_a_reference_leads_nowhere_but_to_results(large, path):
    with pytest.raises(ResultUnavailable, match="no path of one"):
        large.get({REFERENCE: path})


def test_results_are_removed_when_their_whole_hour_is_old_enough(large, clock):
    old = large.put(b"old")
    clock.now = NOON + timedelta(hours=1)
    young = large.put(b"young")
    clock.now = NOON + timedelta(hours=24, minutes=29)
    assert large.remove_older_than(timedelta(days=1)) == 0, "the last of that hour is younger than a day"
    clock.now = NOON + timedelta(hours=24, minutes=30)
    assert large.remove_older_than(timedelta(days=1)) == 1
    assert objects(large) == [young[REFERENCE]]
    with pytest.raises(ResultUnavailable, match="It has expired"):
        large.get(old)


def test_there_may_be_nothing_to_remove(large):
    assert large.remove_older_than(timedelta(days=1)) == 0
