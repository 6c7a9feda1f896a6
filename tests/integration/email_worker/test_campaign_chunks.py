"""Chunks of a campaign: every recipient ends with one outcome, and none gets two mails."""

from __future__ import annotations

import pytest

from services.email_worker.campaigns import ChunkDelivery, validate_chunk
from services.email_worker.errors import ClaimsUnavailable, RelayUnavailable, TemporaryFailure
from shared.reports import Chunk, Recipient
from shared.secret import SecretStr
from tests.integration.email_worker.relay_server import HANG_UP, RelayServer


def recipient(number: int, address: str | None = None, **variables: str) -> Recipient:
    return {
        "recipient_id": number,
        "address": f"reader-{number}@example.org" if address is None else address,
        "variables": {"name": "Ada", "headline": "Engines", **variables},
    }


def chunk(*recipients: Recipient) -> Chunk:
    return {
        "campaign_id": "spring",
        "number": 1,
        "template": "newsletter",
        "recipients": list(recipients),
        "outcomes": [],
    }


def statuses(settled: Chunk) -> dict[int, str]:
    assert settled["recipients"] == []
    return {outcome["recipient_id"]: outcome["status"] for outcome in settled["outcomes"]}


def arrived(server: RelayServer) -> list[str]:
    return [address for kept in server.kept for address in kept.recipients]


def ignore_progress(current: int, total: int) -> None:
    assert current < total


@pytest.fixture(params=[False, True], ids=["step by step", "pipelining"])
def relay_server(request):
    with RelayServer(pipelining=request.param) as server:
        yield server


@pytest.fixture
def mailer(make_mailer, relay_server):
    return make_mailer(relay_server.port)


def test_validation_moves_invalid_recipients_to_the_outcomes_and_normalises_the_others():
    known = chunk(recipient(1, "Ada@Example.ORG"), recipient(2, "ada@@example.org"), recipient(3, ""))
    valid = validate_chunk(known, check_deliverability=False)
    assert [rest["address"] for rest in valid["recipients"]] == ["Ada@example.org"]
    assert [(outcome["recipient_id"], outcome["to"], outcome["status"]) for outcome in valid["outcomes"]] == [
        (2, "ada@@example.org", "invalid"),
        (3, "", "invalid"),
    ]
    assert all(outcome["reason"] for outcome in valid["outcomes"])
    assert len(known["recipients"]) == 3


def test_one_recipients_failure_leaves_the_others_alone(mailer, relay_server):
    relay_server.answers["RCPT"].extend(["250 OK", "550 5.1.1 No such user", "250 OK"])
    without_name = recipient(5)
    del without_name["variables"]["name"]
    delivery = ChunkDelivery(
        mailer, chunk(recipient(1), recipient(2), recipient(3, "nobody"), without_name, recipient(6))
    )
    delivery.run(ignore_progress)
    assert delivery.failure is None
    assert statuses(delivery.chunk) == {1: "sent", 2: "failed", 3: "invalid", 5: "failed", 6: "sent"}
    reasons = {outcome["recipient_id"]: outcome["reason"] or "" for outcome in delivery.chunk["outcomes"]}
    assert "550 5.1.1 No such user" in reasons[2]
    assert "'name' is undefined" in reasons[5]
    assert arrived(relay_server) == ["reader-1@example.org", "reader-6@example.org"]


def test_recipients_refused_for_now_are_handed_on_and_sent_by_the_next_execution(mailer, relay_server):
    relay_server.answers["RCPT"].extend(["451 later", "250 OK", "451 later"])
    first = ChunkDelivery(mailer, chunk(recipient(1), recipient(2), recipient(3)))
    first.run(ignore_progress)
    assert isinstance(first.failure, TemporaryFailure)
    assert [rest["recipient_id"] for rest in first.chunk["recipients"]] == [1, 3]
    second = ChunkDelivery(mailer, first.chunk, first.given_up)
    second.run(ignore_progress)
    assert statuses(second.chunk) == {1: "sent", 2: "sent", 3: "sent"}
    assert sorted(arrived(relay_server)) == [f"reader-{number}@example.org" for number in (1, 2, 3)]


def test_a_recipient_at_whom_the_relay_hangs_up_does_not_hold_up_those_behind(mailer, relay_server):
    relay_server.answers["RCPT"].append(HANG_UP)
    first = ChunkDelivery(mailer, chunk(recipient(1), recipient(2), recipient(3)))
    first.run(ignore_progress)
    assert isinstance(first.failure, RelayUnavailable)
    assert [rest["recipient_id"] for rest in first.chunk["recipients"]] == [2, 3, 1]
    assert relay_server.connections == 1


def test_recipients_that_are_left_in_the_end_have_failed_with_the_last_reason(mailer, relay_server):
    relay_server.answers["RCPT"].extend(["250 OK", "451 4.7.1 Greylisted"])
    delivery = ChunkDelivery(mailer, chunk(recipient(1), recipient(2)))
    delivery.run(ignore_progress)
    settled = delivery.give_up()
    assert statuses(settled) == {1: "sent", 2: "failed"}
    assert "451 4.7.1 Greylisted" in (settled["outcomes"][1]["reason"] or "")


def test_a_chunk_that_is_delivered_again_sends_nothing_again(mailer, relay_server, claims):
    whole = chunk(*map(recipient, range(4)))
    relay_server.answers["DATA"].extend(["250 OK", HANG_UP])
    first, second = ChunkDelivery(mailer, whole), ChunkDelivery(mailer, whole)
    for delivery in (first, second):
        delivery.run(ignore_progress)
        assert statuses(delivery.chunk) == {0: "sent", 1: "unknown", 2: "sent", 3: "sent"}
    assert first.chunk["outcomes"] == second.chunk["outcomes"]
    assert len(relay_server.kept) == 4


def test_a_claim_store_that_is_away_leaves_every_recipient_to_the_next_execution(make_mailer, relay_server):
    mailer = make_mailer(relay_server.port, state_url=SecretStr("redis://127.0.0.1:1/3"))
    delivery = ChunkDelivery(mailer, chunk(recipient(1), recipient(2)))
    delivery.run(ignore_progress)
    assert isinstance(delivery.failure, ClaimsUnavailable)
    assert len(delivery.chunk["recipients"]) == 2
    assert relay_server.connections == 0


def test_two_campaigns_send_to_the_same_recipient_once_each(mailer, relay_server):
    for campaign in ("spring", "autumn"):
        delivery = ChunkDelivery(mailer, {**chunk(recipient(1)), "campaign_id": campaign})
        delivery.run(ignore_progress)
        assert statuses(delivery.chunk) == {1: "sent"}
    assert len({kept.message["Message-ID"] for kept in relay_server.kept}) == 2


def test_progress_counts_the_settled(mailer):
    told = []
    delivery = ChunkDelivery(mailer, chunk(*map(recipient, range(4))))
    delivery.run(lambda *progress: told.append(progress))
    assert told == [(0, 4), (1, 4), (2, 4), (3, 4)]
