"""The graph of a workflow in a browser: drawn, live, walked through; a thousand steps without a stall."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import pytest
from playwright.sync_api import Browser, FloatRect, Locator, Page, expect

from services.core.history.sightings import TaskState
from services.core.usecases.api_keys import Role
from tests.fixtures.api import ApiProcess
from tests.fixtures.console import PHONE, a_page, overflow_of, shoot, sign_in
from tests.fixtures.history import failed, job, keep, seen, succeeded

LONGEST_TASK_MS = 500
"""Generous: some 90 ms are usual with nothing beside, and what is measured is printed."""
TASK = "ThreadControllerImpl::RunTask"
"""What chromium calls a task of a thread's event loop in its traces."""
WATCH_TOUCHES = """() => {
  window.touched = new Set();
  const note = (records) => {
    for (const { target } of records) {
      const node = (target.closest ? target : target.parentElement)?.closest("[data-node]");
      if (node) touched.add(node.dataset.node);
    }
  };
  new MutationObserver(note).observe(document.querySelector(".nodes"), {
    attributes: true, characterData: true, childList: true, subtree: true,
  });
}"""


@pytest.fixture
def operator(page: Page, api: ApiProcess) -> Page:
    sign_in(page, api.url, api.keys[Role.OPERATOR].secret, "#/workflows")
    return page


def opened(page: Page, api: ApiProcess, task_id: str) -> Page:
    page.goto(f"{api.url}/#/workflows/{task_id}")
    expect(page.locator(".canvas")).to_have_attribute("aria-busy", "false")
    return page


def node(page: Page, task_id: str) -> Locator:
    return page.locator(f"[data-node='{task_id}']")


def chosen(page: Page) -> Locator:
    return page.get_by_role("complementary", name="The chosen step")


def box(page: Page, task_id: str) -> FloatRect:
    found = node(page, task_id).bounding_box()
    assert found is not None
    return found


@contextmanager
def longest_task(browser: Browser, page: Page) -> Iterator[dict[str, float]]:
    """Measure the longest task of a page's main thread meanwhile: in milliseconds of the clock, and of processor time.

    The latter is the stall that a person would see on a machine with nothing else to do.
    """
    told = {"processor": 0.0, "clock": 0.0}
    browser.start_tracing(page=page, categories=["toplevel"])
    yield told
    events = json.loads(browser.stop_tracing())["traceEvents"]
    names = [each for each in events if each["name"] == "thread_name"]
    main = {(each["pid"], each["tid"]) for each in names if each["args"]["name"] == "CrRendererMain"}
    tasks = [each for each in events if each["name"] == TASK and (each["pid"], each["tid"]) in main]
    assert tasks
    told["processor"] = max(each.get("tdur", 0) for each in tasks) / 1000
    told["clock"] = max(each.get("dur", 0) for each in tasks) / 1000


def nested(root: str) -> list[Any]:
    """A chain that begins with a task, goes on with a chord of which a member failed, and ends on a third broker."""
    chord: dict[str, Any] = {
        "root_id": root,
        "parent_id": root,
        "group": f"{root}-g",
        "chord": [f"{root}-body", "core.merge_job", "core.default"],
    }
    then = [[f"{root}-body", "core.merge_job", "core.default"], [f"{root}-mail", "email.send", "email.critical"]]
    return [
        *succeeded(root, 60, "default", name="core.begin", root_id=root, next=then),
        *succeeded(f"{root}-left", 50, **chord),
        *failed(f"{root}-right", "ValueError: as asked", 40, **chord),
        seen(f"{root}-last", TaskState.STARTED, 30, "critical", **chord),
    ]


def test_a_canvas_is_drawn_from_left_to_right_with_brokers_and_states(operator: Page, api: ApiProcess) -> None:
    keep(api.ledger, nested("drawn"))
    opened(operator, api, "drawn-left")
    expect(operator.locator("[data-node]")).to_have_count(6)
    lefts = [box(operator, f"drawn{each}")["x"] for each in ("", "-left", "-body", "-mail")]
    assert lefts == sorted(set(lefts))
    members = [box(operator, f"drawn-{each}") for each in ("left", "right", "last")]
    assert len({round(each["x"]) for each in members}) == 1
    tops = sorted(each["y"] for each in members)
    assert all(low - high >= members[0]["height"] for high, low in pairwise(tops))
    expect(node(operator, "drawn")).to_have_accessible_name(re.compile(r"core\.begin on default: done, 0\.3 s"))
    expect(node(operator, "drawn-right")).to_have_accessible_name(re.compile("failed after .*1 retry"))
    expect(node(operator, "drawn-last")).to_have_accessible_name(re.compile(r"running, running for \d+ s"))
    expect(node(operator, "drawn-mail")).to_have_class(re.compile("skipped"))
    colours = {
        each: node(operator, f"drawn-{each}").evaluate("node => getComputedStyle(node).getPropertyValue('--broker')")
        for each in ("left", "right", "last")
    }
    assert colours["left"] == colours["right"] != colours["last"]
    expect(operator.locator(".edge")).to_have_count(7)
    key = operator.get_by_role("group", name=re.compile("Brokers and states"))
    for name in ("batch 2", "critical 2", "default 2", "failed 1", "running 1", "done 2", "skipped 2"):
        expect(key.get_by_role("button", name=re.compile(rf"^\W*{name}$"))).to_be_visible()
    shoot(operator, "workflow-graph")


def test_what_is_pointed_at_and_chosen_is_told(operator: Page, api: ApiProcess) -> None:
    keep(api.ledger, nested("told"))
    opened(operator, api, "told")
    node(operator, "told-right").hover()
    expect(operator.get_by_role("tooltip")).to_contain_text("ValueError: as asked")
    node(operator, "told-right").click()
    panel = chosen(operator)
    expect(panel).to_contain_text("ValueError: as asked")
    expect(operator).to_have_url(re.compile("step=told-right"))
    shoot(operator, "workflow-step")
    operator.reload()
    expect(panel.get_by_role("link", name="All of the task")).to_have_attribute("href", "#/tasks/told-right")
    panel.get_by_role("button", name="Close").click()
    expect(panel).to_be_hidden()
    operator.get_by_role("button", name=re.compile("^running")).click()
    expect(node(operator, "told-left")).to_have_class(re.compile("dim"))
    expect(node(operator, "told-last")).not_to_have_class(re.compile("dim"))


def test_keys_lead_from_step_to_step(operator: Page, api: ApiProcess) -> None:
    keep(api.ledger, nested("keys"))
    opened(operator, api, "keys")
    operator.locator("[data-node][tabindex='0']").focus()
    expect(node(operator, "keys")).to_be_focused()
    expect(operator.get_by_role("tooltip")).to_contain_text("core.begin")
    operator.keyboard.press("ArrowRight")
    first = operator.evaluate("document.activeElement.dataset.node")
    assert first in {"keys-left", "keys-right", "keys-last"}
    operator.keyboard.press("ArrowRight")
    expect(node(operator, "keys-body")).to_be_focused()
    operator.keyboard.press("Enter")
    expect(chosen(operator)).to_contain_text("core.merge_job")
    operator.keyboard.press("Escape")
    expect(chosen(operator)).to_be_hidden()
    before = box(operator, "keys")["width"]
    operator.keyboard.press("-")
    assert box(operator, "keys")["width"] < before
    operator.keyboard.press("0")
    assert box(operator, "keys")["width"] == pytest.approx(before, rel=0.01)


def test_steps_are_a_list_too(operator: Page, api: ApiProcess) -> None:
    keep(api.ledger, nested("list"))
    opened(operator, api, "list")
    operator.get_by_role("button", name="List", exact=True).click()
    grid = operator.get_by_role("table", name="Steps, in the order in which they were first heard of")
    expect(grid.get_by_role("row")).to_have_count(7)
    expect(grid.get_by_role("row", name=re.compile("ValueError: as asked"))).to_contain_text("failed")
    grid.get_by_role("button", name="State").click()
    operator.reload()
    expect(grid).to_be_visible()


def test_a_group_of_equals_is_one_node_until_it_is_unfolded(operator: Page, api: ApiProcess) -> None:
    keep(api.ledger, job("fold", 40, ended=20, broken=3))
    opened(operator, api, "fold-0")
    folded = operator.locator(".node.fold")
    expect(folded).to_have_count(2)  # the files, and what records each of them
    expect(operator.locator("[data-node]")).to_have_count(3)
    expect(folded.first).to_have_accessible_name(
        "40 members, file.process on batch: 3 failed, 17 waiting, 20 done", timeout=5000
    )
    folded.first.click()
    panel = chosen(operator)
    expect(panel.get_by_role("listitem").first).to_contain_text("bomb.png")
    shoot(operator, "workflow-fold")
    panel.get_by_role("button", name="Unfold 40").click()
    expect(operator.locator(".canvas")).to_have_attribute("aria-busy", "false")
    expect(operator.locator("[data-node]")).to_have_count(61)
    keep(api.ledger, job("fold", 40, ended=37, broken=3))
    expect(node(operator, "fold-30")).to_have_accessible_name(re.compile("done"))
    expect(operator.locator("[data-node]")).to_have_count(78)
    shoot(operator, "workflow-unfolded")
    operator.get_by_role("button", name="Fold what is alike again").click()
    expect(operator.locator("[data-node]")).to_have_count(3)


def test_only_what_has_changed_is_touched(operator: Page, api: ApiProcess) -> None:
    keep(api.ledger, nested("live"))
    opened(operator, api, "live")
    operator.evaluate(WATCH_TOUCHES)
    keep(api.ledger, succeeded("live-last", -1, "critical", root_id="live", parent_id="live"))
    expect(node(operator, "live-last")).to_have_accessible_name(re.compile("done"))
    assert operator.evaluate("[...touched]") == ["live-last"]


def test_a_thousand_steps_are_drawn_and_kept_up_to_date_without_a_stall(browser: Browser, api: ApiProcess) -> None:
    chord: dict[str, Any] = {
        "group": "wide-group",
        "chord": ["wide-merge", "core.merge_job", "core.default"],
        "root_id": "wide",
    }
    names = [f"file.step_{number % 100:02}" for number in range(998)]
    steps = [seen("wide", TaskState.SENT, 90, "default", root_id="wide", name="core.begin")]
    for number, name in enumerate(names):
        broker = ("batch", "critical", "default")[number % 3]
        behind = {"parent_id": f"wide-{number - 100}" if number >= 100 else "wide"}
        steps.append(seen(f"wide-{number}", TaskState.SENT, 80, broker, **{**chord, **behind}, name=name))
    keep(api.ledger, steps)
    phases: dict[str, dict[str, float]] = {}
    with a_page(browser) as (page, _):
        sign_in(page, api.url, api.keys[Role.OPERATOR].secret, "#/workflows")
        expect(page.get_by_role("table")).to_be_visible()
        with longest_task(browser, page) as phases["drawn"]:
            opened(page, api, "wide")
            expect(page.locator("[data-node]")).to_have_count(1000)
        page.evaluate(WATCH_TOUCHES)
        with longest_task(browser, page) as phases["updated"]:
            for number in range(0, 998, 100):
                keep(api.ledger, succeeded(f"wide-{number}", -1, "batch"))
            expect(node(page, "wide-900")).to_have_accessible_name(re.compile("done"))
        assert page.evaluate("touched.size") == 10
        shoot(page, "workflow-1000")
        canvas: Any = page.locator(".canvas").bounding_box()
        with longest_task(browser, page) as phases["moved"]:
            page.mouse.move(canvas["x"] + 300, canvas["y"] + 200)
            for _ in range(7):
                page.mouse.wheel(0, -200)
            page.mouse.down()
            page.mouse.move(canvas["x"] + 500, canvas["y"] + 300, steps=12)
            page.mouse.up()
            expect(page.locator(".canvas")).not_to_have_class(re.compile("far"))
    told = [f"{name} {each['processor']:.0f} ({each['clock']:.0f})" for name, each in phases.items()]
    print(f"\n1,000 steps, longest task in ms of processor time (of the clock): {', '.join(told)}")
    assert max(each["processor"] for each in phases.values()) <= LONGEST_TASK_MS


@pytest.mark.parametrize(("scheme", "size"), [("dark", None), ("light", PHONE)])
def test_it_fits_a_phone_and_a_dark_screen(browser: Browser, api: ApiProcess, scheme: str, size: Any) -> None:
    keep(api.ledger, nested("fits"))
    options: dict[str, Any] = {"color_scheme": scheme, **({"viewport": size, "has_touch": True} if size else {})}
    with a_page(browser, **options) as (page, _):
        sign_in(page, api.url, api.keys[Role.OPERATOR].secret, "#/workflows")
        shoot(page, f"workflows-{scheme}")
        opened(page, api, "fits")
        node(page, "fits-right").click()
        expect(chosen(page)).to_contain_text("ValueError: as asked")
        assert overflow_of(page) == 0
        shoot(page, f"workflow-{scheme}")
