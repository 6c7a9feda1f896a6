"""A reader of the guide, who does what a page says, and stops at the first thing that is not so."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.fixtures.workers import ROOT
from tests.guide.pages import Command, File, Program, WrongPage, steps_of
from tests.guide.session import Session
from tests.guide.shell import Shell


class Reader:
    """Follows one page, and puts everything back at the end of the ``with`` block: files, programs, processes.

    Args:
        page: The page.
        project: The folder that the reader stays in; what the page writes goes there.
        environment: Environment variables of what the reader runs.
        logs: A folder for what that prints.
    """

    def __init__(self, page: Path, project: Path, environment: dict[str, str], logs: Path) -> None:
        self._page = page
        self._project = project
        self._environment = environment
        self._logs = logs
        self._session: Session | None = None
        self._shell: Shell | None = None
        self._stack = ExitStack()
        self._there = set(project.iterdir())

    def __enter__(self) -> Self:
        self._stack.callback(self._tidy_up)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.close()

    def follow(self) -> None:
        """Do everything that the page says.

        Raises:
            WrongPage: Something on the page is not so.
        """
        for step in steps_of(self._page):
            match step:
                case File():
                    self._write(step)
                case Program():
                    self._program().run(step)
                case Command():
                    self._terminal().run(step)
        if self._session:
            self._session.close(self._page.name)

    def _write(self, file: File) -> None:
        path = self._project / file.name
        for there in (path, ROOT / file.name):
            if there.exists():
                if file.excerpt not in there.read_text(encoding="utf-8"):
                    raise WrongPage(file.where, f"{file.name} is there already, and does not hold this")
                return
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.text, encoding="utf-8")

    def _tidy_up(self) -> None:
        for path in set(self._project.iterdir()) - self._there:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()

    def _program(self) -> Session:
        if self._session is None:
            self._session = Session(self._project, self._environment, self._logs / "stderr")
            self._stack.callback(self._session.kill)
        return self._session

    def _terminal(self) -> Shell:
        if self._shell is None:
            self._shell = Shell(self._project, self._environment, self._logs)
            self._stack.callback(self._shell.close)
        return self._shell
