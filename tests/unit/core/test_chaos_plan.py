"""What a seed decides: the faults of a run, and how its work is spread."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from services.core.chaos.amounts import Amounts, Scenario, What, submissions
from services.core.chaos.report import percentile
from services.core.chaos.scenario import HELPERS, TARGETS
from services.core.chaos.schedule import BETWEEN_SECONDS, Kind, plan_faults
from shared.errors import ConfigurationError
from shared.queues import QUEUES


def test_the_same_seed_gives_the_same_faults_and_another_one_others():
    assert plan_faults(3, 300, TARGETS) == plan_faults(3, 300, TARGETS)
    assert plan_faults(3, 300, TARGETS) != plan_faults(4, 300, TARGETS)


@pytest.mark.parametrize("seed", range(20))
def test_in_five_minutes_every_process_is_killed_and_every_broker_restarted_twice(seed):
    made = Counter((fault.kind, fault.target) for fault in plan_faults(seed, 300, TARGETS))
    for name in (*(spec.name for spec in QUEUES), *HELPERS, "redis", "rabbitmq"):
        assert made[Kind.KILL, name], f"{name} is never killed"
    assert min(made[Kind.RESTART, name] for name in TARGETS.servers) >= 2


@pytest.mark.parametrize("seed", range(20))
def test_no_target_is_struck_while_it_is_struck_or_more_often_than_its_supervisor_puts_up_with(seed):
    faults = plan_faults(seed, 600, TARGETS)
    assert [fault.at for fault in faults] == sorted(fault.at for fault in faults)
    for name in {fault.target for fault in faults}:
        mine = [fault for fault in faults if fault.target == name]
        assert all(after.at - before.at - before.seconds >= BETWEEN_SECONDS - 0.2 for before, after in pairwise(mine))


def test_children_are_killed_only_where_a_worker_has_some():
    struck = {
        fault.target for seed in range(20) for fault in plan_faults(seed, 600, TARGETS) if fault.kind is Kind.KILL_CHILD
    }
    assert struck == set(TARGETS.forking)


def test_work_is_spread_over_the_run_and_none_of_it_is_left_out():
    amounts = Amounts.of(Scenario.MIXED, recipients=1_003, files=57, chords=9, mails=4)
    plan = submissions(amounts, 100)
    assert Counter(submission.what for submission in plan) == {What.CAMPAIGN: 10, What.JOB: 9, What.MAIL: 4}
    assert sum(item.size for item in plan if item.what is What.CAMPAIGN) == 1_003
    assert sum(item.size for item in plan if item.what is What.JOB) == 57
    assert 0 == plan[0].at < plan[-1].at < 75


def test_a_scenario_takes_what_is_its_own_and_refuses_to_be_without_work():
    files = Amounts.of(Scenario.FILES, recipients=9, files=3, chords=5, mails=2)
    assert (files.recipients, files.mails, files.files, files.chords) == (0, 0, 3, 3)
    campaign = Amounts.of(Scenario.CAMPAIGN, recipients=9, files=3, chords=5, mails=2)
    assert (campaign.recipients, campaign.mails, campaign.files) == (9, 2, 0)
    with pytest.raises(ConfigurationError, match="has no work"):
        Amounts.of(Scenario.FILES, recipients=9, files=0, chords=5, mails=2)


def test_a_percentile_of_one_value_is_that_value():
    assert percentile([4.0], 99) == percentile([4.0], 50) == 4.0
    assert percentile(list(map(float, range(100))), 99) == 99.0
