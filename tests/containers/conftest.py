"""The fleet in containers, brought up once for the whole suite."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.containers.compose import ROOT, ComposeFleet

TEST_SECONDS = 600
"""The first test waits for the image and for the whole fleet, others for containers that end and start."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the tests of this folder the time that containers take."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(TEST_SECONDS))


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the host that the command line in containers works in: recipients, and example files."""
    folder = tmp_path_factory.mktemp("work")
    folder.chmod(0o755)
    (folder / "recipients.csv").write_bytes((ROOT / "examples" / "recipients.csv").read_bytes())
    made = subprocess.run(
        [sys.executable, "-m", "examples.make_files", str(folder / "files")],
        cwd=ROOT, check=False, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    return folder


@pytest.fixture(scope="session")
def fleet(files: Path):
    with ComposeFleet(files) as fleet:
        yield fleet
