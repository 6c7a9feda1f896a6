"""File jobs are accepted while RabbitMQ is down, and done after: the short form of ``python -m tests.chaos outbox``."""

from __future__ import annotations

import pytest

from services.core.chaos.course import RABBITMQ
from services.core.chaos.proxied_fleet import proxied_fleet
from services.core.local.plan import switchyard_plan
from tests.chaos.broker_down import BrokerDown, Outage

pytestmark = pytest.mark.timeout(600)


def test_jobs_that_are_submitted_while_rabbitmq_is_down_are_accepted_and_done_once(tmp_path):
    with proxied_fleet(tmp_path / "home", switchyard_plan, print) as (fleet, proxies):
        outcome = BrokerDown(fleet, proxies[RABBITMQ], Outage(jobs=100, seconds=10)).run()
    print("\n".join(outcome.lines()))
    assert outcome.facts["receipts"] == "100"
    assert outcome.facts["effects accepted"] == outcome.facts["effects done"] == "202"
    assert not outcome.broken, "\n".join(outcome.lines())
