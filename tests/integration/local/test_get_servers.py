from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "deploy" / "local" / "get-servers"
SERVERS = ("redis", "rabbitmq", "postgresql", "memcached", "prometheus", "chromium")


def run(*arguments: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SCRIPT, *arguments], env={"PATH": str(path)} if path else None, capture_output=True, text=True, check=False
    )


def test_it_explains_itself_and_knows_its_servers():
    assert "neither started nor enabled" in run("--help").stdout
    assert (run().returncode, run("redis", "oracle").returncode) == (2, 2)


def test_it_is_silent_where_all_are_installed():
    result = run(*SERVERS)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("manager", "advice"),
    [("brew", "brew install memcached"), ("dnf", "dnf install memcached"), ("none", "https://memcached.org")],
)
def test_elsewhere_it_says_what_to_install(tmp_path, manager, advice):
    for name in ("sh", "dirname"):
        (tmp_path / name).symlink_to(shutil.which(name) or name)
    (tmp_path / manager).write_text("#!/bin/sh\nexit 99\n")
    (tmp_path / manager).chmod(0o755)
    result = run("memcached", path=tmp_path)
    assert result.returncode == 1
    assert "Please install: memcached" in result.stderr
    assert advice in result.stderr
