"""What the ledger tells those who watch the fleet, as measures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta

from services.core.ledger import states
from services.core.ledger.engine import Ledger
from services.core.ledger.measuring import (
    count_campaigns,
    count_chunks_of,
    count_dead_letters,
    count_jobs,
    count_open_files,
    count_recipients_of,
    latest_campaigns,
)
from services.core.ledger.states import Lifecycle, State
from services.core.usecases.outbox_lag import outbox_lag
from shared.metrics import Measure, Sample

SHOWN_FOR = timedelta(hours=1)
"""How long after it last moved a campaign has series of its own."""
MOST_CAMPAIGNS = 20
"""Campaigns that have series of their own at once, the latest; a series is kept for each id that ever was a label."""


def ledger_measures(ledger: Ledger) -> Iterator[Measure]:
    """Measure the outbox, dead letters, and the jobs and campaigns under way.

    Raises:
        LedgerUnavailable: The database is out of reach.
    """
    yield from _outbox(ledger)
    with ledger.reading() as session:
        yield _by_state("switchyard_jobs", "Jobs by state.", states.JOB, count_jobs(session))
        yield _by_state("switchyard_campaigns", "Campaigns by state.", states.CAMPAIGN, count_campaigns(session))
        yield _by_state("switchyard_files", "Files of running jobs, by status.", states.FILE, count_open_files(session))
        yield Measure(
            "switchyard_dead_letters",
            "Dead letters in the ledger that were not replayed, by reason.",
            ("queue_name", "broker", "reason"),
            tuple(
                Sample((queue, broker or "", reason), count)
                for queue, broker, reason, count in count_dead_letters(session)
            ),
        )
        latest = latest_campaigns(session, ledger.clock() - SHOWN_FOR, MOST_CAMPAIGNS)
        yield _of_campaigns(
            "switchyard_campaign_recipients",
            "Recipients of a campaign that moved within the last hour, by status.",
            count_recipients_of(session, latest),
        )
        yield _of_campaigns(
            "switchyard_campaign_chunks",
            "Chunks of a campaign that moved within the last hour, by state.",
            count_chunks_of(session, latest),
        )


def _outbox(ledger: Ledger) -> Iterator[Measure]:
    lag = outbox_lag(ledger)
    for name, meaning, value in (
        ("entries", "Messages that are accepted and not published yet.", lag.entries),
        ("oldest_seconds", "How long the oldest of them has waited; 0 when none waits.", lag.seconds),
        ("relay_at_work", "1 when a relay looked into the outbox within the last 10 seconds.", lag.relay_at_work),
    ):
        yield Measure(f"switchyard_outbox_{name}", meaning, (), (Sample((), value),))


def _by_state(name: str, meaning: str, lifecycle: Lifecycle, counts: Mapping[State, int]) -> Measure:
    """Measure counts by state; a state of which there is nothing counts 0."""
    samples = tuple(Sample((state,), counts.get(state, 0)) for state in lifecycle.states)
    return Measure(name, meaning, ("state",), samples)


def _of_campaigns(name: str, meaning: str, counts: Iterable[tuple[str, State, int]]) -> Measure:
    samples = tuple(Sample((campaign, state), count) for campaign, state, count in counts)
    return Measure(name, meaning, ("campaign", "state"), samples)
