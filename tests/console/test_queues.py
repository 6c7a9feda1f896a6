"""Queues on the console: what it shows is what the brokers have, and its acts are done."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from time import monotonic
from typing import Any

import pytest
import redis
from amqp.exceptions import NotFound
from playwright.sync_api import Page, expect

from services.core.api.samples import EVERY_SECONDS
from services.core.app import app
from services.core.local.brokers import LocalRedis
from services.core.usecases.api_keys import Role, create_key
from shared.brokers import BrokerKind
from shared.names import BrokerName
from shared.pauses import PauseTable
from shared.queues import QUEUES
from tests.fixtures.api import ApiProcess
from tests.fixtures.console import DESKTOP, a_page, shoot, sign_in
from tests.fixtures.two_queues import ON_RABBITMQ, ON_REDIS, TASK, clean
from tests.fixtures.workers import WorkerProcess
from tests.fleet.inspection import wait_for
from tests.fleet.tables import parked

MARKUP = '<img src=x onerror="window.ran = true"><script>window.ran = true</script>'
MANY = 200
LONGEST_DRAW_SECONDS = 0.2
SAMPLES_SEEN = 5
DRAWN_WITHIN_SECONDS = 10.0
"""For asking the brokers, sending the answer and drawing it, on a machine that does other things as well."""
LONG_TASKS = """
  window.longTasks = [];
  new PerformanceObserver((list) => window.longTasks.push(...list.getEntries().map((each) => each.duration)))
    .observe({type: 'longtask', buffered: true});
"""
COUNT_CHANGED_CELLS = """() => {
  window.changed = new Set();
  const cellOf = (node) => (node.nodeType === Node.ELEMENT_NODE ? node : node.parentElement)?.closest('td, th');
  new MutationObserver((records) => {
    for (const record of records) {
      const cell = cellOf(record.target);
      if (!cell || cell.classList.contains('minor')) continue; // trends grow in every row
      window.changed.add(`${cell.parentElement.dataset.key}/${cell.cellIndex}`);
    }
  }).observe(document.querySelector('tbody'), {childList: true, subtree: true, characterData: true, attributes: true});
}"""


@pytest.fixture(autouse=True)
def _empty(brokers):
    """Nothing lies in the two queues, and nothing is paused, before and after."""
    clean()
    yield
    clean()


def told_by_brokers() -> dict[str, int]:
    """Ask Redis and RabbitMQ themselves how many messages of each queue are ready."""
    ready = {}
    for queue, owner in app.routing.owners.items():
        broker = app.brokers[owner]
        if broker.kind is BrokerKind.REDIS:
            with redis.Redis.from_url(broker.url.get_secret_value()) as client:
                ready[queue] = sum(client.llen(key) for key in client.scan_iter(f"{queue}*", _type="list"))
            continue
        with app.connection_for_read(owner) as connection:
            try:
                ready[queue] = connection.channel().queue_declare(queue, passive=True).message_count
            except NotFound:
                ready[queue] = 0
    return ready


def rows(page: Page) -> dict[str, dict[str, str]]:
    """Read the table of queues: what stands in each column, by queue."""
    told: list[list[str]] = page.locator("main table").evaluate(
        "table => [...table.rows]"
        ".map(row => [row.dataset.key ?? '', ...[...row.cells].map(cell => cell.innerText.trim())])"
    )
    heads, *found = told
    return {key: dict(zip(heads[1:], cells, strict=True)) for key, *cells in found}


def shown(page: Page, column: str) -> dict[str, int | None]:
    return {
        queue: int(cells[column].replace(",", "")) if cells[column] != "–" else None
        for queue, cells in rows(page).items()
    }


def panel(page: Page, broker: str):
    return page.get_by_role("region", name=f"Broker {broker}", exact=True)


def paused() -> set[str]:
    return set(PauseTable(app.state).paused())


def test_with_the_fleet_paused_every_number_is_that_of_the_brokers(api_on_brokers, page):
    sign_in(page, api_on_brokers.url, api_on_brokers.keys[Role.OPERATOR].secret, "#/queues")
    for priority in (0, 9, 9):
        app.send_task(TASK, queue=ON_REDIS, priority=priority)
    for _ in range(4):
        app.send_task(TASK, queue=ON_RABBITMQ)
    later = app.send_task(TASK, queue=ON_RABBITMQ, countdown=3600)
    try:
        with app.connection_for_read(app.routing.owner(ON_RABBITMQ)) as connection:
            held = connection.default_channel.basic_get(ON_RABBITMQ)
            assert held is not None
            expected = told_by_brokers()
            assert (expected[ON_REDIS], expected[ON_RABBITMQ]) == (3, 3)
            wait_for(lambda: shown(page, "Ready") == expected, "the page to show what the brokers have")
            wait_for(lambda: shown(page, "Held")[ON_RABBITMQ] == 1, "the page to show what is held")
            assert shown(page, "Delayed")[ON_RABBITMQ] == 1
            assert shown(page, "Workers") == dict.fromkeys(expected, 0)
            assert told_by_brokers() == expected
            shoot(page, "queues")
        page.get_by_role("link", name=ON_REDIS).click()
        by_priority = ["92", *(f"{priority}0" for priority in range(8, 0, -1)), "01"]
        expect(page.locator(".priorities > div")).to_have_text(by_priority)
    finally:
        later.revoke()


@pytest.mark.parametrize("queue", [ON_REDIS, ON_RABBITMQ])
def test_under_load_a_number_is_no_older_than_a_sample(api_on_brokers, page, queue):
    """Nobody takes the messages, so each number was true for one moment alone, and says how old it is."""
    sign_in(page, api_on_brokers.url, api_on_brokers.keys[Role.VIEWER].secret, "#/queues")
    published: list[float] = []
    ages: dict[int, float] = {}
    ended = Event()

    def publish() -> None:
        while not ended.wait(0.05):
            app.send_task(TASK, queue=queue)
            published.append(monotonic())

    def look() -> bool:
        count, now = shown(page, "Ready").get(queue) or 0, monotonic()
        ages[count] = now - published[count] if count < len(published) else 0.0
        return len(ages) > SAMPLES_SEEN

    with ThreadPoolExecutor(1) as pool:
        publishing = pool.submit(publish)
        try:
            wait_for(lambda: len(published) > 1 and look(), f"{SAMPLES_SEEN} numbers", 90)
        finally:
            ended.set()
        publishing.result()
    del ages[min(ages)]  # what was there before the first
    print(f"{queue}: {len(ages)} numbers while {len(published)} messages came, at most {max(ages.values()):.1f} s old")
    assert max(ages.values()) < EVERY_SECONDS + DRAWN_WITHIN_SECONDS


def test_the_overview_sums_up_by_broker(api_on_brokers, page):
    for _ in range(3):
        app.send_task(TASK, queue=ON_REDIS)
    expected = told_by_brokers()
    sign_in(page, api_on_brokers.url, api_on_brokers.keys[Role.VIEWER].secret)
    for broker in BrokerName:
        ready = sum(count for queue, count in expected.items() if app.routing.owner(queue) == broker)
        expect(panel(page, broker).locator("strong")).to_have_text(str(ready))
        expect(panel(page, broker).get_by_text("up", exact=True)).to_be_visible()
    expect(page.locator(".stat").filter(has_text="Waiting").locator(".number")).to_have_text(
        str(sum(expected.values()))
    )
    expect(page.get_by_text(f"No worker serves {ON_REDIS}, where 3 messages wait.")).to_be_visible()


@pytest.mark.parametrize("width", [900, 1100, 1240, 1280, 1920])
def test_the_overview_shows_the_names_of_queues_in_full(api_on_brokers, browser, width):
    with a_page(browser, viewport={"width": width, "height": 900}) as (page, _):
        sign_in(page, api_on_brokers.url, api_on_brokers.keys[Role.VIEWER].secret)
        expect(page.locator(".broker-panel tbody th")).to_have_count(len(QUEUES))
        cut = "names => names.filter(name => name.scrollWidth > name.clientWidth).map(name => name.textContent)"
        assert page.locator(".broker-panel tbody th").evaluate_all(cut) == []


def test_a_queue_is_paused_and_resumed_and_the_page_tells_by_whom(api_on_brokers, page):
    key = create_key(api_on_brokers.ledger, Role.OPERATOR, MARKUP[:60]).secret
    sign_in(page, api_on_brokers.url, key, f"#/queues/{ON_REDIS}")
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    assert paused() == {ON_REDIS}
    expect(page.locator("main")).to_contain_text("<img src=x onerror")
    page.evaluate("location.hash = '#/'")
    expect(page.get_by_text(f"{ON_REDIS} is paused by <img src=x")).to_be_visible()
    page.evaluate("location.hash = '#/queues?only=paused'")
    expect(page.get_by_role("row")).to_have_count(2)
    page.get_by_role("button", name=f"Resume {ON_REDIS}").click()
    expect(page.get_by_text("No queue fits the filters.")).to_be_visible()
    assert paused() == set()
    assert page.evaluate("window.ran") is None


def test_a_purge_needs_the_name_of_the_queue(api_on_brokers, page):
    for _ in range(3):
        app.send_task(TASK, queue=ON_RABBITMQ)
    wait_for(lambda: told_by_brokers()[ON_RABBITMQ] == 3, "all to be there")
    sign_in(page, api_on_brokers.url, api_on_brokers.keys[Role.OPERATOR].secret, f"#/queues/{ON_RABBITMQ}")
    page.get_by_role("button", name="Purge…").click()
    dialog = page.get_by_role("dialog", name=f"Purge {ON_RABBITMQ}?")
    expect(dialog).to_contain_text("3 ready messages")
    go = dialog.get_by_role("button", name="Purge")
    expect(go).to_be_disabled()
    dialog.get_by_label(f"Type {ON_RABBITMQ} to go on").fill("file.image")
    expect(go).to_be_disabled()
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    assert told_by_brokers()[ON_RABBITMQ] == 3
    page.get_by_role("button", name="Purge…").click()
    dialog.get_by_label(f"Type {ON_RABBITMQ} to go on").fill(ON_RABBITMQ)
    shoot(page, "queue purge")
    go.click()
    expect(page.get_by_text(f"3 messages were removed from {ON_RABBITMQ}.")).to_be_visible()
    assert told_by_brokers()[ON_RABBITMQ] == 0


def test_a_peek_delivers_nothing_and_shows_text_as_text(api_on_brokers, page):
    sent = app.send_task(TASK, queue=ON_REDIS, argsrepr=MARKUP, kwargsrepr=MARKUP)
    with redis.Redis.from_url(app.brokers[app.routing.owner(ON_REDIS)].url.get_secret_value()) as client:
        before = {key: client.lrange(key, 0, -1) for key in client.scan_iter(f"{ON_REDIS}*", _type="list")}
        sign_in(page, api_on_brokers.url, api_on_brokers.keys[Role.OPERATOR].secret, f"#/queues/{ON_REDIS}")
        peek = page.get_by_role("region", name="Peek")
        expect(peek.get_by_text(sent.id)).to_be_visible()
        expect(peek).to_contain_text(MARKUP)
        peek.get_by_role("button", name="Look again").click()
        expect(peek.get_by_role("button", name="Look again")).to_be_enabled()
        assert {key: client.lrange(key, 0, -1) for key in client.scan_iter(f"{ON_REDIS}*", _type="list")} == before
    assert page.locator("main img, main script").count() == 0
    assert page.evaluate("window.ran") is None
    shoot(page, "queue")


def test_a_worker_of_queues_that_nobody_here_knows_hides_none_of_ours(api_on_brokers, tmp_path):
    queue = parked(BrokerName.DEFAULT)
    worker = WorkerProcess("tests.fleet.app", "-Q", queue, "-P", "solo", "-n", "stranger@here", log=tmp_path / "log")
    try:
        [found] = api_on_brokers.get("/api/v1/workers", params={"fresh": True}).json()["entries"]
        assert (found["name"], found["queues"]) == ("stranger@here", [queue])
        answer = api_on_brokers.get("/api/v1/queues", params={"fresh": True})
        assert answer.status_code == 200, answer.text
        assert {each["name"] for each in answer.json()["entries"]} == set(app.queue_table)
    finally:
        worker.stop()


def test_one_broker_stops_and_the_rest_lives(brokers, page, tmp_path):
    reached = {name.removeprefix("YARD_").lower(): value for name, value in brokers.items() if name != "YARD_HOME"}
    with LocalRedis(tmp_path / "redis") as critical:
        settings = {**reached, "broker_critical_url": critical.url(1)}
        with ApiProcess(tmp_path / "home", **settings) as api:
            sign_in(page, api.url, api.keys[Role.OPERATOR].secret)
            expect(panel(page, BrokerName.CRITICAL).get_by_text("up", exact=True)).to_be_visible()
            critical.stop()
            expect(panel(page, BrokerName.CRITICAL).get_by_text("does not answer")).to_be_visible()
            expect(panel(page, BrokerName.CRITICAL).locator("strong")).to_have_text("–")
            expect(panel(page, BrokerName.CRITICAL).get_by_role("row").last).to_contain_text("unknown")
            expect(page.get_by_text("Broker critical can't be asked")).to_be_visible()
            before = int(panel(page, BrokerName.DEFAULT).locator("strong").inner_text())
            app.send_task(TASK, queue=ON_REDIS)
            expect(panel(page, BrokerName.DEFAULT).locator("strong")).to_have_text(str(before + 1))
            expect(panel(page, BrokerName.BATCH).get_by_text("up", exact=True)).to_be_visible()
            shoot(page, "overview one broker stopped")


def test_the_page_says_when_the_api_is_gone_and_goes_on_when_it_is_back(api_on_brokers, page):
    sign_in(page, api_on_brokers.url, api_on_brokers.keys[Role.OPERATOR].secret, "#/queues")
    expect(page.get_by_role("link", name=ON_REDIS)).to_be_visible()
    page.context.set_offline(True)
    expect(page.locator("#stale")).to_contain_text("What is shown is of")
    expect(page.get_by_role("link", name=ON_REDIS)).to_be_visible()
    app.send_task(TASK, queue=ON_REDIS)
    page.context.set_offline(False)
    expect(page.locator("#stale")).not_to_be_visible()
    wait_for(lambda: shown(page, "Ready")[ON_REDIS] == 1, "the page to go on")


def many_queues(template: dict[str, Any], turn: int) -> dict[str, Any]:
    """Return an answer about many queues, of which ten have another depth at every turn."""
    entries = [
        {**template["entries"][0], "name": f"tenant-{number:03}.orders", "up": True, "ready": number, "delayed": 0,
         "unacknowledged": 1, "consumers": 2, "oldest_seconds": 1.0}
        for number in range(MANY)
    ]  # fmt: skip
    for entry in entries[:10]:
        entry["ready"] += 1000 * turn
    return {**template, "entries": entries, "sampled_at": f"2026-11-21T09:30:{turn % 60:02}.000000+00:00"}


def test_two_hundred_queues_are_drawn_without_a_stall(api_on_brokers, browser):
    template = api_on_brokers.get("/api/v1/queues").json()
    turns = 0

    def answer(route):
        nonlocal turns
        turns += 1
        route.fulfill(status=200, content_type="application/json", body=json.dumps(many_queues(template, turns)))

    with a_page(browser, viewport=DESKTOP) as (page, _):
        page.add_init_script(LONG_TASKS)
        sign_in(page, api_on_brokers.url, api_on_brokers.keys[Role.OPERATOR].secret, "#/workers")
        expect(page.get_by_role("heading", name="Workers")).to_be_visible()
        page.route("**/api/v1/queues*", answer)
        devtools = page.context.new_cdp_session(page)
        devtools.send("Performance.enable", {"timeDomain": "threadTicks"})

        def spent() -> float:
            told: dict[str, float] = {
                each["name"]: each["value"] for each in devtools.send("Performance.getMetrics")["metrics"]
            }
            return told["ScriptDuration"] + told["LayoutDuration"] + told["RecalcStyleDuration"]

        before = spent()
        page.evaluate("window.longTasks.length = 0; location.hash = '#/queues'")
        expect(page.get_by_role("row")).to_have_count(MANY + 1)
        drawn = spent() - before
        page.evaluate(COUNT_CHANGED_CELLS)
        before = spent()
        wait_for(lambda: page.evaluate("window.changed.size"), "an update")
        updated = spent() - before
        longest = max(page.evaluate("window.longTasks"), default=0)
        print(
            f"\n{MANY} queues: drawn in {drawn * 1000:.0f} ms, updated in {updated * 1000:.0f} ms of the page's thread;"
            f" its longest task took {longest:.0f} ms by the clock."
        )
        assert drawn < LONGEST_DRAW_SECONDS
        changed = page.evaluate("[...window.changed]")
        assert {cell.partition("/")[0] for cell in changed} == {f"tenant-{number:03}.orders" for number in range(10)}
        shoot(page, "queues 200")
