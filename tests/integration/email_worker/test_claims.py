"""Claims in a real Redis: one owner at a time, outcomes that stay, and a store that may be away."""

from __future__ import annotations

import logging
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from celery.exceptions import SoftTimeLimitExceeded

from services.email_worker import claims as claims_module
from services.email_worker.claims import KEPT_FOR, LEFT_OPEN, Claims, Execution, Settled
from services.email_worker.errors import ClaimsUnavailable
from shared.secret import SecretStr

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


def test_one_question_tells_of_many_mails_what_became_of_them(claims):
    own, other = Execution(), Execution()
    claims.claim("mine", own)
    claims.claim("theirs", other)
    claims.settle("sent", SENT)
    keys = ["new", "mine", "theirs", "sent"]
    assert claims.find_all(keys, own) == {"theirs": LEFT_OPEN, "sent": SENT}
    assert claims.find_all(keys) == {"sent": SENT}
    assert claims.find_all([], own) == {}


def test_outcomes_sent_ahead_are_stored_when_they_are_confirmed_and_answers_are_not_mixed_up(claims, state):
    for name in ("a", "b"):
        claims.settle(name, SENT, more=True)
    assert claims.claim("c", Execution()) is None
    claims.settle("d", SENT, more=True)
    claims.confirm()
    assert sorted(state.scan_iter()) == ["claim:mail:a", "claim:mail:b", "claim:mail:c", "claim:mail:d"]
    assert claims.find("c", Execution()) == LEFT_OPEN


def test_outcomes_sent_ahead_over_a_connection_that_breaks_are_sent_once_more(claims, state):
    claims.claim("warm up the connection", Execution())
    for name in ("a", "b"):
        state.client_kill_filter(_type="normal", skipme=True)
        claims.settle(name, SENT, more=True)
    claims.confirm()
    assert claims.find_all(["a", "b"]) == {"a": SENT, "b": SENT}


def test_an_outcome_that_redis_refuses_is_logged_and_spares_the_next_answer(claims, state, caplog):
    claims.settle("known", SENT)
    state.config_set("maxmemory", 1)
    try:
        with caplog.at_level(logging.WARNING):
            claims.settle("refused", SENT, more=True)
            assert claims.find("known") == SENT
    finally:
        state.config_set("maxmemory", 0)
    assert "claim:mail:refused was not stored: command not allowed" in caplog.text
    assert claims.find("refused") is None


def test_a_question_cut_short_by_a_time_limit_is_not_asked_again_and_its_answer_is_nobody_elses(
    claims, redis_process, state
):
    def strike(*_: object) -> None:
        raise SoftTimeLimitExceeded

    claims.settle("sent", SENT)
    before = signal.signal(signal.SIGUSR1, strike)
    main = threading.get_ident()
    redis_process.send_signal(signal.SIGSTOP)
    striker = threading.Timer(0.2, lambda: signal.pthread_kill(main, signal.SIGUSR1))
    striker.start()
    try:
        with pytest.raises(SoftTimeLimitExceeded):
            claims.claim("key", Execution())
    finally:
        redis_process.send_signal(signal.SIGCONT)
        striker.join()
        signal.signal(signal.SIGUSR1, before)
    assert claims.find("sent") == SENT
    state.delete("claim:mail:key")
    claims.confirm()
    assert claims.find("another") is None
    assert not state.exists("claim:mail:key")


FORKING_PROGRAM = """
import os, sys
from shared.secret import SecretStr
from services.email_worker.claims import Claims, Execution, Settled
claims = Claims(SecretStr(sys.argv[1]))
claims.settle("parent", Settled("sent"), more=True)
child = os.fork()
if child:
    claims.confirm()
    assert claims.find("child", Execution()) in (None, Settled("sent"))
    assert os.waitpid(child, 0)[1] == 0
else:
    claims.settle("child", Settled("sent"))
    assert claims.claim("new", Execution()) is None
claims.close()
"""


def test_a_forked_child_has_a_connection_of_its_own(claims, state_url):
    command = [sys.executable, "-c", FORKING_PROGRAM, state_url.get_secret_value()]
    subprocess.run(command, check=True, timeout=60)
    assert claims.find_all(["parent", "child"]) == {"parent": SENT, "child": SENT}
