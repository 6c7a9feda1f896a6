"""One API process for the tests of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fixtures.api import ApiProcess


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiProcess]:
    with ApiProcess(tmp_path_factory.mktemp("api") / "home") as started:
        yield started
