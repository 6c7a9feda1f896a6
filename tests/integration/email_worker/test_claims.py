"""Claims in a real Redis: one owner at a time, outcomes that stay, and a store that may be away."""

from __future__ import annotations

import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from pydantic import SecretStr

from services.email_worker import claims as claims_module
from services.email_worker.claims import KEPT_FOR, LEFT_OPEN, Claims, Execution, Settled
from services.email_worker.errors import ClaimsUnavailable

SENT = Settled("sent")


def test_a_claimed_mail_is_unknown_to_every_other_execution(claims):
    owner = Execution()
    assert claims.claim("key", owner) is None
    assert claims.claim("key", owner) is None
    assert claims.claim("key", Execution()) == LEFT_OPEN


def test_of_many_executions_at_once_exactly_one_gets_the_claim(claims):
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: claims.claim("key", Execution()), range(40)))
    assert answers.count(None) == 1
    assert answers.count(LEFT_OPEN) == 39


@pytest.mark.parametrize("settled", [SENT, Settled("unknown", "The relay did not confirm.")])
def test_a_settled_mail_is_told_to_everyone(claims, settled):
    owner = Execution()
    claims.claim("key", owner)
    assert claims.find("key") is None
    claims.settle("key", settled)
    assert claims.find("key") == settled
    assert claims.claim("key", owner) == settled
    assert claims.claim("key", Execution()) == settled


def test_a_released_claim_is_free_but_only_its_owner_can_release_it(claims):
    owner = Execution()
    claims.claim("key", owner)
    claims.release("key", Execution())
    assert claims.claim("key", Execution()) == LEFT_OPEN
    claims.release("key", owner)
    assert claims.claim("key", Execution()) is None


def test_a_settled_mail_cannot_be_released(claims):
    owner = Execution()
    claims.claim("key", owner)
    claims.settle("key", SENT)
    claims.release("key", owner)
    assert claims.find("key") == SENT


def test_claims_that_an_earlier_execution_gave_up_are_free_to_its_successor_alone(claims):
    first = Execution()
    claims.claim("key", first)
    assert claims.claim("key", Execution()) == LEFT_OPEN
    successor = Execution(given_up=["another", first.id])
    assert claims.claim("key", successor) is None
    assert claims.claim("key", Execution(given_up=[first.id])) == LEFT_OPEN


def test_a_claim_expires_after_its_time_and_not_before(claims, state):
    claims.claim("started", Execution())
    claims.settle("settled", SENT)
    for key in ("started", "settled"):
        assert KEPT_FOR.total_seconds() - 60 < state.ttl(f"claim:mail:{key}") <= KEPT_FOR.total_seconds()


def test_a_store_that_nobody_runs_lets_nothing_be_claimed():
    away = Claims(SecretStr("redis://:secret@127.0.0.1:1/3"))
    with pytest.raises(ClaimsUnavailable, match="YARD_STATE_URL") as caught:
        away.claim("key", Execution())
    assert "secret" not in str(caught.value)
    with pytest.raises(ClaimsUnavailable):
        away.find("key")
    away.settle("key", SENT)
    away.release("key", Execution())
    away.close()


def test_a_claim_that_a_frozen_store_makes_too_late_does_not_keep_the_successor_from_sending(
    claims, redis_process, state, monkeypatch
):
    monkeypatch.setattr(claims_module, "ANSWER_WITHIN_SECONDS", 0.2)
    claims.claim("warm up the connection", Execution())
    late = Execution()
    redis_process.send_signal(signal.SIGSTOP)
    try:
        with pytest.raises(ClaimsUnavailable):
            claims.claim("key", late)
    finally:
        redis_process.send_signal(signal.SIGCONT)
    deadline = time.monotonic() + 10
    while not state.exists("claim:mail:key"):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert claims.claim("key", Execution()) == LEFT_OPEN
    assert claims.claim("key", Execution(given_up=[late.id])) is None
