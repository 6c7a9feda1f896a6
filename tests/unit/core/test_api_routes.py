"""Every route of the API says who may use it, and the document of the API says so, too."""

from __future__ import annotations

import asyncio
from threading import Event

import pytest
from fastapi.routing import APIRoute, iter_route_contexts
from prometheus_client import CollectorRegistry

from services.core.api.access import Does, act_of
from services.core.api.application import create_app
from services.core.api.asking import Asking
from services.core.api.context import ApiContext
from services.core.api.problems import Problem
from services.core.api.rates import Rates
from services.core.api.roles import ROLES, Act
from services.core.ledger.engine import open_ledger
from services.core.usecases.api_keys import Role
from shared.metrics import RequestMetrics, exposition
from shared.secret import SecretStr
from shared.settings import FleetSettings
from shared.storage import Storage

OPEN = {"/healthz", "/readyz", "/metrics", "/session"}
"""What needs no key: how the API is, and showing one."""


@pytest.fixture
def app(tmp_path):
    registry = CollectorRegistry()
    context = ApiContext(
        ledger=open_ledger(SecretStr(f"sqlite:///{tmp_path / 'none.db'}")),
        storage=Storage(tmp_path),
        settings=FleetSettings(home=tmp_path),
        exposition=lambda: exposition(registry),
    )
    return create_app(context, RequestMetrics(registry))


def routes(app) -> list[APIRoute]:
    found = [each.original_route for each in iter_route_contexts(app.routes)]
    ours = [route for route in found if isinstance(route, APIRoute)]
    assert len(ours) > 30
    return ours


def acts_of(route: APIRoute) -> list[Act]:
    return [act for each in route.dependant.dependencies if (act := act_of(each.call)) is not None]


def test_nothing_is_open_by_accident(app):
    assert {route.path for route in routes(app) if not acts_of(route)} == OPEN
    # What a task was given is hidden inside answers, and has no route of its own.
    assert {act for route in routes(app) for act in acts_of(route)} == set(Act) - {Act.READ_TASK}
    assert set(ROLES) == set(Act)
    assert all(roles for roles in ROLES.values())


def test_a_viewer_changes_nothing(app):
    for route in routes(app):
        if Role.VIEWER in {role for act in acts_of(route) for role in ROLES[act]}:
            assert route.methods == {"GET"}, route.path


def test_every_change_takes_an_idempotency_key(app):
    for route in routes(app):
        changes = bool((route.methods or set()) - {"GET", "HEAD"}) and route.path not in OPEN
        carried_out_once = any(isinstance(each.call, Does) for each in route.dependant.dependencies)
        assert carried_out_once == changes, route.path


def test_the_document_describes_each_request_with_its_errors(app):
    told = app.openapi()
    operations = [operation for path in told["paths"].values() for operation in path.values()]
    assert len(operations) == sum(len(route.methods or ()) for route in routes(app))
    for operation in operations:
        assert operation["summary"]
        assert operation["description"]
        assert "application/problem+json" in operation["responses"]["default"]["content"]
    accepted = told["paths"]["/api/v1/jobs"]["post"]
    assert "example" in accepted["responses"]["202"]["content"]["application/json"]
    assert "multipart/form-data" in accepted["requestBody"]["content"]
    assert accepted["security"]


def test_a_bucket_of_tokens_fills_again():
    now = 0.0
    rates = Rates(per_second=0.5, clock=lambda: now)
    assert [rates.take("a") for _ in range(5)] == [0.0] * 5
    assert rates.take("a") == pytest.approx(2.0)
    assert rates.take("b") == 0.0
    now = 2.0
    assert rates.take("a") == 0.0
    assert rates.take("a") > 0


def test_no_more_ask_brokers_at_once_than_may():
    go_on = Event()

    async def many() -> tuple[list[object], str]:
        asking = Asking(most=2, wait_seconds=0.01)
        under_way = [asyncio.create_task(asking.run(lambda: go_on.wait(30))) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(Problem) as refused:
            await asking.run(lambda: pytest.fail("there was no place"))
        go_on.set()
        return [*await asyncio.gather(*under_way), await asking.run(lambda: 3)], refused.value.kind

    assert asyncio.run(many()) == ([True, True, 3], "brokers-busy")
