from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.core.ledger.engine import as_json
from services.core.ledger.ids import checked_campaign_id, file_id, new_id
from services.core.ledger.models import ID_LENGTH
from services.core.ledger.outcomes import accepts
from services.core.ledger.states import LIFECYCLES, RECIPIENT, State
from services.core.usecases.recipient_list import address_key
from services.core.usecases.safe_names import LONGEST_BYTES, safe_name
from shared.storage import relative_parts

lifecycles = st.sampled_from(sorted(LIFECYCLES)).map(LIFECYCLES.__getitem__)
news = st.lists(st.sampled_from(State), max_size=20)
instants = st.integers(946_684_800_000, 4_102_444_800_000).map(lambda ms: datetime.fromtimestamp(ms / 1000, UTC))
facts = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(lifecycles, news)
def test_news_in_any_order_never_leave_the_table_and_nothing_leaves_a_final_state(lifecycle, news):
    state = lifecycle.start
    for word in news:
        if state in lifecycle.finals:
            assert not lifecycle.allows(state, word)
        if lifecycle.allows(state, word):
            assert state in lifecycle.sources(word)
            state = word
        assert state in lifecycle.states


@pytest.mark.parametrize("lifecycle", LIFECYCLES.values(), ids=LIFECYCLES)
def test_every_state_can_be_reached_and_no_state_moves_to_itself(lifecycle):
    reached = {lifecycle.start}
    for _ in lifecycle.states:
        reached |= {target for state in reached for target in lifecycle.moves[state]}
    assert reached == set(lifecycle.states)
    assert not any(lifecycle.allows(state, state) for state in lifecycle.states)


@pytest.mark.parametrize("name", [name for name in LIFECYCLES if name != "campaign"])
@given(news=news)
def test_only_a_campaign_and_a_failed_recipient_ever_go_back(name, news):
    lifecycle = LIFECYCLES[name]
    seen = [lifecycle.start]
    for word in news:
        if lifecycle.allows(seen[-1], word):
            assert word not in seen or (name, seen[-1]) == ("recipient", State.FAILED) or word is State.FAILED
            seen.append(word)


@given(st.sampled_from(RECIPIENT.states), st.sampled_from(RECIPIENT.states), st.booleans())
def test_a_mail_that_went_out_is_never_forgotten_and_a_stale_failure_never_counts(status, outcome, own_chunk):
    if status is State.SENT:
        assert not accepts(status, outcome, own_chunk=own_chunk)
    if outcome is State.FAILED and not own_chunk:
        assert not accepts(status, outcome, own_chunk=own_chunk)
    if outcome is State.SENT and status not in (State.SENT, State.INVALID):
        assert accepts(status, outcome, own_chunk=own_chunk)


@given(instants, st.timedeltas(timedelta(seconds=1), timedelta(days=3650)), st.integers(0, 2**30 - 1), st.data())
def test_ids_sort_by_age(earlier, gap, noise, data):
    later = earlier + gap
    other = data.draw(st.integers(0, 2**30 - 1))
    ids = [new_id("job", earlier, lambda _: noise), new_id("job", later, lambda _: other)]
    assert sorted(ids) == ids
    assert all(len(file_id(each, 999_999)) <= ID_LENGTH for each in ids)


@given(instants)
def test_a_made_campaign_id_is_one_that_a_person_may_give(now):
    made = new_id("campaign", now)
    assert checked_campaign_id(made) == made


@given(st.text(max_size=300))
def test_a_safe_name_is_one_name_inside_the_storage_and_fits_a_file_system(name):
    safe = safe_name(name)
    assert relative_parts(f"in/{safe}") == ("in", safe)
    assert not safe.startswith((".", "-"))
    assert len(safe.encode()) <= LONGEST_BYTES
    assert safe_name(safe) == safe
    assert safe.isprintable()


@given(st.emails())
def test_addresses_are_equal_when_only_the_case_of_the_domain_differs(address):
    local, _, domain = address.rpartition("@")
    assert address_key(f"{local}@{domain.upper()}") == address_key(f"{local}@{domain.lower()}")
    if local.swapcase() != local:
        assert address_key(f"{local.swapcase()}@{domain}") != address_key(address)


@given(facts)
def test_facts_of_any_content_become_json_in_utf8_without_what_json_lacks(value):
    text = as_json(value)
    assert text.encode("utf-8")

    def refuse(constant):
        raise AssertionError(constant)

    restored = json.loads(text, parse_constant=refuse)
    assert as_json(restored) == text
