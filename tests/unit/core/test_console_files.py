"""The files of the console: all are served and shipped, nothing else is, and they take nothing from elsewhere."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder
from starlette.routing import Route

from services.core.api.routes_console import MEDIA_TYPES, console_router
from services.core.console import STATIC

ROOT = Path(__file__).parents[3]
FILES = sorted(path for path in STATIC.rglob("*") if path.is_file())
IMPORTS = re.compile(r'^(?:import\b.*|\} from) "([^"]+)";$', re.MULTILINE)
FORBIDDEN = ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "https://")


def names() -> set[str]:
    return {path.relative_to(STATIC).as_posix() for path in FILES}


def test_every_file_is_served_and_nothing_else():
    paths = {route.path for route in console_router().routes if isinstance(route, Route)}
    assert {path.suffix for path in FILES} <= set(MEDIA_TYPES)
    assert paths == {f"/{name}" for name in names() - {"index.html"}} | {"/"}


def test_every_file_is_in_the_wheel(tmp_path):
    [wheel] = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    with zipfile.ZipFile(wheel) as packed:
        there = {name.removeprefix("services/core/console/static/") for name in packed.namelist()}
    assert names() <= there


@pytest.mark.parametrize("path", [path for path in FILES if path.suffix == ".js"], ids=lambda path: path.name)
def test_a_script_reads_no_markup_and_imports_what_is_there(path):
    text = path.read_text(encoding="utf-8")
    assert [word for word in FORBIDDEN if word in text] == []
    for wanted in IMPORTS.findall(text):
        assert (path.parent / wanted).resolve() in FILES, wanted


def test_every_page_of_the_table_is_there():
    wanted = set(re.findall(r'page: "(\w+)"', (STATIC / "lib" / "routes.js").read_text()))
    assert len(wanted) > 10
    assert wanted == {path.stem for path in (STATIC / "pages").glob("*.js")} - {"sign_in"}


def test_the_first_page_names_files_that_are_there_and_has_no_script_or_style_of_its_own():
    text = (STATIC / "index.html").read_text()
    wanted = re.findall(r'(?:src|href)="/([^"]+)"', text)
    assert len(wanted) > 5
    assert set(wanted) <= names()
    assert not re.search(r"<style|style=|\son\w+=|<script>", text)
