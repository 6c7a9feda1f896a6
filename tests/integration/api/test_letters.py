"""Dead letters over the API: what is hidden from whom, and filters that would mean too much."""

from __future__ import annotations

import pytest

from services.core.ledger.dead_letters import LetterFilter
from services.core.usecases.api_keys import Role
from services.core.usecases.collect_letters import collect_letters
from services.core.usecases.letters import drop_letters, list_letters
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
