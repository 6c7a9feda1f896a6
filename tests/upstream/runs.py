"""Runs of pytest over Celery's tests, several of them side by side."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from services.core.local.processes import ChildProcess
from tests.upstream.outcomes import Outcome
from tests.upstream.setups import SetUp

MODULES = ("t/integration/test_canvas.py", "t/integration/test_tasks.py")


class TestRun:
    """Celery's tests against one set-up, in a process of its own.

    Args:
        setup: What they run against.
        source: The folder of Celery's tests.
        folder: For the log and the outcomes.
        environment: Says where the set-up's servers are.
    """

    __test__ = False

    def __init__(self, setup: SetUp, source: Path, folder: Path, environment: Mapping[str, str]) -> None:
        self.setup = setup
        self._source = source
        self._folder = folder
        self._environment = environment
        self._outcomes = folder / "outcomes.json"
        self._chosen = folder / "tests.txt"
        self._process: ChildProcess | None = None

    def start(self, tests: Sequence[str] = MODULES, options: Sequence[str] = ()) -> None:
        """Start with the given tests and more of pytest's options; return at once."""
        self._outcomes.unlink(missing_ok=True)
        self._chosen.write_text("\n".join(tests))
        upstreams = ["-c", str(self._source / "pyproject.toml"), "--rootdir", str(self._source)]
        ours = [f"-p{plugin}" for plugin in self.setup.plugins] + ["--outcomes", str(self._outcomes)]
        brief = ["-q", "--tb=short", "-pno:cacheprovider"]
        self._process = ChildProcess(
            "pytest",
            [sys.executable, "-m", "pytest", *upstreams, *ours, *brief, *options, f"@{self._chosen}"],
            log=self._folder / "pytest.log",
            environment=self._environment,
            folder=self._source,
        )
        self._process.start()

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process is not None and self._process.alive

    def outcomes(self) -> dict[str, Outcome]:
        """Return how the tests ended so far, by test id.

        Raises:
            RuntimeError: pytest ended without having found the tests; shows the end of its log.
        """
        if self._outcomes.exists():
            found = json.loads(self._outcomes.read_text())
            return {test: Outcome(outcome) for test, outcome in found.items()}
        if self._process and not self.running:
            raise RuntimeError(f"pytest did not run. {self._process.log_tail()}")
        return {}

    def stop(self) -> None:
        """Make sure that nothing of it is left."""
        if self._process:
            self._process.kill()
