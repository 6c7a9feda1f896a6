"""The proof in containers, in its short form: everything is killed, cut off and rolled, and nothing is lost."""

from __future__ import annotations

import json
import subprocess

import pytest

from services.core.chaos.containers.project import project_name
from services.core.cli import exit_codes
from services.core.local.plan import YARD
from shared.settings import child_environment
from tests.containers.compose import ROOT

SEED, MINUTES = 5, 2.5
"""A seed that has everything killed, cut off and rolled in this time."""
WORK = {"recipients": 3000, "files": 120, "chords": 6, "mails": 40}
EFFECTS = sum(WORK.values())
DAMAGED = WORK["files"] // 10
RUN_SECONDS = 1_500
"""For the image that is built, and for a machine that does something else too; the run itself takes six minutes."""
END_SECONDS = 180


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> dict:
    """The report of one run."""
    home = tmp_path_factory.mktemp("chaos") / "home"
    amounts = [word for name, number in WORK.items() for word in (f"--{name}", str(number))]
    with subprocess.Popen(
        [*YARD, "chaos", "mixed", "--containers", f"--seed={SEED}", f"--minutes={MINUTES}", *amounts,
         "--home", str(home), "--json"],
        cwd=ROOT, env=child_environment({}, without=("YARD_",)), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as chaos:  # fmt: skip
        try:
            said, complained = chaos.communicate(timeout=RUN_SECONDS)
        finally:
            chaos.terminate()  # it removes its containers then
            chaos.wait(END_SECONDS)
    assert chaos.returncode in (exit_codes.OK, exit_codes.FAILED), said + complained
    return {**json.loads(said), "home": home}


@pytest.mark.timeout(RUN_SECONDS + END_SECONDS + 20)
def test_nothing_is_lost_and_no_effect_repeated_while_everything_in_containers_fails(run, capsys):
    with capsys.disabled():
        print(f"\n{json.dumps(run['facts'], indent=2)}")
    findings = {name: run[name] for name in ("lost", "repeated", "contradicted", "notes")}
    assert findings == {"lost": [], "repeated": [], "contradicted": [], "notes": []}
    assert run["holds"]
    assert run["facts"]["accepted"] == f"{EFFECTS:,}"
    assert int(run["facts"]["failed, with a record"]) >= DAMAGED
    assert run["refused"] == []
    assert len(run["unknown"]) < EFFECTS / 10


def test_every_fault_found_its_target_and_some_of_them_work_in_flight(run):
    assert [fault["fault"] for fault in run["faults"] if not fault["found"]] == []
    assert any(fault["in_flight"] > 0 for fault in run["faults"])


@pytest.mark.parametrize("kind", ["container", "network", "volume"])
def test_nothing_of_its_project_is_left(run, kind):
    every = ["--all"] if kind == "container" else []
    ours = f"label=com.docker.compose.project={project_name(run['home'])}"
    done = subprocess.run(
        ["docker", kind, "ls", *every, "--quiet", "--filter", ours], check=True, capture_output=True, text=True
    )
    assert done.stdout == ""
