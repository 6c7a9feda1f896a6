from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "deploy" / "local" / "get-brokers"


def run(*arguments: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SCRIPT, *arguments], env={"PATH": str(path)} if path else None, capture_output=True, text=True, check=False
    )


def tools(folder: Path, *extra: str) -> Path:
    """Make a path that has the tools of any system, and some that tell one system from another."""
    for name in ("sh", "dirname"):
        (folder / name).symlink_to(shutil.which(name) or name)
    for name in extra:
        (folder / name).write_text("#!/bin/sh\nexit 99\n")
        (folder / name).chmod(0o755)
    return folder


def test_it_explains_itself():
    result = run("--help")
    assert result.returncode == 0
    assert "neither started nor" in result.stdout
    assert run("now").returncode == 2


@pytest.mark.brokers
def test_it_is_silent_where_both_brokers_are_installed():
    result = run()
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("manager", "advice"), [("brew", "brew install redis"), ("dnf", "dnf install redis"), ("none", "https://redis.io")]
)
def test_elsewhere_it_says_what_to_install(tmp_path, manager, advice):
    result = run(path=tools(tmp_path, manager))
    assert result.returncode == 1
    assert "Please install: redis-server" in result.stderr
    assert advice in result.stderr
