"""Dead letters over the API: what is hidden from whom, and filters that would mean too much."""

from __future__ import annotations

import json
import re

import pytest

from services.core.ledger.dead_letters import LetterFilter
from services.core.usecases.api_keys import Role
from services.core.usecases.collect_letters import collect_letters
from services.core.usecases.letters import drop_letters, list_letters
from shared.dead_letters import Reason
from tests.fixtures.api import ApiProcess, problem
from tests.integration.test_dead_letters_ledger import letter

SECRET = "ValueError: hunter2"


@pytest.fixture
def number(api) -> int:
    drop_letters(api.ledger, LetterFilter(replayed=None))
    collect_letters(api.ledger, [letter(1, detail=SECRET)], 100)
    [entry] = list_letters(api.ledger, LetterFilter(), limit=10).entries
    return entry.number


def test_what_was_raised_is_told_to_operators_alone(api, number):
    [told] = api.get("/api/v1/dead", Role.OPERATOR, params={"text": "hunter"}).json()["entries"]
    assert (told["number"], told["detail"]) == (number, SECRET)
    [told] = api.get("/api/v1/dead", Role.SENDER).json()["entries"]
    assert (told["number"], told["detail"]) == (number, None)
    problem(api.get("/api/v1/dead", Role.SENDER, params={"text": "hunter"}), 403, "not-allowed")


@pytest.mark.parametrize("act", ["replay", "drop"])
def test_an_empty_text_is_no_filter(api, number, act):
    problem(api.post(f"/api/v1/dead/{act}", json={"text": ""}), 422, "invalid-request")
    problem(api.get("/api/v1/dead", params={"text": ""}), 422, "invalid-request")
    assert [entry.number for entry in list_letters(api.ledger, LetterFilter(), limit=10).entries] == [number]


def test_a_letter_is_replayed_once(api, number):
    assert api.post(f"/api/v1/dead/{number}/replay").status_code == 200
    problem(api.post(f"/api/v1/dead/{number}/replay"), 409, "wrong-state")


def test_numbers_that_no_column_holds_are_refused(api):
    large = 2**63
    for path in (
        f"dead/{large}",
        f"dead?after={large}",
        f"audit?after={large}",
        f"campaigns/x/recipients?after={large}",
    ):
        problem(api.get(f"/api/v1/{path}"), 422, "invalid-request")
    for act in ("replay", "drop"):
        problem(api.post(f"/api/v1/dead/{large}/{act}"), 422, "invalid-request")
        problem(api.post(f"/api/v1/dead/{act}", json={"numbers": [large]}), 422, "invalid-request")


def test_text_that_postgresql_cannot_hold_is_a_problem(tmp_path, postgres_url):
    with ApiProcess(tmp_path / "home", database_url=postgres_url) as api:
        problem(api.get("/api/v1/jobs/a%00b"), 422, "invalid-request")
        problem(api.post("/api/v1/campaigns/a%00b/pause"), 422, "invalid-request")


def test_letters_are_counted_by_what_they_can_be_filtered_by(api, number):
    mail = letter(2, queue="email.bulk", task="email.send", broker="critical", reason=Reason.EXPIRED)
    collect_letters(api.ledger, [mail, letter(3)], 100)
    told = api.get("/api/v1/dead/counts", params={"reason": "failed", "replayed": "false"}).json()
    assert told["letters"] == 2
    assert told["by"]["reason"] == {"failed": 2, "expired": 1}  # as if no reason were given, to choose another one
    assert told["by"]["broker"] == {"default": 2}
    assert api.get("/api/v1/dead/counts", params={"queue": "email.bulk"}).json()["letters"] == 1
    problem(api.get("/api/v1/dead/counts", Role.SENDER, params={"text": "hunter"}), 403, "not-allowed")
    problem(api.get("/api/v1/dead/counts", Role.VIEWER), 403, "not-allowed")


def test_what_will_be_replayed_is_told_exactly(api, number):
    told = api.get(f"/api/v1/dead/{number}").json()
    assert (told["args"], told["embedded"]) == (["spring"], {"chain": None})
    assert {name: json.loads(text) for name, text in told["to_replay"].items()} == {"args": ["spring"], "kwargs": {}}
    drop_letters(api.ledger, LetterFilter(replayed=None))
    when = {"__type__": "datetime", "__value__": "2026-11-21T09:30:00+00:00"}
    body = json.dumps([[2**53 + 1, 1.0], {"when": when}, {}]).encode()
    collect_letters(api.ledger, [letter(4, task="other.task", body=body)], 100)
    [entry] = list_letters(api.ledger, LetterFilter(), limit=10).entries
    texts = api.get(f"/api/v1/dead/{entry.number}").json()["to_replay"]
    assert re.sub(r"\s", "", texts["args"]) == "[9007199254740993,1.0]"
    assert json.loads(texts["kwargs"]) == {"when": when}
    api.post(f"/api/v1/dead/{entry.number}/edit", json={"args": [3]})
    told = api.get(f"/api/v1/dead/{entry.number}").json()
    assert (told["args"], json.loads(told["to_replay"]["args"])) == ([2**53 + 1, 1.0], [3])
