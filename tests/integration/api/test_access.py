"""Who may do what: no act without its role, no key that was revoked, no request from another site, no key in a log."""

from __future__ import annotations

from typing import Any

import pytest

from services.core.api.access import COOKIE, CSRF_HEADER
from services.core.api.roles import ROLES, Act
from services.core.ledger.campaigns import the_campaign
from services.core.ledger.states import State
from services.core.usecases.acting import list_audit
from services.core.usecases.api_keys import Role, create_key, revoke_key
from services.core.usecases.list_work import list_campaigns, list_jobs
from tests.fixtures.api import ApiProcess, problem
from tests.fixtures.yard import yard
from tests.fleet.inspection import wait_for

MAIL = {"to": "ada@example.org", "template": "welcome", "variables": {"name": "Ada"}}
NOBODY = "yard_00000000_0000000000000000000000000000000000000000000"
REQUESTS: dict[Act, tuple[str, str, dict[str, Any]]] = {
    Act.SEE: ("GET", "/api/v1/me", {}),
    Act.READ: ("GET", "/api/v1/mails/mail-1", {}),
    Act.SUBMIT_JOB: ("POST", "/api/v1/jobs", {"files": {"files": ("a.txt", b"text")}}),
    Act.CANCEL_JOB: ("POST", "/api/v1/jobs/job-1/cancel", {}),
    Act.SUBMIT_CAMPAIGN: (
        "POST", "/api/v1/campaigns?template=newsletter&again=true",
        {"content": b"email\nada@example.org\n", "headers": {"Content-Type": "text/csv"}},
    ),
    Act.PAUSE_CAMPAIGN: ("POST", "/api/v1/campaigns/spring/pause", {}),
    Act.RESUME_CAMPAIGN: ("POST", "/api/v1/campaigns/spring/resume", {}),
    Act.CANCEL_CAMPAIGN: ("POST", "/api/v1/campaigns/spring/cancel", {}),
    Act.SEND_MAIL: ("POST", "/api/v1/mails", {"json": MAIL}),
    Act.PAUSE_QUEUE: ("POST", "/api/v1/queues/nothing/pause", {}),
    Act.RESUME_QUEUE: ("POST", "/api/v1/queues/nothing/resume", {}),
    Act.PURGE_QUEUE: ("POST", "/api/v1/queues/nothing/purge", {}),
    Act.PEEK_QUEUE: ("GET", "/api/v1/queues/nothing/peek", {}),
    Act.DRAIN_WORKER: ("POST", "/api/v1/workers/nothing/undrain", {"json": {"queues": ["nothing"]}}),
    Act.REVOKE_TASK: ("POST", "/api/v1/tasks/nothing/revoke", {"json": {}}),
    Act.PAUSE_ENTRY: ("POST", "/api/v1/schedule/nothing/pause", {}),
    Act.RESUME_ENTRY: ("POST", "/api/v1/schedule/nothing/resume", {}),
    Act.RUN_ENTRY: ("POST", "/api/v1/schedule/nothing/run", {}),
    Act.READ_LETTER: ("GET", "/api/v1/dead/1", {}),
    Act.EDIT_LETTER: ("POST", "/api/v1/dead/1/edit", {"json": {"undo": True}}),
    Act.REPLAY_LETTERS: ("POST", "/api/v1/dead/replay", {"json": {"numbers": [1]}}),
    Act.DROP_LETTERS: ("POST", "/api/v1/dead/drop", {"json": {"numbers": [1]}}),
    Act.SEE_ACCESS: ("GET", "/api/v1/audit", {}),
}  # fmt: skip
"""A request for each act; most are about what is not there, and get a 404 from whoever may ask."""


def ask(api: ApiProcess, act: Act, role: Role):
    method, path, options = REQUESTS[act]
    if method == "GET":
        return api.get(path, role, **options)
    return api.post(path, role, **options)


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("act", REQUESTS)
def test_no_act_without_its_role(api, act, role):
    answer = ask(api, act, role)
    if role in ROLES[act]:
        assert answer.status_code in (200, 202, 404, 503), answer.text  # 503: no broker is there
    else:
        told = problem(answer, 403, "not-allowed")
        assert role in told["detail"]
        [latest] = list_audit(api.ledger, limit=1).entries
        assert (latest["act"], latest["key_id"], latest["status"]) == (act, api.keys[role].entry.id, 403)


@pytest.mark.parametrize("act", REQUESTS)
@pytest.mark.parametrize("header", [{}, {"Authorization": f"Bearer {NOBODY}"}, {"Authorization": "Basic eWFyZDp5YXJk"}])
def test_nothing_without_a_key(api, act, header):
    method, path, options = REQUESTS[act]
    headers = {"Idempotency-Key": "1", **options.get("headers", {}), **header}
    answer = api.client.request(method, path, **{**options, "headers": headers})
    problem(answer, 401, "not-known")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_somebody_who_was_denied_has_changed_nothing(api):
    jobs, campaigns = list_jobs(api.ledger, limit=1000), list_campaigns(api.ledger, limit=1000)
    for act in REQUESTS:
        if Role.VIEWER not in ROLES[act]:
            problem(ask(api, act, Role.VIEWER), 403, "not-allowed")
    assert list_jobs(api.ledger, limit=1000) == jobs
    assert list_campaigns(api.ledger, limit=1000) == campaigns
    assert list((api.storage.root / "incoming").glob("*")) == []


def test_a_revoked_key_opens_nothing_and_ends_its_sessions(api):
    made = create_key(api.ledger, Role.VIEWER, "leaves today")
    header = {"Authorization": f"Bearer {made.secret}"}
    assert api.client.get("/api/v1/me", headers=header).status_code == 200
    signed_in = api.client.post("/session", json={"key": made.secret})
    cookie = {"Cookie": f"{COOKIE}={signed_in.cookies[COOKIE]}"}
    api.client.cookies.clear()
    assert api.client.get("/api/v1/me", headers=cookie).status_code == 200
    revoke_key(api.ledger, made.entry.id)
    problem(api.client.get("/api/v1/me", headers=header), 401, "not-known")
    problem(api.client.get("/api/v1/me", headers=cookie), 401, "not-known")
    problem(api.client.post("/session", json={"key": made.secret}), 401, "not-known")


def test_keys_are_made_shown_once_and_revoked_on_the_command_line(api):
    made, hint = yard("key", "create", "shop", "--role", "sender", variables=api.variables)
    key = made.strip()
    header = {"Authorization": f"Bearer {key}"}
    me = api.client.get("/api/v1/me", headers=header).json()
    assert (me["role"], me["label"]) == ("sender", "shop")
    assert me["acts"] == sorted(act for act in Act if Role.SENDER in ROLES[act])
    listed, _ = yard("key", "list", variables=api.variables)
    assert me["key"] in listed
    assert key not in listed
    assert f"yard key revoke {me['key']}" in hint
    stored = (api.home / "ledger.db").read_bytes() + (api.home / "ledger.db-wal").read_bytes()
    assert key.encode() not in stored
    assert key.rpartition("_")[2].encode() not in stored
    yard("key", "revoke", me["key"], variables=api.variables)
    problem(api.client.get("/api/v1/me", headers=header), 401, "not-known")
    _, complaint = yard("key", "create", "x", "--role", "root", variables=api.variables, expect=2)
    assert "viewer, sender, operator" in complaint


def test_a_session_needs_its_token_for_every_change_and_refuses_other_sites(api):
    answer = api.client.post("/session", json={"key": api.keys[Role.SENDER].secret})
    assert answer.status_code == 201
    set_cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in set_cookie
    assert "samesite=strict" in set_cookie
    api.client.cookies.clear()
    cookie = {"Cookie": f"{COOKIE}={answer.cookies[COOKIE]}", "Idempotency-Key": "from-a-page"}
    good = {**cookie, CSRF_HEADER: answer.json()["csrf"]}
    me = api.client.get("/api/v1/me", headers=cookie).json()
    assert (me["role"], me["csrf"]) == ("sender", answer.json()["csrf"])  # a page in another tab has the cookie alone
    assert "csrf" not in api.get("/api/v1/me").json()
    for bad in (
        cookie,
        {**cookie, CSRF_HEADER: "0" * 64},
        {**good, "Sec-Fetch-Site": "cross-site"},
        {**good, "Sec-Fetch-Site": "same-site"},
    ):
        problem(api.client.post("/api/v1/mails", json=MAIL, headers=bad), 403, "other-site")
    assert api.client.post("/api/v1/mails", json=MAIL, headers=good).status_code == 202
    problem(api.client.delete("/session", headers=cookie), 403, "other-site")
    assert api.client.delete("/session", headers=good).status_code == 204
    problem(api.client.get("/api/v1/me", headers=cookie), 401, "not-known")


def test_the_audit_tells_who_did_what(api):
    answer = api.send_csv("email\ngrace@example.org\n", id="audited")
    assert answer.status_code == 202
    api.post("/api/v1/campaigns/audited/pause", Role.OPERATOR)
    problem(api.post("/api/v1/campaigns/nothing/pause", Role.OPERATOR), 404, "unknown-id")
    latest = api.get("/api/v1/audit", params={"limit": 3}).json()
    told = [(e["role"], e["act"], e["status"], e["subject"]) for e in latest["entries"]]
    assert told == [
        ("operator", "pause campaign", 404, None),
        ("operator", "pause campaign", 200, "audited"),
        ("sender", "submit campaign", 202, "audited"),
    ]
    before = api.get("/api/v1/audit", params={"limit": 3, "after": latest["after"]}).json()["entries"]
    assert max(e["id"] for e in before) < min(e["id"] for e in latest["entries"])
    with api.ledger.reading() as session:
        assert the_campaign(session, "audited").state is State.PAUSED


def test_no_key_is_ever_logged(api):
    secrets = [made.secret for made in api.keys.values()]
    for secret in (*secrets, NOBODY):
        api.client.get("/api/v1/me", headers={"Authorization": f"Bearer {secret}"})
        api.client.get("/api/v1/me", headers={"Authorization": f"Bearer {secret}\u00e9".encode("latin-1")})
        api.client.get(f"/api/v1/me?key={secret}")
        api.client.get(f"/api/v1/jobs/{secret}", headers={"Authorization": f"Bearer {secret}"})
        api.client.get(f"/{secret}")
        api.client.post("/session", json={"key": secret})
        api.client.post("/session", json={"key": [secret]})
        api.client.cookies.clear()
    api.client.get("/the-last-one")
    wait_for(lambda: "/the-last-one" in api.output, "the line of the last request")
    assert api.output.count("GET /api/v1/me 200") >= len(secrets)
    for secret in (*secrets, NOBODY):
        assert secret not in api.output
        assert secret.split("_", 2)[2] not in api.output  # without its prefix and its id, which is no secret


def test_a_line_of_the_log_is_one_request(api):
    api.client.get("/nothing%0A2026-11-21%20CRITICAL%20forged%0D%0A")
    wait_for(lambda: "%0A2026-11-21%20CRITICAL" in api.output, "the line of the request")
    assert not any(line.startswith("2026-11-21 CRITICAL") for line in api.output.splitlines())


def test_there_is_a_request_for_every_act():
    assert set(REQUESTS) == set(Act) - {Act.READ_TASK}
