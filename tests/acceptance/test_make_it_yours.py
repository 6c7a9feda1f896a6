"""Follows the page that says how to add to the fleet: what it says is done to a copy of the tree, and then it runs."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from shared.brokers import Broker, BrokerKind
from shared.depths import RabbitMQDepths, RedisDepths
from shared.secret import SecretStr
from shared.settings import child_environment
from tests.acceptance.pages import Section
from tests.fixtures import workers
from tests.fixtures.workers import ROOT, WorkerProcess
from tests.fleet.inspection import wait_for

PAGE = "docs/make-it-yours.md"
SECTIONS = ("Add a task", "Add a queue", "Add a service", "Add a broker")
OWN_TABLES = "Bring tables of your own"


@pytest.fixture
def tree(tmp_path: Path, monkeypatch) -> Path:
    """A copy of the code, in which workers are started."""
    for folder in ("shared", "services"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    monkeypatch.setattr(workers, "ROOT", tmp_path)
    return tmp_path


@pytest.fixture
def urls(brokers, monkeypatch) -> dict[str, str]:
    """Where the brokers are, by alias, for those of the page too."""
    text = Path(brokers["YARD_HOME"], "storage", "notes.txt")
    text.parent.mkdir(exist_ok=True)
    text.write_text("two words, two")
    default, batch = brokers["YARD_BROKER_DEFAULT_URL"], brokers["YARD_BROKER_BATCH_URL"]
    fresh = {number: re.sub(r"/\d+$", f"/{number}", default) for number in (4, 5)}
    monkeypatch.setenv("ORDERS_FAST_URL", fresh[5])
    monkeypatch.setenv("ORDERS_SAFE_URL", batch)
    monkeypatch.setenv("ORDERS_RESULTS_URL", brokers["YARD_RESULTS_URL"])
    return {
        "default": default,
        "critical": brokers["YARD_BROKER_CRITICAL_URL"],
        "batch": batch,
        "search": fresh[4],
        "fast": fresh[5],
        "safe": batch,
    }


@contextmanager
def calling(tree: Path):
    """Run ``try_it.py`` meanwhile; what it has printed is compared by ``ends_with``."""
    process = subprocess.Popen(
        [sys.executable, "try_it.py"], cwd=tree, env=child_environment(), text=True, stdout=subprocess.PIPE
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def waits_in(url: str, queue: str) -> bool:
    """Ask a broker whether a message lies in a queue."""
    broker = Broker("asked", SecretStr(url))
    kind = RedisDepths if broker.kind is BrokerKind.REDIS else RabbitMQDepths
    return any(depth.ready for depth in kind(broker, [queue]).measure() or ())


def follow(section: Section, tree: Path, url: str, queue: str) -> list[str]:
    """Call as the section says, see the message in its broker, start its workers; return what they logged."""
    with ExitStack() as stack:
        call = stack.enter_context(calling(tree))
        wait_for(lambda: waits_in(url, queue), f"a message in {queue}")
        started = []
        for number, (app, arguments) in enumerate(section.workers):
            log = tree / f"worker-{number}.log"
            started.append(WorkerProcess(app, *arguments, f"-n{number}@test", log=log, ready=False))
            stack.callback(started[-1].stop)
        printed, _ = call.communicate(timeout=90)
        assert printed == section.promised
        return [worker.output for worker in started]


@pytest.mark.parametrize(
    ("heading", "broker", "queue", "task"),
    [
        ("Add a task", "batch", "file.documents", "file.count_words"),
        ("Add a queue", "critical", "file.words", "file.count_words"),
        ("Add a service", "batch", "search.index", "search.find_words"),
        ("Add a broker", "search", "search.index", "search.find_words"),
    ],
)
def test_a_section_adds_what_it_says_it_adds(tree, urls, monkeypatch, heading, broker, queue, task):
    for before in SECTIONS[: SECTIONS.index(heading) + 1]:
        section = Section(PAGE, before)
        section.apply(tree)
    if heading == "Add a broker":
        monkeypatch.setenv("YARD_BROKER_SEARCH_URL", urls["search"])
    (log,) = follow(section_with_program(heading), tree, urls[broker], queue)
    assert re.search(rf"Task {re.escape(task)}\[\S+\] succeeded", log)


def section_with_program(heading: str) -> Section:
    """A section, with the program of the nearest one before it where it says to run that again."""
    section = Section(PAGE, heading)
    if not section.promised:
        before = Section(PAGE, SECTIONS[SECTIONS.index(heading) - 1])
        section.blocks += [block for block in before.blocks if block.file == "try_it.py"]
    return section


@pytest.mark.concept("make it your own")
def test_what_the_page_adds_keeps_the_rules(tree):
    for heading in SECTIONS:
        Section(PAGE, heading).apply(tree)
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint, "--no-cache"], cwd=tree, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout
    assert "services.search_worker" in (tree / "pyproject.toml").read_text()


@pytest.mark.concept("make it your own")
def test_a_fleet_over_tables_of_its_own_runs_a_chain_over_its_brokers(tree, urls):
    section = Section(PAGE, OWN_TABLES)
    section.apply(tree)
    quotes, bookings = follow(section, tree, urls["fast"], "orders.quotes")
    assert "Task orders.quote[" in quotes
    assert "Task orders.book[" in bookings
    assert "orders.book[" not in quotes


@pytest.mark.concept("make it your own")
def test_a_fleet_of_yard_up_has_the_broker_and_the_workers_that_the_page_adds(tree, tmp_path_factory):
    for heading in SECTIONS:
        Section(PAGE, heading).apply(tree)
    home = tmp_path_factory.mktemp("yours")
    (home / "storage").mkdir()
    (home / "storage" / "notes.txt").write_text("two words, two")

    def run(*arguments: str) -> str:
        environment = child_environment({"YARD_HOME": str(home)}, without=("YARD_",))
        done = subprocess.run(
            [sys.executable, *arguments], cwd=tree, check=False, capture_output=True, text=True, timeout=150,
            env=environment,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    yard = ("-m", "services.core.cli.main")
    try:
        run(*yard, "up")
        status = json.loads(run(*yard, "status", "--json"))
        workers_of = {broker["alias"]: " ".join(broker["workers"]) for broker in status["brokers"] if broker["up"]}
        assert run("try_it.py") == section_with_program("Add a broker").promised
    finally:
        run(*yard, "down")
    assert "search.index@" in workers_of["search"]
    assert "file.words@" in workers_of["critical"]
