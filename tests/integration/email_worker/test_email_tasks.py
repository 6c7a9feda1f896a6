"""The tasks in a worker process, as callers see them: results, errors, retries, and a crash in between."""

from __future__ import annotations

import pytest
from celery import chain
from celery.result import AsyncResult

from services.email_worker.errors import InvalidAddress, MailRejected, PermanentFailure
from services.email_worker.retries import MAX_RETRIES
from shared.brokers import switchyard_brokers
from shared.celery_app import FleetCelery
from shared.metrics import scrape
from shared.names import BrokerName, QueueName, ServiceName, TaskName
from shared.queues import QUEUES
from shared.reports import Chunk
from shared.secret import SecretStr
from shared.settings import FleetSettings
from shared.tasks import TASKS
from tests.fixtures.workers import WorkerProcess
from tests.fleet.inspection import wait_for
from tests.integration.email_worker.relay_server import HANG_UP, HOLD

MAIL = {"to": "ada@example.org", "template": "welcome", "variables": {"name": "Ada"}}


def chunk(*addresses: str) -> Chunk:
    recipients = enumerate(addresses, start=1)
    return {
        "campaign_id": "spring",
        "number": 1,
        "template": "welcome",
        "recipients": [
            {"recipient_id": number, "address": address, "variables": {"name": "Ada"}} for number, address in recipients
        ],
        "outcomes": [],
    }


def statuses(settled: Chunk) -> dict[int, str]:
    assert settled["recipients"] == []
    return {outcome["recipient_id"]: outcome["status"] for outcome in settled["outcomes"]}


@pytest.fixture
def settings(redis_process, state, relay_server):
    def database(number: int) -> SecretStr:
        return SecretStr(f"redis://127.0.0.1:{redis_process.port}/{number}")

    state.flushall()
    return FleetSettings(
        broker_default_url=database(0),
        broker_critical_url=database(1),
        results_url=database(2),
        state_url=database(3),
        smtp_port=relay_server.port,
    )


@pytest.fixture
def client(settings):
    """A program that publishes to the fleet and has none of the workers' code."""
    with FleetCelery(
        "client",
        brokers=lambda: switchyard_brokers(settings),
        queues=QUEUES,
        tasks=TASKS,
        home=BrokerName.CRITICAL,
        service=ServiceName.EMAIL_WORKER,
        defaults={"result_backend": settings.results_url.get_secret_value()},
    ) as app:
        yield app


@pytest.fixture
def start_worker(settings, monkeypatch, tmp_path):
    for name in ("broker_default_url", "broker_critical_url", "results_url", "state_url"):
        monkeypatch.setenv(f"YARD_{name.upper()}", getattr(settings, name).get_secret_value())
    monkeypatch.setenv("YARD_SMTP_PORT", str(settings.smtp_port))
    workers: list[WorkerProcess] = []

    def start(*options):
        log = tmp_path / f"worker-{len(workers)}.log"
        workers.append(WorkerProcess("services.email_worker", "-Q", QueueName.EMAIL_CRITICAL, *options, log=log))
        return workers[-1]

    yield start
    for worker in workers:
        worker.kill()


def send(client: FleetCelery, mail: object) -> AsyncResult:
    return client.send_task(TaskName.EMAIL_SEND, [mail])


def send_chunk(client: FleetCelery, *args: Chunk, **options: int) -> AsyncResult:
    return client.send_task(TaskName.EMAIL_SEND_CHUNK, args, queue=QueueName.EMAIL_CRITICAL, **options)


def test_callers_get_outcomes_and_final_errors(client, start_worker, relay_server):
    start_worker()
    sent = send(client, MAIL).get(timeout=30)
    assert (sent["to"], sent["status"]) == ("ada@example.org", "sent")
    assert relay_server.kept[0].message["Message-ID"] == sent["message_id"]
    with pytest.raises(InvalidAddress, match="@-sign"):
        send(client, {**MAIL, "to": "ada"}).get(timeout=30)
    with pytest.raises(MailRejected, match="A mail is an object"):
        send(client, "ada@example.org").get(timeout=30)
    relay_server.answers["RCPT"].append("550 5.1.1 No such user")
    with pytest.raises(PermanentFailure, match=r"550 5\.1\.1 No such user"):
        send(client, MAIL).get(timeout=30)


def test_where_there_is_nobody_to_tell_no_mail_is_sent_and_nothing_fails(client, start_worker, relay_server):
    start_worker()
    assert send(client, None).get(timeout=30) is None
    assert relay_server.kept == []


def answers(url: str) -> dict[str, float]:
    """How often the children of a worker got an answer of each class."""
    return {
        found.labels["answer"]: found.value for found in scrape(url) if found.name == "switchyard_smtp_answers_total"
    }


def test_answers_of_the_relay_are_counted_by_class_whichever_child_got_them(client, start_worker, relay_server):
    worker = start_worker("-c2")
    relay_server.answers["RCPT"].extend(["550 5.1.1 No such user", "451 4.7.1 Greylisted", HANG_UP])
    with pytest.raises(PermanentFailure):
        send(client, MAIL).get(timeout=30)
    for _ in range(2):
        assert send(client, MAIL).get(timeout=60)["status"] == "sent"
    url = wait_for(worker.metrics_url, "metrics")
    assert answers(url) == {"5xx": 1, "4xx": 1, "none": 1, "2xx": 2}


def test_a_mail_refused_for_now_is_sent_by_a_retry_under_the_same_identity(client, start_worker, relay_server):
    start_worker()
    relay_server.answers["RCPT"].append("451 4.7.1 Greylisted")
    result = send(client, MAIL)
    assert result.get(timeout=30)["status"] == "sent"
    (kept,) = relay_server.kept
    assert kept.message["Message-ID"] == result.get()["message_id"]


def test_a_chunk_is_validated_then_sent_and_retried_for_those_who_were_refused(client, start_worker, relay_server):
    start_worker()
    relay_server.answers["RCPT"].append("451 4.7.1 Greylisted")
    validate = client.signature(TaskName.EMAIL_VALIDATE_CHUNK.value, [chunk("a@example.org", "b@@", "c@example.org")])
    deliver = client.signature(TaskName.EMAIL_SEND_CHUNK.value, queue=QueueName.EMAIL_CRITICAL)
    settled = chain(validate, deliver, app=client).apply_async().get(timeout=30)
    assert statuses(settled) == {1: "sent", 2: "invalid", 3: "sent"}
    assert [kept.recipients for kept in relay_server.kept] == [["c@example.org"], ["a@example.org"]]


def test_recipients_who_are_still_refused_at_the_last_retry_have_failed(client, start_worker, relay_server):
    start_worker()
    relay_server.answers["RCPT"].extend(["250 OK", "451 4.7.1 Greylisted"])
    settled = send_chunk(client, chunk("a@example.org", "b@example.org"), retries=MAX_RETRIES).get(timeout=30)
    assert statuses(settled) == {1: "sent", 2: "failed"}
    assert "451 4.7.1 Greylisted" in settled["outcomes"][1]["reason"]


def test_a_chunk_whose_worker_was_killed_in_the_middle_mails_nobody_twice(client, start_worker, relay_server):
    worker = start_worker()
    whole = chunk("a@example.org", "b@example.org", "c@example.org")
    relay_server.answers["DATA"].extend(["250 OK", HOLD])
    send_chunk(client, whole)
    assert relay_server.holding.wait(30)
    worker.kill()
    start_worker()
    assert statuses(send_chunk(client, whole).get(timeout=30)) == {1: "sent", 2: "unknown", 3: "sent"}
    arrived = [address for kept in relay_server.kept for address in kept.recipients]
    assert arrived == ["a@example.org", "b@example.org", "c@example.org"]


def test_a_soft_time_limit_hands_on_whom_it_left_out_and_mails_nobody_twice(client, start_worker, relay_server):
    start_worker("--pool=prefork", "--soft-time-limit=2", "--time-limit=60")
    relay_server.answers["DATA"].extend(["250 OK", HOLD])
    settled = send_chunk(client, chunk("a@example.org", "b@example.org", "c@example.org")).get(timeout=30)
    assert statuses(settled) == {1: "sent", 2: "unknown", 3: "sent"}
    assert sorted(kept.recipients[0][0] for kept in relay_server.kept) == ["a", "b", "c"]
