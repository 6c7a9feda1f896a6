"""Reports of health are written whole, judged by the clock, and those of the dead are not believed."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from shared.health import HealthReport, born, clock, has_ended, judge, remove, verdicts, write
from shared.heartbeat import Heartbeat, Look
from tests.fleet.inspection import wait_for


def report(name: str = "email.critical@here", pid: int | None = None, **values) -> HealthReport:
    pid = pid or os.getpid()
    return HealthReport(name, pid, born(pid), **{"turned": clock(), **values})


@pytest.mark.parametrize(
    ("age", "not_ready", "ended", "live", "ready", "why"),
    [
        (1, None, False, True, True, "turned 1.0 s ago"),
        (30, None, False, True, True, "turned 30.0 s ago"),
        (31, None, False, False, False, "has not turned for 31 s"),
        (1, "it has no connection", False, True, False, "it has no connection"),
        (31, "it has no connection", False, False, False, "has not turned for 31 s"),
        (1, None, True, False, False, "has ended"),
        (-5, None, False, False, False, "before this machine started"),
    ],
)
def test_live_is_a_loop_that_turned_and_ready_has_no_reason_against_it(age, not_ready, ended, live, ready, why):
    verdict = judge(report(turned=1000.0, not_ready=not_ready), 1000.0 + age, ended=ended)
    assert (verdict.live, verdict.ready) == (live, ready)
    assert why in verdict.why


def test_a_process_may_say_how_long_its_loop_takes():
    slow = report(turned=1000.0, within=95.0)
    assert judge(slow, 1090.0, ended=False).live
    assert not judge(slow, 1096.0, ended=False).live


def test_a_process_is_found_by_its_name_with_or_without_the_host(tmp_path):
    for name in ("email.critical@here", "email.bulk@here", "beat", "../odd name@here"):
        write(tmp_path / "run", report(name))
    folder = tmp_path / "run"
    assert len(verdicts(folder)) == 4
    assert [verdict.process for verdict in verdicts(folder, "email.bulk")] == ["email.bulk@here"]
    assert [verdict.process for verdict in verdicts(folder, "email.bulk@here")] == ["email.bulk@here"]
    assert [verdict.process for verdict in verdicts(folder, "../odd name")] == ["../odd name@here"]
    assert verdicts(folder, "email") == []
    assert list(tmp_path.iterdir()) == [folder]


def test_a_process_that_ended_or_whose_id_was_given_away_is_not_believed(tmp_path):
    done = subprocess.Popen([sys.executable, "-c", ""])
    alive = report("lives", pid=os.getppid())
    unreaped = report("unreaped", pid=done.pid)
    wait_for(lambda: has_ended(unreaped), "a process to end")
    done.wait()
    assert has_ended(unreaped)
    assert not has_ended(alive)
    assert has_ended(HealthReport("another of the same id", os.getpid(), (born(os.getpid()) or 0) - 1, clock()))
    write(tmp_path, unreaped)
    (verdict,) = verdicts(tmp_path)
    assert not verdict.live


def test_what_is_no_report_is_not_live(tmp_path):
    (tmp_path / "email.bulk@here.json").write_text("{")
    (tmp_path / "email.critical@here.json").write_text("{}")
    (tmp_path / ".draft.json.17").write_text("{")
    assert [(verdict.process, verdict.live) for verdict in verdicts(tmp_path)] == [
        ("email.bulk@here", False),
        ("email.critical@here", False),
    ]


def test_a_report_of_a_later_release_is_understood(tmp_path):
    write(tmp_path, report("beat"))
    (path,) = tmp_path.glob("*.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), "mood": "fair"}))
    assert verdicts(tmp_path)[0].ready


def test_only_its_own_report_is_removed(tmp_path):
    write(tmp_path, report("beat", pid=os.getppid()))
    remove(tmp_path, report("beat"))
    assert len(verdicts(tmp_path)) == 1


def test_a_heartbeat_reports_until_it_ends(tmp_path):
    heartbeat = Heartbeat("beat", lambda: Look(clock(), "not yet"), tmp_path / "run")
    heartbeat.start()
    try:
        assert [verdict.why for verdict in verdicts(tmp_path / "run")] == ["not yet"]
        assert heartbeat.verdict.live
    finally:
        heartbeat.end()
    assert verdicts(tmp_path / "run") == []


def test_a_heartbeat_that_cannot_write_says_so_and_ends_nothing(tmp_path, caplog):
    (tmp_path / "run").write_text("a file in the way")
    heartbeat = Heartbeat("beat", lambda: Look(clock()), tmp_path / "run")
    heartbeat.start()
    heartbeat.end()
    assert "can't be reported" in caplog.text


def test_the_check_imports_nothing_that_takes_long(tmp_path):
    script = (
        "import sys; from services.core.cli.main import app; app(['health', 'live'], standalone_mode=False); "
        "sys.exit(', '.join({'celery', 'kombu', 'redis', 'sqlalchemy', 'prometheus_client'} & set(sys.modules)))"
    )
    environment = {**os.environ, "YARD_RUN_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, check=False, capture_output=True, text=True, timeout=60
    )
    assert "nothing reports in" in done.stdout
    assert done.stderr.strip() == ""
