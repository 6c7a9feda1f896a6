"""What the ledger tells those who watch is what is in it."""

from __future__ import annotations

from datetime import timedelta

from services.core.ledger.models import Campaign, CampaignRecipient, File, Job, OutboxEntry
from services.core.ledger.states import State
from services.core.usecases.measures import MOST_CAMPAIGNS, SHOWN_FOR, ledger_measures


def values(ledger, name: str) -> dict[tuple[str, ...], float]:
    (measure,) = [found for found in ledger_measures(ledger) if found.name == name]
    return {sample.labels: sample.value for sample in measure.samples}


def campaign(identity: str, moved_at) -> Campaign:
    return Campaign(
        id=identity, template="t", state=State.RUNNING, list_name="list", list_digest="d", duplicates=0,
        without_address=0, created_at=moved_at, moved_at=moved_at,
    )  # fmt: skip


def recipient(campaign_id: str, number: int, status: State) -> CampaignRecipient:
    address = f"{number}@example.org"
    return CampaignRecipient(
        campaign_id=campaign_id, address=address, address_key=address, variables={}, status=status, attempt=1
    )


def test_an_empty_ledger_has_zeros_and_no_campaign(ledger):
    assert values(ledger, "switchyard_outbox_entries") == {(): 0}
    assert values(ledger, "switchyard_outbox_oldest_seconds") == {(): 0}
    assert set(values(ledger, "switchyard_jobs").values()) == {0}
    assert values(ledger, "switchyard_campaign_recipients") == {}
    assert values(ledger, "switchyard_dead_letters") == {}


def test_jobs_and_their_files_are_counted_while_they_run(ledger, clock):
    now = ledger.clock()
    with ledger.writing() as session:
        session.add_all(Job(id=f"job-{state}", state=state, created_at=now) for state in (State.RUNNING, State.DONE))
        session.flush()
        for job in ("job-running", "job-done"):
            session.add_all(
                File(id=f"{job}-{status}", job_id=job, name="n", path="p", status=status, bytes=1)
                for status in (State.DONE, State.WAITING)
            )
        session.add(
            OutboxEntry(subject="s", broker="batch", priority=0, signature={}, created_at=now, due_at=now, tries=0)
        )
    clock.forward(seconds=90)
    assert values(ledger, "switchyard_jobs")[(State.RUNNING,)] == 1
    assert values(ledger, "switchyard_files") == {("waiting",): 1, ("done",): 1, ("failed",): 0}
    assert values(ledger, "switchyard_outbox_entries") == {(): 1}
    assert values(ledger, "switchyard_outbox_oldest_seconds") == {(): 90}


def test_only_the_latest_campaigns_have_series(ledger, clock):
    now = ledger.clock()
    with ledger.writing() as session:
        session.add(campaign("old", now - SHOWN_FOR - timedelta(seconds=1)))
        session.add_all(
            campaign(f"c{number:02}", now - timedelta(seconds=number)) for number in range(MOST_CAMPAIGNS + 3)
        )
        session.flush()
        session.add(recipient("old", 1, State.PENDING))
        for number in range(MOST_CAMPAIGNS + 3):
            session.add(recipient(f"c{number:02}", 1, State.SENT))
        session.add_all(recipient("c00", number, State.PENDING) for number in range(2, 5))
    counted = values(ledger, "switchyard_campaign_recipients")
    assert counted["c00", "pending"] == 3
    assert counted["c00", "sent"] == 1
    assert {labels[0] for labels in counted} == {f"c{number:02}" for number in range(MOST_CAMPAIGNS)}
    assert values(ledger, "switchyard_campaigns")[("running",)] == MOST_CAMPAIGNS + 4
