"""The containers of tests are those of the fleet."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from shared.testing import images

COMPOSE = Path(__file__).parents[3] / "compose.yaml"


@pytest.mark.parametrize("image", [images.REDIS, images.RABBITMQ, images.POSTGRES])
def test_compose_runs_what_tests_run(image):
    name = image.partition(":")[0]
    used = re.findall(rf"^\s+image:\s*[\"']?({name}\b[^\s\"']*)", COMPOSE.read_text(), re.MULTILINE)
    assert set(used) == {image}
