"""One mail through relay and claim store: at most once for bulk, at least once for critical."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from services.email_worker import claims as claims_module
from services.email_worker.claims import Execution
from services.email_worker.errors import (
    BeingSent,
    ClaimsUnavailable,
    InvalidAddress,
    MailRejected,
    PermanentFailure,
    TemplateRejected,
    TemporaryFailure,
    UnknownOutcome,
)
from services.email_worker.message import message_id
from services.email_worker.sending import Mailer, checked
from shared.reports import Mail, MailOutcome
from shared.secret import SecretStr
from tests.fixtures.proxy import proxy_to
from tests.fleet.inspection import wait_for
from tests.integration.email_worker.relay_server import HANG_UP, RelayServer

MAIL: Mail = {"to": "Ada@Example.org", "template": "welcome", "variables": {"name": "Ada"}}
MESSAGE_ID = message_id("key", "switchyard.localdomain")
SENT = {"to": "Ada@example.org", "status": "sent", "reason": None, "message_id": MESSAGE_ID}


@pytest.fixture(params=[False, True], ids=["step by step", "pipelining"])
def relay_server(request):
    with RelayServer(pipelining=request.param) as server:
        yield server


@pytest.fixture
def mailer(make_mailer, relay_server):
    return make_mailer(relay_server.port)


def send_critical(mailer: Mailer) -> MailOutcome:
    return mailer.send_at_least_once(MAIL, "key")


def send_bulk(mailer: Mailer) -> MailOutcome:
    return mailer.send_at_most_once(MAIL, "key", Execution())


@pytest.mark.parametrize("send", [send_critical, send_bulk])
def test_a_sent_mail_is_reported_again_and_not_sent_again(mailer, relay_server, send):
    assert [send(mailer) for _ in range(3)] == [SENT] * 3
    (kept,) = relay_server.kept
    assert kept.recipients == ["Ada@example.org"]
    assert kept.message["Subject"] == "Welcome, Ada"


@pytest.mark.parametrize("send", [send_critical, send_bulk])
@pytest.mark.parametrize(("answer", "error"), [("451 later", TemporaryFailure), ("550 never", PermanentFailure)])
def test_a_refused_mail_can_be_sent_later(mailer, relay_server, send, answer, error):
    relay_server.answers["RCPT"].append(answer)
    with pytest.raises(error):
        send(mailer)
    assert send(mailer) == SENT
    assert len(relay_server.kept) == 1


def test_a_bulk_mail_without_an_answer_stays_unknown(mailer, relay_server):
    relay_server.answers["DATA"].append(HANG_UP)
    outcome = send_bulk(mailer)
    assert outcome["status"] == "unknown"
    assert "did not confirm" in str(outcome["reason"])
    assert send_bulk(mailer) == outcome
    assert len(relay_server.kept) == 1


def test_a_bulk_mail_whose_execution_was_killed_is_unknown_and_not_sent(mailer, relay_server, claims):
    claims.claim("key", Execution())
    outcome = send_bulk(mailer)
    assert outcome["status"] == "unknown"
    assert "earlier execution" in str(outcome["reason"])
    assert relay_server.kept == []


def test_a_critical_mail_without_an_answer_goes_out_again_with_the_same_message_id(mailer, relay_server):
    relay_server.answers["DATA"].append(HANG_UP)
    with pytest.raises(UnknownOutcome):
        send_critical(mailer)
    assert send_critical(mailer) == SENT
    assert [kept.message["Message-ID"] for kept in relay_server.kept] == [MESSAGE_ID] * 2


@pytest.mark.parametrize("send", [send_critical, send_bulk])
def test_one_that_slept_while_another_sent_its_mail_sends_nothing(make_mailer, relay_server, send):
    with proxy_to(relay_server.port) as proxy, ThreadPoolExecutor(1) as pool:
        proxy.freeze()
        sleeper = make_mailer(proxy.port)
        asleep = pool.submit(send, sleeper)
        wait_for(lambda: proxy.accepted, "the sleeper to have looked for a claim, and to connect")
        assert send(make_mailer(relay_server.port)) == SENT
        proxy.thaw()
        assert asleep.result(10) == SENT
        pool.submit(sleeper.close).result()  # connections belong to threads
    assert len(relay_server.kept) == 1


def test_two_executions_at_once_send_a_critical_mail_once(make_mailer, relay_server, claims):
    other = Execution()
    assert claims.claim_urgent("key", other) is None
    mailer = make_mailer(relay_server.port)
    with pytest.raises(BeingSent):
        send_critical(mailer)
    assert relay_server.kept == []
    claims.settle("key", claims_module.Settled("sent"))
    assert send_critical(mailer) == SENT
    assert relay_server.kept == []


def test_a_critical_mail_whose_execution_was_killed_goes_out_when_its_claim_has_run_out(mailer, relay_server, claims):
    with pytest.MonkeyPatch.context() as shorter:
        shorter.setattr(claims_module, "URGENT_FOR_SECONDS", 0.3)
        assert claims.claim_urgent("key", Execution()) is None
    with pytest.raises(BeingSent):
        send_critical(mailer)
    assert wait_for(lambda: sent_at_last(mailer), "the claim to run out") == SENT
    assert len(relay_server.kept) == 1


def sent_at_last(mailer: Mailer) -> MailOutcome | None:
    try:
        return send_critical(mailer)
    except BeingSent:
        return None


def test_a_recipient_that_the_relay_refuses_is_never_claimed(mailer, relay_server, state):
    relay_server.answers["RCPT"].append("550 never")
    with pytest.raises(PermanentFailure):
        send_bulk(mailer)
    assert list(state.scan_iter()) == []


@pytest.mark.parametrize("send", [send_critical, send_bulk])
def test_without_a_claim_store_no_mail_goes_out(make_mailer, relay_server, send):
    mailer = make_mailer(relay_server.port, state_url=SecretStr("redis://127.0.0.1:1/3"))
    with pytest.raises(ClaimsUnavailable):
        send(mailer)
    assert relay_server.kept == []


@pytest.mark.parametrize("send", [send_critical, send_bulk])
@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"to": "ada"}, InvalidAddress),
        ({"template": "welcom"}, TemplateRejected),
        ({"variables": {}}, TemplateRejected),
    ],
)
def test_a_mail_that_cannot_be_written_is_rejected_before_anything_is_claimed(
    mailer, relay_server, state, monkeypatch, send, change, error
):
    monkeypatch.setitem(globals(), "MAIL", {**MAIL, **change})
    with pytest.raises(error):
        send(mailer)
    assert list(state.scan_iter()) == []
    assert relay_server.connections == 0


def test_the_claim_store_holds_no_address(mailer, state):
    send_bulk(mailer)
    (key,) = state.scan_iter()
    assert "example" not in f"{key}{state.get(key)}"


def test_variables_cannot_add_a_recipient_on_the_wire(mailer, relay_server):
    hostile = "Ada\r\nBcc: eve@example.org\r\n\r\n.\r\nRCPT TO:<eve@example.org>"
    mailer.send_at_least_once({**MAIL, "variables": {"name": hostile}}, "hostile")
    (kept,) = relay_server.kept
    assert kept.recipients == ["Ada@example.org"]
    assert kept.message["Bcc"] is None
    assert kept.message["Subject"].startswith("Welcome, Ada Bcc: eve@example.org")


@pytest.mark.parametrize(
    ("mail", "complaint"),
    [
        ("ada@example.org", "object with to, template and variables"),
        ({}, "'to' to be text"),
        ({"to": "ada@example.org", "template": None}, "'template' to be text"),
        ({"to": "ada@example.org", "template": "welcome"}, "'variables' to be an object"),
        ({**MAIL, "key": 7}, "'key' to be printable text"),
        ({**MAIL, "key": "\ud800"}, "'key' to be printable text"),
    ],
)
def test_a_mail_of_the_wrong_shape_is_rejected_with_the_field_that_is_wrong(mail, complaint):
    with pytest.raises(MailRejected, match=complaint):
        checked(mail)
