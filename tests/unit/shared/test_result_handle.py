"""The result that a caller gets is Celery's, but for what nobody waits for yet."""

from __future__ import annotations

import pytest
from celery import Celery
from celery.result import AsyncResult

from services.core.app import app as core
from shared.results.handle import FleetResult


@pytest.fixture
def app() -> Celery:
    return Celery("handles", backend="cache+memory://", set_as_current=False)


def test_it_has_what_celerys_has(app):
    theirs, ours = (vars(kind("one", app=app)) for kind in (AsyncResult, FleetResult))
    assert ours.keys() == theirs.keys() - {"on_ready"}
    assert {name: theirs[name] for name in ours} == ours


def test_it_prepares_to_be_waited_for_once(app):
    result = FleetResult("one", app=app)
    assert result.on_ready is result.on_ready
    assert "on_ready" in vars(result)


def test_an_id_is_needed(app):
    with pytest.raises(ValueError, match="requires valid id"):
        FleetResult(None, app=app)  # type: ignore[arg-type]


def test_an_app_of_the_fleet_makes_them():
    result = core.AsyncResult("one")
    assert isinstance(result, FleetResult)
    assert repr(result) == "<AsyncResult: one>"
