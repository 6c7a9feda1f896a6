"""What is struck in containers, and how the witness is asked; no engine is needed."""

from __future__ import annotations

import json
from collections import Counter

import pytest
import yaml
from typer.testing import CliRunner

from services.core.chaos.containers.project import FILES
from services.core.chaos.containers.questions import dump_receipts, dump_tally, load_receipts, load_tally
from services.core.chaos.containers.scenario import BEHIND, NETWORKS, TARGETS, WORKERS
from services.core.chaos.receipts import CampaignReceipt, JobReceipt, MailReceipt, Receipts
from services.core.chaos.scenario import HELPERS
from services.core.chaos.schedule import Kind, plan_faults
from services.core.chaos.tally import Tally
from services.core.cli import exit_codes
from services.core.cli.main import app
from tests.containers import compose
from tests.containers.test_chaos import MINUTES, SEED

SERVICES = compose.described()["services"]


def faults(seed: int, minutes: float) -> Counter[tuple[Kind, str]]:
    return Counter((fault.kind, fault.target) for fault in plan_faults(seed, minutes * 60, TARGETS))


@pytest.mark.parametrize(("seed", "minutes"), [(SEED, MINUTES), *((seed, 4) for seed in range(20))])
def test_everything_is_killed_every_worker_rolled_and_every_server_restarted_twice_and_cut_off(seed, minutes):
    made = faults(seed, minutes)
    assert {name for kind, name in made if kind is Kind.KILL} == {*WORKERS, *HELPERS, *NETWORKS}
    assert {name for kind, name in made if kind is Kind.ROLL} == set(compose.WORKERS)
    assert {name for kind, name in made if kind is Kind.PARTITION} == set(NETWORKS)
    assert min(made[Kind.RESTART, name] for name in NETWORKS) >= 2


def test_no_fault_is_drawn_that_containers_cannot_have():
    drawn = {kind for seed in range(20) for kind, _ in faults(seed, 30)}
    assert drawn == set(Kind) - {Kind.CUT, Kind.HALF_OPEN}


def test_what_is_struck_are_services_of_the_compose_file():
    known = {*TARGETS.workers, *TARGETS.helpers, *TARGETS.servers}
    assert known == {*compose.OURS, *compose.SERVERS} - {"mail", "prometheus", "alertmanager"}
    for server, network in NETWORKS.items():
        assert network in SERVICES[server]["networks"]
        assert all(network in SERVICES[name]["networks"] for name in BEHIND[server])


def test_what_is_laid_over_leaves_what_is_put_to_the_test_as_it_is():
    laid_over = yaml.safe_load((compose.ROOT / FILES[1]).read_text())["services"]
    assert set(laid_over.pop("yard")) == {"networks", "volumes"}
    assert laid_over == {name: {"healthcheck": {"disable": True}} for name in compose.OURS}


def test_receipts_and_counts_arrive_as_they_were():
    receipts = Receipts(
        campaigns=[CampaignReceipt("chaos-1", ("a@example.org", "b@example.org"))],
        jobs=[JobReceipt("job-1", ("0001.png",), "owner@example.org")],
        mails=[MailReceipt("mail-1", "c@example.org")],
        refused=["job 2: it was late"],
    )
    assert load_receipts(json.loads(json.dumps(dump_receipts(receipts)))) == receipts
    tally = Tally(accepted=3, done=1, failed=Counter({"damaged": 2}), lost=["x"])
    assert load_tally(json.loads(json.dumps(dump_tally(tally)))) == tally


def test_plain_celery_is_not_run_in_containers():
    done = CliRunner().invoke(app, ["chaos", "mixed", "--stock", "--containers"])
    assert done.exit_code == exit_codes.REFUSED
    assert "--containers" in done.output
