"""Jobs and campaigns are followed by server-sent events."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack

import httpx2

from services.core.api.events import MOST_PER_KEY
from services.core.usecases.api_keys import Role, create_key, revoke_key
from tests.fixtures.api import ApiProcess, problem

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
        told = events(answer)
        assert next(told)[1]["state"] == "running"
        api.post(f"{path}/pause")
        assert next(told)[1]["state"] == "paused"
        api.post(f"{path}/cancel")
        rest = list(told)
    assert [name for name, _ in rest] == ["state"] * (len(rest) - 1) + ["end"]
    assert rest[-2][1]["state"] == "cancelled"


def test_a_stream_ends_when_its_key_is_revoked(api):
    path = api.send_csv(LIST, id="watched").json()["self"]
    made = create_key(api.ledger, Role.VIEWER, "watches")
    with follow(api, path, made.secret) as answer:
        told = events(answer)
        assert next(told)[1]["state"] == "running"
        revoke_key(api.ledger, made.entry.id)
        assert list(told) == []


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
            told = events(answer)
            next(told)
            assert api.process is not None
            api.process.terminate()
            assert list(told) == []
        assert api.process.wait(40) == 0
