"""Delivery to real SMTP servers: what arrives, how connections are kept, and what each failure is called."""

from __future__ import annotations

import signal
import socket
import ssl
import subprocess
import sys
import threading
import traceback
from email.headerregistry import Address
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import AuthResult
from celery.exceptions import SoftTimeLimitExceeded

from services.email_worker import delivery
from services.email_worker.delivery import Relay
from services.email_worker.errors import PermanentFailure, RelayUnavailable, TemporaryFailure, UnknownOutcome
from services.email_worker.letter import Letter
from services.email_worker.message import Skeleton, message_id
from services.email_worker.rendering import Rendered
from shared.errors import InvalidSettings
from shared.secret import SecretStr
from shared.settings import FleetSettings
from tests.integration.email_worker.relay_server import HANG_UP, HOLD, RelayServer

PASSWORD = "correct horse"


SKELETON = Skeleton(Address("Shop", "shop", "example.org"), bulk=True)


def mail(recipient: str = "ada@example.org", text: str = "Hello\n", key: str = "key") -> Letter:
    return SKELETON.fill(Rendered("Hello", text, None), recipient, message_id(key, "example.org"))


@pytest.fixture(params=[False, True], ids=["step by step", "pipelining"])
def relay_server(request):
    with RelayServer(pipelining=request.param) as server:
        yield server


@pytest.fixture
def make_relay():
    made = []

    def make(port, **options):
        options = {"smtp_timeout_seconds": 5, **options}
        made.append(Relay(FleetSettings(smtp_port=port, **options)))
        return made[-1]

    yield make
    for relay in made:
        relay.close()


@pytest.fixture
def relay(relay_server, make_relay):
    return make_relay(relay_server.port)


def test_a_message_arrives_whole_and_with_its_envelope(relay, relay_server):
    text = ".\r\n..\r\n.hidden\r\nfrom here: Tschüß\r\n.\r\n"
    relay.deliver(mail(text=text))
    (kept,) = relay_server.kept
    assert (kept.sender, kept.recipients) == ("shop@example.org", ["ada@example.org"])
    assert kept.message.get_content() == text
    assert kept.message["Message-ID"] == message_id("key", "example.org")


def test_each_thread_keeps_one_connection(relay, relay_server):
    def deliver_three():
        for _ in range(3):
            relay.deliver(mail())
        relay.close()

    threads = [threading.Thread(target=deliver_three) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(relay_server.kept) == 6
    assert relay_server.connections == 2


def test_a_connection_that_lay_idle_for_long_is_replaced(relay, relay_server, monkeypatch):
    relay.deliver(mail())
    monkeypatch.setattr(delivery, "IDLE_SECONDS", 0)
    relay.deliver(mail())
    assert relay_server.connections == 2


FORKING_PROGRAM = """
import os, sys
from tests.integration.email_worker.test_smtp_delivery import FleetSettings, Relay, mail
relay = Relay(FleetSettings(smtp_port=int(sys.argv[1])))
relay.deliver(mail("parent@example.org"))
child = os.fork()
relay.deliver(mail("parent@example.org" if child else "child@example.org"))
relay.close()
if child:
    sys.exit(os.waitpid(child, 0)[1])
"""


def test_a_forked_child_opens_a_connection_of_its_own(relay_server):
    subprocess.run([sys.executable, "-c", FORKING_PROGRAM, str(relay_server.port)], check=True, timeout=60)
    assert sorted(kept.recipients[0] for kept in relay_server.kept) == [
        "child@example.org",
        "parent@example.org",
        "parent@example.org",
    ]
    assert relay_server.connections == 2


@pytest.mark.parametrize(
    ("command", "answer", "error"),
    [
        ("MAIL", "451 4.7.1 Greylisted", TemporaryFailure),
        ("RCPT", "450 4.2.1 Mailbox busy", TemporaryFailure),
        ("RCPT", "550 5.1.1 No such user", PermanentFailure),
        ("DATA", "452 4.3.1 Disk full", TemporaryFailure),
        ("DATA", "554 5.7.1 Looks like spam", PermanentFailure),
    ],
)
def test_a_refusal_is_told_with_the_relays_words_and_spares_the_connection(relay, relay_server, command, answer, error):
    relay_server.answers[command].append(answer)
    with pytest.raises(error, match=answer) as caught:
        relay.deliver(mail())
    assert not isinstance(caught.value, RelayUnavailable)
    relay.deliver(mail(key="another"))
    assert [kept.message["Message-ID"] for kept in relay_server.kept] == [message_id("another", "example.org")]
    assert relay_server.connections == 1


def test_the_words_of_a_relay_become_one_printable_line_of_bounded_length(relay, relay_server):
    relay_server.answers["RCPT"].append("550-5.1.1 No\r\n550-\x1b[31m\x00 such\r\n550 user " + "!" * 1000)
    with pytest.raises(PermanentFailure, match=r"550 5\.1\.1 No \[31m such user !!!") as caught:
        relay.deliver(mail())
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 350


@pytest.mark.parametrize("trouble", [HANG_UP, "gibberish", "354 go ahead once more"])
def test_without_an_answer_after_the_message_the_outcome_is_unknown(relay, relay_server, trouble):
    relay_server.answers["DATA"].append(trouble)
    with pytest.raises(UnknownOutcome):
        relay.deliver(mail())
    assert len(relay_server.kept) == 1
    relay.deliver(mail(key="another"))
    assert len(relay_server.kept) == 2
    assert relay_server.connections == 2


@pytest.mark.parametrize("trouble", [HANG_UP, "421 4.4.2 Idle for too long", "gibberish"])
@pytest.mark.parametrize("command", ["MAIL", "RCPT"])
def test_a_kept_connection_that_is_dead_before_the_message_is_replaced(relay, relay_server, command, trouble):
    relay.deliver(mail())
    relay_server.answers[command].append(trouble)
    relay.deliver(mail(key="another"))
    assert len(relay_server.kept) == 2
    assert relay_server.connections == 2


@pytest.mark.parametrize("trouble", [HANG_UP, "421 4.3.2 Shutting down"])
def test_a_fresh_connection_that_dies_before_the_message_means_an_unavailable_relay(relay, relay_server, trouble):
    relay_server.answers["RCPT"].append(trouble)
    with pytest.raises(RelayUnavailable):
        relay.deliver(mail())
    assert relay_server.kept == []
    assert relay_server.connections == 1


def test_a_relay_that_nobody_runs_is_unavailable(make_relay):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(RelayUnavailable, match=r"127\.0\.0\.1:\d+ does not answer: .*refused"):
            make_relay(unused.getsockname()[1]).deliver(mail())


def test_a_relay_that_accepts_and_says_nothing_is_unavailable(make_relay):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        relay = make_relay(silent.getsockname()[1], smtp_timeout_seconds=0.2)
        with pytest.raises(RelayUnavailable, match="timed out"):
            relay.deliver(mail())


def test_a_delivery_cut_short_by_a_time_limit_does_not_reuse_its_connection(relay, relay_server):
    def raise_soft_time_limit(*_: object) -> None:
        raise SoftTimeLimitExceeded

    def strike() -> None:
        relay_server.holding.wait(10)
        signal.pthread_kill(main, signal.SIGUSR1)

    relay_server.answers["RCPT"].append(HOLD)
    before = signal.signal(signal.SIGUSR1, raise_soft_time_limit)
    main = threading.get_ident()
    striker = threading.Thread(target=strike)
    striker.start()
    try:
        with pytest.raises(SoftTimeLimitExceeded):
            relay.deliver(mail())
    finally:
        striker.join()
        signal.signal(signal.SIGUSR1, before)
    relay.deliver(mail("grace@example.org"))
    assert [kept.recipients for kept in relay_server.kept] == [["grace@example.org"]]
    assert relay_server.connections == 2


def test_an_address_outside_ascii_arrives_where_the_relay_takes_it(relay, relay_server):
    relay.deliver(mail("über@example.org"))
    relay.deliver(mail("ada@example.org"))
    assert [kept.recipients for kept in relay_server.kept] == [["über@example.org"], ["ada@example.org"]]
    assert str(relay_server.kept[0].message["To"]) == "über@example.org"


def test_an_address_outside_ascii_is_refused_where_the_relay_does_not_take_it(make_relay):
    with RelayServer(enable_SMTPUTF8=False) as server:
        relay = make_relay(server.port)
        with pytest.raises(PermanentFailure, match="SMTPUTF8"):
            relay.deliver(mail("über@example.org"))
        relay.deliver(mail())
        assert server.connections == 1


def authenticator(server, session, envelope, mechanism, auth_data):
    password = auth_data.password.decode()
    if password == PASSWORD:
        return AuthResult(success=True, auth_data=auth_data)
    return AuthResult(success=False, handled=False, message=f"535 {password} is not it")


def login(password: str = PASSWORD, **options: Any) -> dict[str, Any]:
    return {"smtp_username": "shop", "smtp_password": SecretStr(password), **options}


def starttls_server(server_tls: ssl.SSLContext) -> RelayServer:
    return RelayServer(tls_context=server_tls, require_starttls=True, auth_required=True, authenticator=authenticator)


def test_starttls_and_login_protect_password_and_mail(make_relay, server_tls, ca_file):
    with starttls_server(server_tls) as server:
        make_relay(server.port, smtp_security="starttls", smtp_ca_file=ca_file, **login()).deliver(mail())
        (kept,) = server.kept
        assert kept.encrypted
        assert kept.user == "shop"


def test_implicit_tls_carries_login_and_mail(make_relay, server_tls, ca_file):
    with RelayServer(implicit_tls=server_tls, auth_require_tls=False, authenticator=authenticator) as server:
        make_relay(server.port, smtp_security="tls", smtp_ca_file=ca_file, **login()).deliver(mail())
        (kept,) = server.kept
        assert kept.encrypted
        assert kept.user == "shop"


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_certificate_of_a_stranger_ends_the_connection_before_the_password(make_relay, server_tls, security):
    options = {"tls_context": server_tls} if security == "starttls" else {"implicit_tls": server_tls}
    with RelayServer(**options) as server:
        relay = make_relay(server.port, smtp_security=security, **login())
        with pytest.raises(RelayUnavailable, match="certificate verify failed"):
            relay.deliver(mail())
        assert server.kept == []


def test_a_relay_without_starttls_gets_neither_password_nor_mail(make_relay, relay_server):
    relay = make_relay(relay_server.port, smtp_security="starttls", **login())
    with pytest.raises(RelayUnavailable, match="STARTTLS"):
        relay.deliver(mail())
    assert relay_server.kept == []


def test_a_refused_password_is_worth_a_retry_and_never_shown(make_relay, server_tls, ca_file):
    with starttls_server(server_tls) as server:
        relay = make_relay(server.port, smtp_security="starttls", smtp_ca_file=ca_file, **login("wrong secret"))
        with pytest.raises(RelayUnavailable, match="535, the answer to YARD_SMTP_USERNAME") as caught:
            relay.deliver(mail())
    assert "wrong secret" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (login(smtp_host="relay.example.org"), "YARD_SMTP_SECURITY"),
        (login("pässword", smtp_security="tls"), "ASCII"),
        ({"smtp_username": "shop"}, "both or neither"),
        ({"smtp_ca_file": Path("missing.pem")}, "YARD_SMTP_CA_FILE"),
    ],
)
def test_settings_that_would_expose_or_break_the_login_are_refused_at_once(make_relay, options, complaint):
    with pytest.raises(InvalidSettings, match=complaint) as caught:
        make_relay(25, **options)
    assert "pässword" not in str(caught.value)
