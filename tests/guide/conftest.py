"""The place where the guide is read: real brokers and a mail catcher, and workers started as its first page says."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.core.local.mail_service import LocalMail
from shared.settings import FLEET_ENV_FILE, child_environment
from tests.fixtures.workers import FLOWER, ROOT
from tests.guide.pages import GUIDE
from tests.guide.reader import Reader


class Desk:
    """The folder that readers stay in, and what their programs find in the environment."""

    def __init__(self, project: Path, home: Path, logs: Path) -> None:
        self.project = project
        self._logs = logs
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        importable = os.pathsep.join([str(ROOT), str(FLOWER)])
        self._environment = child_environment(
            # The pages show what a reader sees on a terminal, which there is none of here.
            {"YARD_HOME": str(home), "YARD_LOG_FORMAT": "text", "PATH": path, "PYTHONPATH": importable},
            without=("YARD_", "PYTEST_", "COV_"),
        )

    def reader(self, page: Path) -> Reader:
        """Give a reader of a page."""
        logs = self._logs / page.stem
        logs.mkdir(parents=True)
        return Reader(page, self.project, self._environment, logs)


@pytest.fixture(scope="session")
def desk(brokers: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A copy of the guide's fleet, and a home folder as ``make up`` makes it: settings, and a folder of mails."""
    top = tmp_path_factory.mktemp("guide")
    home, project = top / "var", top / "guide"
    home.mkdir()
    shutil.copytree(GUIDE / "fleet", project / "fleet", ignore=shutil.ignore_patterns("__pycache__"))
    with LocalMail(home / "mail", logs=home) as mail:
        settings = {**brokers, "YARD_SMTP_HOST": "127.0.0.1", "YARD_SMTP_PORT": str(mail.port)}
        lines = (f"{name}={value}\n" for name, value in settings.items() if name != "YARD_HOME")
        (home / FLEET_ENV_FILE).write_text("".join(lines))
        yield Desk(project, home, top / "logs")


@pytest.fixture(scope="module")
def fleet(desk: Desk) -> Iterator[Desk]:
    """The desk, with the workers that the first page starts; they hear what other tests broadcast, and must be gone."""
    with desk.reader(GUIDE / "README.md") as reader:
        reader.follow()
        yield desk
