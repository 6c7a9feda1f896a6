"""What was measured, kept in ``var/benchmarks/results.json`` from run to run."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.harness import Series
from benchmarks.processes import ROOT

FILE = ROOT / "var/benchmarks/results.json"
QUICK_FILE = ROOT / "var/benchmarks/quick/results.json"
"""What quick runs found, which says that all of it runs and nothing else."""


@dataclass(slots=True)
class Results:
    """All series, by key, and the machine that they were taken on last."""

    series: dict[str, Series] = field(default_factory=dict)
    machine: dict[str, Any] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    """Comparisons that could not be made when they were tried last, and why."""

    def keep(self, found: Series) -> None:
        """Take in a series, in the place of an earlier one."""
        self.series[found.key] = found


def load(path: Path = FILE) -> Results:
    """Read what was measured; nothing where there is no file."""
    if not path.exists():
        return Results()
    held = json.loads(path.read_text())
    series = {key: Series.of(each) for key, each in held["series"].items()}
    return Results(series, held["machine"], held["failed"])


def store(results: Results, path: Path = FILE) -> None:
    """Write what was measured, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".tmp")
    series = {key: each.as_json() for key, each in results.series.items()}
    held = {"machine": results.machine, "failed": results.failed, "series": series}
    unfinished.write_text(json.dumps(held, indent=1) + "\n")
    unfinished.rename(path)
