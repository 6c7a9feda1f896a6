"""The history in the ledger: kept by any number of recorders, searched, drawn, bounded."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any, cast

import pytest
from sqlalchemy import event as sql_event

from services.core.history.buffer import Buffer
from services.core.history.cleaning import clean_history
from services.core.history.recorder import Recorder
from services.core.history.search import TaskFilter, history_status, note_purged, search_tasks, the_task, waiting_in
from services.core.history.sightings import Sighting, TaskState, sighting
from services.core.history.workflows import recent_workflows, workflow
from services.core.ledger.engine import Ledger, open_ledger
from services.core.ledger.errors import InvalidSubmission, LedgerUnavailable, UnknownId
from services.core.ledger.history import count_tasks, keep_sightings
from shared.listening import FleetEvent

NOON = 1_795_000_000.0


def told(task_id: str, state: TaskState = TaskState.SUCCEEDED, at: float = NOON, **more: object) -> Sighting:
    event = {"type": f"task-{state}", "uuid": task_id, "timestamp": at, "hostname": "w@h", "name": "a.task", **more}
    found = sighting("batch", event)
    assert found is not None
    return found


def keep(ledger, *sightings: Sighting) -> None:
    with ledger.writing() as session:
        keep_sightings(session, sightings)


def found(ledger, **which: Any) -> list[str]:
    with ledger.reading() as session:
        return [task.id for task in search_tasks(session, TaskFilter(**which)).tasks]


def drawn(ledger, task_id: str):
    with ledger.reading() as session:
        return workflow(session, task_id)


def test_what_is_told_is_merged_with_what_is_known(ledger):
    keep(ledger, told("one", TaskState.SENT, queue="q", args="(1,)", next=[["two", "b.task", "r"]]))
    keep(ledger, told("one", TaskState.STARTED, NOON + 1))
    keep(ledger, told("one", TaskState.FAILED, NOON + 2, exception="ValueError()", traceback="T"), told("other"))
    with ledger.reading() as session:
        task = the_task(session, "one")
    assert (task.state, task.queue, task.args, task.exception, task.worker) == (
        TaskState.FAILED, "q", "(1,)", "ValueError()", "w@h",
    )  # fmt: skip
    assert (task.sent_at, task.started_at, task.ended_at) == (NOON, NOON + 1, NOON + 2)
    assert task.next_steps == (("two", "b.task", "r"),)


def test_recorders_that_keep_the_same_at_once_neither_fail_nor_differ(ledger_url, ledger):
    heard = [told(f"t{number:03}", state, NOON + number) for number in range(100) for state in TaskState]

    def record(turn: int) -> None:
        own = open_ledger(ledger_url)
        try:
            for start in range(0, len(heard), 80):
                buffer = Buffer()
                buffer.add(heard[start : start + 80] if turn % 2 else reversed(heard[start : start + 80]))
                keep(own, *buffer.take(1000))
        finally:
            own.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(record, range(4)))
    with ledger.reading() as session:
        assert count_tasks(session) == 100
        assert {task.state for task in search_tasks(session, TaskFilter()).tasks} == {TaskState.SUCCEEDED}


def test_tasks_are_found_by_what_is_known_of_them(ledger):
    keep(
        ledger,
        told("one", TaskState.FAILED, NOON, queue="images", exception="ValueError('blue')"),
        told("two", TaskState.SENT, NOON + 10, queue="bulk", name="b.task", kwargs="{'to': 'ada@example.org'}"),
        told("three", TaskState.SUCCEEDED, NOON + 20, root_id="one", group="g", hostname="other@h"),
    )
    expected: dict[tuple[str, ...], dict[str, Any]] = {
        ("one",): {"states": (TaskState.FAILED,)},
        ("two",): {"name": "b.task"},
        ("three",): {"worker": "other@h"},
        ("three", "one"): {"workflow": "one"},
    }
    assert {ids: which for ids, which in expected.items() if tuple(found(ledger, **which)) == ids} == expected
    assert found(ledger, text="ADA@") == ["two"]
    assert found(ledger, text="blue") == ["one"]
    assert found(ledger, text="%") == []
    assert found(ledger, queue="images", broker="batch") == ["one"]
    assert found(ledger, broker="critical") == []
    assert found(ledger, workflow="g") == ["three"]


def test_pages_show_each_task_once_the_newest_first(ledger):
    keep(ledger, *(told(f"t{number}", at=NOON + number // 3) for number in range(10)))
    pages: list[list[str]] = []
    cursor = None
    with ledger.reading() as session:
        while not pages or cursor:
            page = search_tasks(session, TaskFilter(), cursor, 3)
            pages.append([task.id for task in page.tasks])
            cursor = page.after
    assert [len(page) for page in pages] == [3, 3, 3, 1]
    assert [task_id for page in pages for task_id in page] == [f"t{number}" for number in reversed(range(10))]
    with ledger.reading() as session, pytest.raises(InvalidSubmission):
        search_tasks(session, TaskFilter(), "yesterday")


def test_a_task_that_nobody_told_of_is_unknown(ledger):
    with ledger.reading() as session, pytest.raises(UnknownId):
        the_task(session, "none")
    with pytest.raises(UnknownId):
        drawn(ledger, "none")


def test_a_chord_behind_a_step_is_one_graph(ledger):
    chord = {"root_id": "first", "parent_id": "first", "group": "g", "chord": ["body", "a.body", None]}
    keep(
        ledger,
        told("first", TaskState.SUCCEEDED, NOON, root_id="first", next=[["body", "a.body", "q"], ["last", "z", "r"]]),
        told("left", TaskState.SUCCEEDED, NOON + 1, **chord),
        told("right", TaskState.STARTED, NOON + 1, **chord),
    )
    graph = drawn(ledger, "right")
    assert [(step.id, step.state) for step in graph.steps] == [
        ("first", "succeeded"), ("left", "succeeded"), ("right", "started"), ("body", "pending"), ("last", "pending"),
    ]  # fmt: skip
    edges = {(edge.before, edge.after): edge.kind for edge in graph.edges}
    assert edges[("left", "body")] == edges[("right", "body")] == "chord"
    assert edges[("first", "left")] == edges[("first", "right")] == "published"
    assert edges[("body", "last")] == "published"
    assert graph.groups == {"g": ("left", "right")}


def test_what_follows_from_a_failure_is_skipped(ledger):
    keep(ledger, told("one", TaskState.FAILED, root_id="one", next=[["two", "b", None], ["three", "c", None]]))
    assert [step.state for step in drawn(ledger, "one").steps] == ["failed", "skipped", "skipped"]


def test_the_members_of_a_group_that_no_task_published_are_one_graph(ledger):
    keep(ledger, *(told(name, root_id=name, group="g", chord=["body", "b", None]) for name in "abc"))
    keep(ledger, told("body", at=NOON + 5, root_id="b", parent_id="c"))
    keep(ledger, told("callback", at=NOON + 5, root_id="c", parent_id="c"))
    for name in ("a", "g", "body"):
        graph = drawn(ledger, name)
        assert {step.id for step in graph.steps} == {"a", "b", "c", "body", "callback"}
        assert {(edge.before, edge.after) for edge in graph.edges if edge.kind == "chord"} == {
            (member, "body") for member in "abc"
        }
        assert [edge.after for edge in graph.edges if edge.kind == "published"] == ["callback"]
    with ledger.reading() as session:
        (summary,) = recent_workflows(session, datetime.fromtimestamp(NOON - 1, UTC), 10)
    assert (summary.root_id, summary.tasks) == ("g", 5)


def test_a_thousand_steps_are_one_query(ledger):
    chain = [
        told(f"s{number}", at=NOON + number, root_id="s0", parent_id=f"s{number - 1}" if number else None)
        for number in range(1000)
    ]
    keep(ledger, *chain)
    queries: list[str] = []
    engine = ledger._engine  # SQLAlchemy tells of its queries there
    sql_event.listen(engine, "before_cursor_execute", lambda *told: queries.append(told[2]))
    graph = drawn(ledger, "s500")
    assert (len(graph.steps), len(graph.edges), graph.complete) == (1000, 999, True)
    assert len([query for query in queries if "tasks" in query]) == 1


def test_workflows_are_listed_with_what_is_wrong_with_them(ledger, clock):
    keep(ledger, told("alone", root_id="alone"))
    keep(ledger, told("one", root_id="one"), told("two", TaskState.FAILED, root_id="one", parent_id="one"))
    with ledger.reading() as session:
        (summary,) = recent_workflows(session, clock() - timedelta(days=3650), 10)
    assert (summary.root_id, summary.name, summary.tasks, summary.under_way, summary.failed) == (
        "one",
        "a.task",
        2,
        0,
        1,
    )


def test_the_history_is_bounded_by_age_and_by_number(ledger, clock):
    old = clock().timestamp() - 8 * 86_400
    keep(ledger, *(told(f"old{number}", at=old) for number in range(5)))
    keep(ledger, *(told(f"new{number}", at=clock().timestamp() - number) for number in range(6)))
    assert clean_history(ledger, timedelta(days=7), most=4) == 7
    assert found(ledger) == ["new0", "new1", "new2", "new3"]


def test_a_purge_is_noted(ledger, clock):
    keep(
        ledger,
        told("waits", TaskState.SENT, at=NOON - 60, queue="q"),
        told("later", TaskState.SENT, queue="q", eta="2030-01-01T00:00:00+00:00"),
        told("runs", TaskState.STARTED, queue="q"),
    )
    with ledger.reading() as session:
        assert [task.id for task in waiting_in(session, "q", 10)] == ["waits", "later"]
    clock.forward(days=3650)
    with ledger.writing() as session:
        note_purged(session, "q", clock())
    assert found(ledger, states=(TaskState.REVOKED,)) == ["waits"]


class Away:
    """A ledger that is out of reach until it is not."""

    def __init__(self, ledger) -> None:
        self._ledger = ledger
        self.away = True
        self.clock = ledger.clock

    def writing(self) -> Any:
        if self.away:
            raise LedgerUnavailable("as asked")
        return self._ledger.writing()


def heard(task_id: str, state: TaskState = TaskState.SENT) -> FleetEvent:
    return FleetEvent("batch", {"type": f"task-{state}", "uuid": task_id, "timestamp": NOON, "name": "a.task"})


def test_what_is_heard_while_the_ledger_is_away_waits_within_a_bound_and_the_rest_is_counted(ledger, clock):
    away = Away(ledger)
    recorder: Any = Recorder(cast("Ledger", away), Event(), Buffer(most=3))
    for number in range(5):
        recorder.hear(heard(f"t{number}"))
    recorder.keep()
    assert recorder.trouble
    recorder.hear(heard("t0", TaskState.SUCCEEDED))
    away.away = False
    recorder.keep()
    assert recorder.trouble is None
    assert sorted(found(ledger)) == ["t0", "t1", "t2"]
    assert found(ledger, states=(TaskState.SUCCEEDED,)) == ["t0"]
    with ledger.reading() as session:
        status = history_status(session, clock())
    assert (status.at_work, status.dropped) == (True, 2)
    clock.forward(minutes=5)
    with ledger.reading() as session:
        assert not history_status(session, clock()).at_work
