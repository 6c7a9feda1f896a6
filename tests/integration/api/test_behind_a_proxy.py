"""What a client says of its address and scheme counts only where a proxy says it that the settings name."""

from __future__ import annotations

from services.core.usecases.api_keys import Role
from tests.fixtures.api import ApiProcess, problem

HERE = "127.0.0.1"
OTHERS = "10.0.0.0/8,192.0.2.1"


def sign_in(api: ApiProcess, key: str, address: str):
    told = {"X-Forwarded-For": address, "X-Forwarded-Proto": "https"}
    answer = api.client.post("/session", json={"key": key}, headers=told)
    api.client.cookies.clear()
    return answer


def test_nobody_else_tells_where_a_client_is(tmp_path):
    with ApiProcess(tmp_path / "home", api_requests_per_second=0.05, api_forwarded_allow_ips=OTHERS) as api:
        answer = sign_in(api, api.keys[Role.VIEWER].secret, "203.0.113.1")
        assert answer.status_code == 201
        assert "secure" not in answer.headers["set-cookie"].lower()
        problem(sign_in(api, "a guess", "203.0.113.2"), 429, "too-many-requests")


def test_a_proxy_that_is_named_tells_address_and_scheme(tmp_path):
    with ApiProcess(
        tmp_path / "home", api_requests_per_second=0.05, api_forwarded_allow_ips=f"{OTHERS}, {HERE}"
    ) as api:
        answer = sign_in(api, api.keys[Role.VIEWER].secret, "203.0.113.1")
        assert "; secure" in answer.headers["set-cookie"].lower()
        problem(sign_in(api, "a guess", "203.0.113.2"), 401, "not-known")
        problem(sign_in(api, "a guess", "203.0.113.2"), 429, "too-many-requests")
        # What the client itself wrote before the proxy added the address that it saw.
        problem(sign_in(api, "a guess", "203.0.113.9, 203.0.113.2"), 429, "too-many-requests")
