"""The docs say what the code says, and their links lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import fields

from shared.queues import QUEUES
from shared.secret import SecretStr
from shared.settings import ENVIRONMENT_PREFIX, VARIABLES, FleetSettings

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\]\(([^)#]+)(?:#[^)]*)?\)")
CODE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
NAMED_FILE = re.compile(r"`((?:shared|services|tests|deploy|docs|examples)/[\w./-]*\w(?:\.\w+|/))`")
SETTING = re.compile(rf"^\| `({ENVIRONMENT_PREFIX}\w+)` \| (.+?) \|", re.MULTILINE)


def test_generated_tables_are_up_to_date():
    check = [sys.executable, str(ROOT / "docs" / "generate.py"), "--check"]
    done = subprocess.run(check, cwd=ROOT, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_setting_is_described_with_its_default():
    described = dict(SETTING.findall((ROOT / "docs" / "how-to" / "configure.md").read_text()))
    assert described == {VARIABLES[field.name]: shown(field.default) for field in fields(FleetSettings)}


def shown(default: object) -> str:
    """A default as the page writes it."""
    plain = default.get_secret_value() if isinstance(default, SecretStr) else default
    return "–" if plain is None else f"`{plain}`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_and_named_files_are_there(page):
    text = CODE.sub("", page.read_text(encoding="utf-8"))
    linked = {page.parent / target for target in LINK.findall(text) if "://" not in target}
    named = {ROOT / target for target in NAMED_FILE.findall(text)}
    assert sorted(str(target) for target in linked | named if not target.exists()) == []


def test_every_page_is_reached_from_the_readme():
    linked = linked_from(ROOT / "README.md") | linked_from(ROOT / "docs" / "guide" / "README.md")
    assert sorted(str(page) for page in (ROOT / "docs").rglob("*.md") if page.resolve() not in linked) == []


def linked_from(page: Path) -> set[Path]:
    return {(page.parent / target).resolve() for target in LINK.findall(page.read_text(encoding="utf-8"))}


def test_prometheus_is_told_of_a_worker_for_every_queue():
    example = (ROOT / "deploy" / "prometheus" / "prometheus.yml").read_text()
    assert re.findall(r"\{worker: (\S+)\}", example) == [spec.name for spec in QUEUES]
