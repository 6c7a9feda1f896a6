"""Jobs, campaigns, workflows and the overview are followed by server-sent events."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack

import httpx2

from services.core.api.access import COOKIE, CSRF_HEADER
from services.core.api.events import MOST_PER_KEY
from services.core.history.sightings import TaskState
from services.core.usecases.api_keys import Role, create_key, revoke_key
from tests.fixtures.api import ApiProcess, problem
from tests.integration.test_history import NOON, keep, told

LIST = "email\nada@example.org\n"


def events(answer: httpx2.Response) -> Iterator[tuple[str, dict]]:
    """Read events as they come, until the stream ends."""
    name = ""
    for line in answer.iter_lines():
        kind, _, value = line.partition(": ")
        if kind == "event":
            name = value
        elif kind == "data":
            yield name, json.loads(value)


def follow(api: ApiProcess, path: str, key: str):
    return api.client.stream("GET", f"{path}/events", headers={"Authorization": f"Bearer {key}"})


def test_a_campaign_is_followed_to_its_end(api):
    path = api.send_csv(LIST, id="followed").json()["self"]
    with follow(api, path, api.keys[Role.VIEWER].secret) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        heard = events(answer)
        assert next(heard)[1]["state"] == "running"
        api.post(f"{path}/pause")
        assert next(heard)[1]["state"] == "paused"
        api.post(f"{path}/cancel")
        rest = list(heard)
    assert [name for name, _ in rest] == ["state"] * (len(rest) - 1) + ["end"]
    assert rest[-2][1]["state"] == "cancelled"


def test_a_stream_ends_when_its_key_is_revoked(api):
    path = api.send_csv(LIST, id="watched").json()["self"]
    made = create_key(api.ledger, Role.VIEWER, "watches")
    with follow(api, path, made.secret) as answer:
        heard = events(answer)
        assert next(heard)[1]["state"] == "running"
        revoke_key(api.ledger, made.entry.id)
        assert list(heard) == []


def test_a_stream_ends_with_its_session(api):
    signed_in = api.client.post("/session", json={"key": api.keys[Role.VIEWER].secret})
    headers = {"Cookie": f"{COOKIE}={signed_in.cookies[COOKIE]}", CSRF_HEADER: signed_in.json()["csrf"]}
    api.client.cookies.clear()
    with api.client.stream("GET", "/api/v1/overview/events", headers=headers) as answer:
        heard = events(answer)
        assert next(heard)[0] == "state"
        assert api.client.delete("/session", headers=headers).status_code == 204
        assert len(list(heard)) <= 1  # which was under way


def test_the_overview_is_followed_without_an_end(api):
    api.send_csv(LIST, id="seen-at-a-glance")
    with follow(api, "/api/v1/overview", api.keys[Role.VIEWER].secret) as answer:
        heard = events(answer)
        name, before = next(heard)
        api.post("/api/v1/campaigns/seen-at-a-glance/pause")
        after = next(now for _, now in heard if now["campaigns"] != before["campaigns"])
    assert name == "state"
    assert after["campaigns"]["paused"] == before["campaigns"].get("paused", 0) + 1
    assert after["sampled_at"] > before["sampled_at"]
    assert after["every_seconds"] > 0


def test_a_workflow_is_followed_beyond_its_last_step(api):
    keep(api.ledger, told("first", TaskState.STARTED, root_id="first", next=[["second", "b.task", "q"]]))
    with follow(api, "/api/v1/workflows/first", api.keys[Role.VIEWER].secret) as answer:
        heard = events(answer)
        assert states(next(heard)) == {"first": "started", "second": "pending"}
        keep(api.ledger, told("first", root_id="first", args="('secret',)"))
        assert states(next(heard)) == {"first": "succeeded", "second": "pending"}
        keep(api.ledger, told("second", root_id="first", parent_id="first"))
        assert states(next(heard)) == {"first": "succeeded", "second": "succeeded"}
        keep(api.ledger, told("second", TaskState.STARTED, NOON + 60, root_id="first", parent_id="first"))
        assert states(next(heard)) == {"first": "succeeded", "second": "started"}
    problem(api.get("/api/v1/workflows/nothing/events"), 404, "unknown-id")


def states(event: tuple[str, dict]) -> dict[str, str]:
    assert event[0] == "state"
    return {step["id"]: step["state"] for step in event[1]["steps"]}


def test_a_key_may_have_some_streams_open_and_no_more(api):
    path = api.send_csv(LIST, id="crowded").json()["self"]
    key = create_key(api.ledger, Role.VIEWER, "watches much").secret
    with ExitStack() as stack:
        for _ in range(MOST_PER_KEY):
            stack.enter_context(follow(api, path, key))
        problem(api.client.get(f"{path}/events", headers={"Authorization": f"Bearer {key}"}), 429, "too-many-streams")
        other = stack.enter_context(follow(api, path, api.keys[Role.VIEWER].secret))
        assert other.status_code == 200


def test_what_is_not_there_is_no_stream(api):
    problem(api.get("/api/v1/jobs/nothing/events"), 404, "unknown-id")


def test_streams_end_with_the_api(tmp_path):
    with ApiProcess(tmp_path / "home") as api:
        path = api.send_csv(LIST, id="until-the-end").json()["self"]
        with follow(api, path, api.keys[Role.VIEWER].secret) as answer:
            heard = events(answer)
            next(heard)
            assert api.process is not None
            api.process.terminate()
            assert list(heard) == []
        assert api.process.wait(40) == 0
