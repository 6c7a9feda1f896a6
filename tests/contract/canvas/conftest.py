"""Workers on every broker for the canvases of a module, and where a canvas begins."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fixtures.canvas import Deal, canvas_workers, dealing_from
from tests.fleet.canvas_tasks import BROKERS


@pytest.fixture(scope="module", autouse=True)
def workers(brokers: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with canvas_workers(tmp_path_factory.mktemp("workers")):
        yield


@pytest.fixture(params=BROKERS)
def target(request: pytest.FixtureRequest) -> str:
    """The broker of what is built first; what is built next is on the next broker."""
    return str(request.param)


@pytest.fixture
def deal(target: str) -> Deal:
    return dealing_from(target)
