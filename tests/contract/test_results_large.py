"""Large results lie in storage, the store holds a reference, and who asks sees no difference."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from celery import chain, chord, group

from shared.errors import ResultUnavailable
from shared.results.large import REFERENCE, LargeResults
from shared.storage import Storage
from tests.fixtures.stores import CREW, INLINE_BYTES, SOLO
from tests.fleet.inspection import wait_for
from tests.fleet.storing import fleet

pytestmark = [
    pytest.mark.concept("result store"),
    pytest.mark.parametrize("store", ["redis", "postgresql", "memcached"], indirect=True, scope="module"),
]

EACH_WORKER = pytest.mark.parametrize(("target", "pool"), [*CREW, SOLO], ids=["-".join(each) for each in (*CREW, SOLO)])
LARGE = 5 * INLINE_BYTES
SECONDS = 30


def kept(store, task_id: str):
    """What the store itself holds of a result."""
    backend = store.app.backend
    if store.name == "postgresql":
        with backend.ResultSession() as session:
            return json.loads(session.query(backend.task_cls).filter_by(task_id=task_id).one().result)
    return json.loads(backend.get(backend.get_key_for_task(task_id)))["result"]


@EACH_WORKER
def test_the_store_holds_a_reference_and_the_client_gets_the_result(store, target, pool):
    result = store.send("text", "x", LARGE, target=target, pool=pool)
    assert result.get(timeout=SECONDS) == "x" * LARGE
    reference = kept(store, result.id)
    assert set(reference) == {REFERENCE, "bytes"}
    assert (store.storage / reference[REFERENCE]).stat().st_size == reference["bytes"] == LARGE + 2
    asked = store.app.AsyncResult(result.id)
    assert (asked.state, asked.result) == ("SUCCESS", "x" * LARGE)


def test_up_to_the_bound_a_result_stays_in_the_store(store):
    at_the_bound, above = store.send("text", "x", INLINE_BYTES - 2), store.send("text", "x", INLINE_BYTES - 1)
    assert [len(each.get(timeout=SECONDS)) for each in (at_the_bound, above)] == [INLINE_BYTES - 2, INLINE_BYTES - 1]
    assert kept(store, at_the_bound.id) == "x" * (INLINE_BYTES - 2)
    assert set(kept(store, above.id)) == {REFERENCE, "bytes"}


def test_a_large_failure_keeps_its_type_and_its_traceback(store):
    result = store.send("fail_with", "x" * LARGE)
    with pytest.raises(ValueError, match=r"^x{1000}"):
        result.get(timeout=SECONDS)
    assert REFERENCE in kept(store, result.id)
    assert "ValueError" in store.app.AsyncResult(result.id).traceback


def test_a_result_that_looks_like_a_reference_is_not_taken_for_one(store):
    result = store.send("echo", {REFERENCE: "results/2026-11-21T12/" + 64 * "0"})
    assert result.get(timeout=SECONDS) == {REFERENCE: "results/2026-11-21T12/" + 64 * "0"}


def test_groups_chains_and_their_parents(store):
    texts = group(store.sig("text", "x", LARGE + n, target=t, pool=p) for n, (t, p) in enumerate(CREW)).apply_async()
    assert [len(each) for each in texts.get(timeout=SECONDS)] == [LARGE, LARGE + 1, LARGE + 2]
    assert [len(each) for each in texts.join(timeout=SECONDS)] == [LARGE, LARGE + 1, LARGE + 2]
    (target, pool), (target_of_next, pool_of_next) = CREW[:2]
    last = chain(
        store.sig("text", "x", LARGE, target=target, pool=pool),
        store.sig("length", target=target_of_next, pool=pool_of_next),
    ).apply_async()
    assert last.get(timeout=SECONDS) == [LARGE]
    assert len(last.parent.get(timeout=SECONDS)) == LARGE


@pytest.mark.parametrize(("target", "pool"), CREW, ids=["-".join(each) for each in CREW])
def test_a_chord_body_gets_the_results_themselves(store, target, pool):
    header = [store.sig("text", "x", LARGE + n, target=broker, pool=of) for n, (broker, of) in enumerate(CREW)]
    body = store.sig("length", target=target, pool=pool)
    assert chord(header, body).apply_async().get(timeout=SECONDS) == [LARGE, LARGE + 1, LARGE + 2]


def test_a_client_without_the_storage_sees_the_state_and_a_clear_error(store, tmp_path):
    result = store.send("text", "x", LARGE)
    assert len(result.get(timeout=SECONDS)) == LARGE
    with fleet(large_results=None) as without, fleet(large_results=LargeResults(Storage(tmp_path))) as elsewhere:
        for app, said in ((without, "give its FleetCelery large_results="), (elsewhere, "does not see the storage")):
            asked = app.AsyncResult(result.id)
            assert asked.ready()
            assert asked.successful()
            with pytest.raises(ResultUnavailable, match=said):
                asked.get(timeout=SECONDS)
            with pytest.raises(ResultUnavailable, match=f"large, {LARGE + 2} bytes"):
                _ = asked.result


def test_a_result_that_storage_does_not_take_fails_its_task_and_says_why(store):
    results = store.storage / "results"
    wait_for(lambda: results.is_dir() or store.send("text", "x", LARGE).get(timeout=SECONDS), "a first large result")
    aside = results.rename(store.storage / "aside")
    results.write_text("in the way")
    try:
        with pytest.raises(Exception, match=r"can't be written to .* Let the worker write there, or return less"):
            store.send("text", "y", LARGE).get(timeout=SECONDS)
    finally:
        results.unlink()
        aside.rename(results)


def test_what_has_expired_is_removed_from_storage_by_the_daily_cleaning(store):
    result = store.send("text", "z", LARGE)
    assert len(result.get(timeout=SECONDS)) == LARGE
    two_days_on = LargeResults(Storage(store.storage), clock=lambda: datetime.now(UTC) + timedelta(days=2))
    with fleet(large_results=two_days_on) as later:
        later.tasks["celery.backend_cleanup"]()
    with pytest.raises(ResultUnavailable, match="It has expired"):
        store.app.AsyncResult(result.id).get(timeout=SECONDS)


def test_results_that_never_expire_are_never_removed(store):
    result = store.send("text", "z", LARGE)
    assert len(result.get(timeout=SECONDS)) == LARGE
    years_on = LargeResults(Storage(store.storage), clock=lambda: datetime.now(UTC) + timedelta(days=9999))
    with fleet(large_results=years_on) as later:
        later.conf.result_expires = 0
        later.tasks["celery.backend_cleanup"]()
    assert len(store.app.AsyncResult(result.id).get(timeout=SECONDS)) == LARGE


def test_beat_cleans_up_where_results_do_not_vanish_by_themselves(store):
    assert not store.app.backend.supports_autoexpire
    with fleet(large_results=None) as inline:
        assert inline.backend.supports_autoexpire is (store.name in ("redis", "memcached"))
