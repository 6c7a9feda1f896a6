"""What the API stands on, on both databases: requests carried out once, keys, and campaigns that are steered."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Thread
from typing import Any

import pytest
from sqlalchemy import event

from services.core.ledger.engine import open_ledger
from services.core.ledger.errors import UnknownId, WrongState
from services.core.ledger.outbox import Outgoing
from services.core.ledger.states import State
from services.core.usecases import submit_campaign as submitting
from services.core.usecases.acting import (
    CLAIM_LASTS,
    KEPT_FOR,
    OtherRequest,
    Request,
    UnderWay,
    carry_out,
    list_audit,
)
from services.core.usecases.api_keys import Role, create_key, known_key, revoke_key
from services.core.usecases.api_sessions import LASTS, known_session, sign_in
from services.core.usecases.clean_ledger import clean_ledger
from services.core.usecases.overview import campaign_overview
from services.core.usecases.record_chunk import record_chunk
from services.core.usecases.release_chunks import release_chunks
from services.core.usecases.stalled_campaigns import stalled_campaigns
from services.core.usecases.steer_campaign import cancel_campaign, pause_campaign, resume_campaign
from services.core.usecases.submit_campaign import submit_campaign

AT_ONCE = 8


@pytest.fixture
def sender(ledger):
    return create_key(ledger, Role.SENDER, "shop").entry


def request(sender, **fields) -> Request:
    return Request(**{
        "caller": sender, "act": "send mail", "target": "/mails", "idempotency_key": "k", "digest": "d", **fields
    })  # fmt: skip


def status_of(_: BaseException) -> int:
    return 500


def run(ledger, asked: Request, act, subject: str = "mail-1"):
    return carry_out(ledger, asked, subject, act, status_of)


def test_of_many_at_once_one_carries_a_request_out(ledger, ledger_url, sender):
    done: list[str] = []

    def once(number: int):
        mine = open_ledger(ledger_url, ledger.clock)

        def act(subject: str):
            done.append(subject)
            return 202, {"id": subject}

        try:
            return run(mine, request(sender), act, f"mail-{number}")
        except UnderWay:
            return None
        finally:
            mine.close()

    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = [answer for answer in pool.map(once, range(AT_ONCE)) if answer is not None]
    assert len(done) == 1
    assert {answer.subject for answer in answers} == set(done)
    assert sum(not answer.repeated for answer in answers) == 1


def test_whoever_takes_over_from_a_dead_process_makes_the_same_thing(ledger, sender, clock):
    def dies(_: str):
        with pytest.raises(UnderWay):
            run(ledger, request(sender), lambda subject: (202, {"id": subject}), "mail-2")
        clock.now += CLAIM_LASTS + timedelta(seconds=1)
        answer = run(ledger, request(sender), lambda subject: (202, {"id": subject}), "mail-3")
        assert answer.subject == "mail-1"
        return 202, {"id": "too late"}

    run(ledger, request(sender), dies)
    again = run(ledger, request(sender), lambda _: pytest.fail("done twice"), "mail-4")
    assert again.body == {"id": "mail-1"}


def test_an_answer_is_remembered_for_a_day_and_belongs_to_one_request(ledger, sender, clock):
    run(ledger, request(sender), lambda _: (202, {"n": 1}))
    with pytest.raises(OtherRequest):
        run(ledger, request(sender, digest="other"), lambda _: (202, {}))
    clock.now += KEPT_FOR + timedelta(seconds=1)
    assert run(ledger, request(sender, digest="other"), lambda _: (202, {"n": 2})).body == {"n": 2}


def test_what_raises_is_audited_and_may_be_asked_again(ledger, sender):
    def fails(_: str):
        raise UnknownId("mail", "x")

    with pytest.raises(UnknownId):
        run(ledger, request(sender), fails)
    assert run(ledger, request(sender), lambda _: (200, {})).status == 200
    told = [(entry["status"], entry["subject"]) for entry in list_audit(ledger, limit=10).entries]
    assert told == [(200, "mail-1"), (500, None)]
    ledger.clock.forward(days=400)
    assert clean_ledger(ledger, timedelta(days=365)) == 2
    assert list_audit(ledger, limit=10).entries == ()


def test_a_key_is_known_by_all_of_it_until_it_is_revoked(ledger):
    made = create_key(ledger, Role.OPERATOR, "on call")
    known = known_key(ledger, made.secret)
    assert known is not None
    assert known.role is Role.OPERATOR
    for wrong in (
        "",
        "yard",
        made.secret[:-1],
        made.secret + "x",
        made.secret[:-1] + ("a" if made.secret[-1] != "a" else "b"),
    ):
        assert known_key(ledger, wrong) is None
    revoke_key(ledger, made.entry.id)
    assert known_key(ledger, made.secret) is None
    with pytest.raises(UnknownId):
        revoke_key(ledger, "nobody")


def test_a_session_lasts_a_working_day(ledger, clock):
    made = create_key(ledger, Role.VIEWER, "screen")
    session = sign_in(ledger, made.entry)
    known = known_session(ledger, session.token)
    assert known is not None
    assert known.id == made.entry.id
    assert known_session(ledger, session.csrf) is None
    clock.now += LASTS
    assert known_session(ledger, session.token) is None


@pytest.fixture
def campaign(ledger, tmp_path) -> str:
    path = tmp_path / "list.csv"
    path.write_text("email\n" + "".join(f"r{number}@example.org\n" for number in range(6)))
    submit_campaign(ledger, path, "newsletter", "spring", chunk_size=2)
    return "spring"


def publish(campaign_id: str) -> Outgoing:
    return Outgoing(campaign_id, broker="default", priority=5, signature={})


def finish(ledger, chunk: Any) -> State:
    outcomes = [
        {"recipient_id": r["recipient_id"], "status": "sent", "reason": None, "message_id": "m"}
        for r in chunk["recipients"]
    ]
    done: Any = {**chunk, "outcomes": outcomes}
    return record_chunk(ledger, done)


def test_a_paused_campaign_releases_nothing_and_goes_on_where_it_stood(ledger, campaign, clock):
    [first] = release_chunks(ledger, campaign, 1)
    assert pause_campaign(ledger, campaign) is State.PAUSED
    assert finish(ledger, first) is State.PAUSED
    assert release_chunks(ledger, campaign, 8) == []
    clock.forward(days=1)
    assert stalled_campaigns(ledger, timedelta(minutes=1)) == []
    assert resume_campaign(ledger, campaign, publish=publish) is State.RUNNING
    states = [finish(ledger, chunk) for chunk in release_chunks(ledger, campaign, 8)]
    assert states == [State.RUNNING, State.DONE]
    with pytest.raises(WrongState, match="is done and can't be paused"):
        pause_campaign(ledger, campaign)


def test_a_campaign_that_ended_while_it_was_paused_is_done_when_it_is_resumed(ledger, campaign):
    chunks = release_chunks(ledger, campaign, 8)
    pause_campaign(ledger, campaign)
    assert {finish(ledger, chunk) for chunk in chunks} == {State.PAUSED}
    assert resume_campaign(ledger, campaign, publish=publish) is State.DONE


def test_cancelling_calls_off_what_is_not_under_way(ledger, campaign):
    [first] = release_chunks(ledger, campaign, 1)
    assert cancel_campaign(ledger, campaign) is State.CANCELLED
    assert finish(ledger, first) is State.CANCELLED
    assert cancel_campaign(ledger, campaign) is State.CANCELLED
    counts = campaign_overview(ledger, campaign).counts
    assert (counts[State.SENT], counts[State.CANCELLED], counts[State.PENDING]) == (2, 4, 0)
    with pytest.raises(WrongState):
        resume_campaign(ledger, campaign)
    ledger.clock.forward(days=400)
    clean_ledger(ledger, timedelta(days=365))
    with pytest.raises(UnknownId):
        campaign_overview(ledger, campaign)


@pytest.mark.parametrize("step", ["_load", "_cut"])
def test_a_campaign_cancelled_while_it_is_loaded_leaves_nobody_pending(ledger, tmp_path, monkeypatch, step):
    monkeypatch.setattr(submitting, "BATCH", 2)
    path = tmp_path / "list.csv"
    path.write_text("email\n" + "".join(f"r{number}@example.org\n" for number in range(6)))
    name = "add_recipients" if step == "_load" else "cut_chunks"
    ordinary = getattr(submitting, name)
    cancelling = Thread(target=cancel_campaign, args=(ledger, "spring"))

    def cancel(_) -> None:
        cancelling.start()
        cancelling.join(60)

    def cancelled_after(session, *given, **options):
        if cancelling.ident is None:
            event.listen(session, "after_commit", cancel, once=True)
        return ordinary(session, *given, **options)

    monkeypatch.setattr(submitting, name, cancelled_after)
    with pytest.raises(WrongState, match="is cancelled and can't be loaded"):
        submit_campaign(ledger, path, "newsletter", "spring", chunk_size=2)
    counts = campaign_overview(ledger, "spring").counts
    assert counts[State.PENDING] == 0
    assert counts[State.CANCELLED] == (2 if step == "_load" else 6)
