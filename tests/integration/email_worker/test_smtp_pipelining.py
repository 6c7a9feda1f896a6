"""Envelopes that go out in one go, behind the content of the mail before: every outcome is still its own mail's."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from email.headerregistry import Address

import pytest

from services.email_worker.delivery import Relay
from services.email_worker.errors import PermanentFailure, RelayUnavailable, TemporaryFailure, UnknownOutcome
from services.email_worker.letter import Letter
from services.email_worker.message import Skeleton
from services.email_worker.rendering import Rendered
from shared.settings import FleetSettings
from tests.integration.email_worker.relay_server import HANG_UP, RelayServer

SKELETON = Skeleton(Address("Shop", "shop", "example.org"), bulk=True)
GREETING = [(b"", b"220 relay.test\r\n"), (b"\r\n", b"250-relay.test\r\n250 PIPELINING\r\n")]


def letter(name: str) -> Letter:
    return SKELETON.fill(Rendered(f"To {name}", "Hello\n", None), f"{name}@example.org", f"<{name}@example.org>")


ADA, GRACE, MARY = map(letter, ("ada", "grace", "mary"))


@pytest.fixture
def server():
    with RelayServer(pipelining=True) as server:
        yield server


@pytest.fixture
def relay(server):
    with relay_at(server.port) as relay:
        yield relay


@contextmanager
def relay_at(port: int):
    relay = Relay(FleetSettings(smtp_port=port, smtp_timeout_seconds=5))
    try:
        yield relay
    finally:
        relay.close()


def arrived(server: RelayServer) -> list[str]:
    return [address.partition("@")[0] for kept in server.kept for address in kept.recipients]


def test_mails_that_follow_each_other_arrive_in_order_over_one_connection(relay, server):
    for mail, then in ((ADA, GRACE), (GRACE, MARY), (MARY, None)):
        assert relay.deliver(mail, then=then)
    assert arrived(server) == ["ada", "grace", "mary"]
    assert [str(kept.message["Subject"]) for kept in server.kept] == ["To ada", "To grace", "To mary"]
    assert server.connections == 1


@pytest.mark.parametrize(
    ("answer", "error"), [("554 5.7.1 Looks like spam", PermanentFailure), ("452 4.3.1 Disk full", TemporaryFailure)]
)
def test_a_refused_content_is_told_of_its_mail_and_the_next_one_goes_on(relay, server, answer, error):
    server.answers["DATA"].append(answer)
    with pytest.raises(error, match=answer):
        relay.deliver(ADA, then=GRACE)
    assert relay.deliver(GRACE)
    assert arrived(server) == ["grace"]
    assert server.connections == 1


@pytest.mark.parametrize("command", ["MAIL", "RCPT"])
@pytest.mark.parametrize(
    ("answer", "error"), [("550 5.1.1 No such user", PermanentFailure), ("451 4.7.1 Greylisted", TemporaryFailure)]
)
def test_a_refused_envelope_is_told_of_its_mail_and_not_of_the_one_before(relay, server, command, answer, error):
    server.answers[command].extend(["250 OK", answer])
    assert relay.deliver(ADA, then=GRACE)
    with pytest.raises(error, match=answer) as caught:
        relay.deliver(GRACE, then=MARY)
    assert not isinstance(caught.value, RelayUnavailable)
    assert relay.deliver(MARY)
    assert arrived(server) == ["ada", "mary"]
    assert server.connections == 1


def test_a_mail_without_an_answer_is_unknown_and_the_one_announced_behind_it_is_not(relay, server):
    server.answers["DATA"].append(HANG_UP)
    with pytest.raises(UnknownOutcome):
        relay.deliver(ADA, then=GRACE)
    assert relay.deliver(GRACE)
    assert arrived(server) == ["ada", "grace"]
    assert server.connections == 2


@pytest.mark.parametrize("trouble", [HANG_UP, "421 4.3.2 Shutting down", "gibberish"])
@pytest.mark.parametrize("command", ["MAIL", "RCPT"])
def test_a_connection_that_dies_at_an_announced_envelope_is_replaced(relay, server, command, trouble):
    server.answers[command].extend(["250 OK", trouble])
    assert relay.deliver(ADA, then=GRACE)
    assert relay.deliver(GRACE)
    assert arrived(server) == ["ada", "grace"]
    assert server.connections == 2


def test_an_announced_mail_that_does_not_come_is_not_delivered(relay, server):
    assert relay.deliver(ADA, then=GRACE)
    assert relay.deliver(MARY)
    assert arrived(server) == ["ada", "mary"]
    assert server.connections == 2


def test_a_mail_that_may_not_be_sent_is_not_delivered_and_the_next_one_is(relay, server):
    def fail() -> bool:
        raise TemporaryFailure("no claim")

    assert not relay.deliver(ADA, lambda: False, then=GRACE)
    with pytest.raises(TemporaryFailure, match="no claim"):
        relay.deliver(GRACE, fail)
    assert relay.deliver(MARY)
    assert arrived(server) == ["mary"]


@contextmanager
def scripted(*steps: tuple[bytes, bytes]):
    """A relay that waits for the end of each request, then answers; gives the port and what it heard."""
    heard: list[bytes] = []

    def serve() -> None:
        connection, _ = listening.accept()
        with connection:
            connection.settimeout(10)
            for end, answer in (*GREETING, *steps):
                request = b""
                while not request.endswith(end):
                    request += connection.recv(65536)
                heard.append(request)
                connection.sendall(answer)
            heard.append(connection.recv(65536))

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listening.getsockname()[1], heard
        thread.join(10)
        assert not thread.is_alive()


def test_a_mail_takes_one_round_trip():
    envelope = (b"DATA\r\n", b"250 OK\r\n250 OK\r\n354 go ahead\r\n")
    behind = (b"DATA\r\n", b"250 taken\r\n250 OK\r\n250 OK\r\n354 go ahead\r\n")
    end = (b"\r\n.\r\n", b"250 taken\r\n")
    with scripted(envelope, behind, end) as (port, heard), relay_at(port) as relay:
        assert relay.deliver(ADA, then=GRACE)
        assert relay.deliver(GRACE)
    assert heard[3].startswith(ADA.data + b"MAIL FROM:<shop@example.org>\r\nRCPT TO:<grace@example.org>\r\n")
    assert heard[4:] == [GRACE.data, b""]


def test_a_relay_that_waits_for_a_content_after_it_refused_the_recipient_gets_none():
    envelope = (b"DATA\r\n", b"250 OK\r\n550 No such user\r\n354 go ahead\r\n")
    with scripted(envelope) as (port, heard), relay_at(port) as relay:
        with pytest.raises(PermanentFailure, match="550 No such user"):
            relay.deliver(ADA)
        assert heard[2].endswith(b"RCPT TO:<ada@example.org>\r\nDATA\r\n")
    assert heard[3:] == [b""]
