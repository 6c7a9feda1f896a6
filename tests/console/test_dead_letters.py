"""Dead letters in a browser: counted, found, read, edited exactly, replayed after a dry run, dropped."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from services.core.ledger.dead_letters import LetterFilter
from services.core.ledger.outbox import claim_due
from services.core.usecases.api_keys import Role
from services.core.usecases.collect_letters import collect_letters
from services.core.usecases.letters import drop_letters, list_letters, the_letter
from shared.dead_letters import Reason
from tests.fixtures.api import ApiProcess
from tests.fixtures.console import PHONE, a_page, overflow_of, shoot, sign_in
from tests.integration.test_dead_letters_ledger import letter

HOSTILE = "<img src=x onerror=alert(1)>"
LARGE = 9_007_199_254_740_993
"""A number that a browser rounds."""
BODY: Any = [["spring", LARGE, 1.0], {"when": {"__type__": "datetime", "__value__": "2026-11-21T09:30:00+00:00"}},
        {"chain": None, "callbacks": [{"task": "core.record_file"}]}]  # fmt: skip


@pytest.fixture
def letters(api: ApiProcess) -> list[int]:
    """Keep four letters: three of one queue, of which one can't be replayed, and one of another."""
    drop_letters(api.ledger, LetterFilter(replayed=None))
    with api.ledger.writing() as session:
        claim_due(session, api.ledger.clock(), timedelta(days=1), 100)
    mail = {"queue": "email.bulk", "task": "email.send", "broker": "critical"}
    died = [
        letter(1, body=json.dumps(BODY).encode(), detail=HOSTILE),
        letter(2, reason=Reason.EXPIRED),
        letter(3, reason=Reason.UNDECODABLE, body=b"\xff"),
        letter(4, **mail),
    ]
    collect_letters(api.ledger, died, 100)
    return [entry.number for entry in list_letters(api.ledger, LetterFilter(), limit=10).entries]


@pytest.fixture
def operator(page: Page, api: ApiProcess, letters: list[int]) -> Page:
    sign_in(page, api.url, api.keys[Role.OPERATOR].secret, "#/dead")
    expect(rows(page)).to_have_count(4)
    return page


def rows(page: Page):
    return page.locator("tbody tr")


def body_of(api: ApiProcess, number: int) -> Any:
    edited = the_letter(api.ledger, number).edited_body
    return None if edited is None else json.loads(edited)


def replayed(api: ApiProcess) -> list[int]:
    return [entry.number for entry in list_letters(api.ledger, LetterFilter(replayed=True), limit=10).entries]


def test_letters_are_counted_and_found_by_cause_queue_and_text(operator: Page) -> None:
    causes = operator.get_by_role("group", name="By cause")
    for name in ("failed 2", "expired 1", "undecodable 1"):
        expect(causes.get_by_role("button", name=re.compile(name.replace(" ", r"\s*")))).to_be_visible()
    causes.get_by_role("button", name=re.compile("failed")).click()
    expect(rows(operator)).to_have_count(2)
    expect(causes.get_by_role("button", name=re.compile("expired"))).to_be_visible()  # to go over to it
    operator.get_by_label("All queues").select_option("email.bulk")
    expect(rows(operator)).to_have_count(1)
    expect(operator.get_by_role("status").filter(has_text="fits")).to_have_text("1 dead letter fits")
    expect(operator).to_have_url(re.compile(r"queue=email\.bulk.*reason=failed"))
    operator.reload()
    expect(rows(operator)).to_have_count(1)
    operator.get_by_role("button", name="Clear filters").click()
    expect(rows(operator)).to_have_count(4)
    operator.get_by_label("Search tasks, errors, tracebacks").fill("onerror")
    expect(rows(operator)).to_have_count(1)
    shoot(operator, "dead-letters")


def test_a_letter_is_read_whole(operator: Page, letters: list[int]) -> None:
    rows(operator).first.click()
    main = operator.get_by_role("main")
    expect(main.locator("pre").first).to_have_text(HOSTILE)
    expect(main.locator("pre", has_text="Advance_campaign")).to_be_visible()
    expect(main.get_by_text("colour: red")).to_be_visible()
    expect(main.get_by_role("link", name="root", exact=True)).to_have_attribute("href", "#/workflows/root")
    expect(main.get_by_text("core.record_file").first).to_be_visible()
    expect(main.get_by_text(f"Dead letter {letters[0]} (this one)")).to_be_visible()
    shoot(operator, "dead-letter")


def test_arguments_are_checked_and_kept_exactly(operator: Page, api: ApiProcess, letters: list[int]) -> None:
    rows(operator).first.click()
    kwargs = operator.get_by_label("Keyword arguments, an object")
    save = operator.get_by_role("button", name="Save", exact=True)
    expect(save).to_be_disabled()  # nothing is changed yet
    given = kwargs.input_value()
    for wrong, told in (("{", "This is no JSON"), ("[]", "This must be an object")):
        kwargs.fill(wrong)
        expect(operator.get_by_text(told)).to_be_visible()
        expect(kwargs).to_have_attribute("aria-invalid", "true")
        expect(save).to_be_disabled()
    kwargs.fill(given.rstrip().rstrip("}") + ', "colour": "blue"}')
    save.click()
    expect(operator.locator("#toasts")).to_contain_text("does not take these arguments")
    assert body_of(api, letters[0]) is None
    kwargs.fill("{}")
    operator.get_by_label("Positional arguments, a list").fill(f'["summer-{LARGE}"]')
    save.click()
    expect(operator.get_by_text("edited", exact=True)).to_be_visible()
    assert body_of(api, letters[0])[0] == [f"summer-{LARGE}"]
    operator.get_by_text("What it died with").click()
    expect(operator.get_by_text('"spring"').last).to_be_visible()
    operator.get_by_role("button", name="Undo the edit").click()
    expect(operator.get_by_text("edited", exact=True)).to_have_count(0)
    assert body_of(api, letters[0]) is None


def test_numbers_and_times_that_are_not_edited_stay_what_they_are(
    operator: Page, api: ApiProcess, letters: list[int]
) -> None:
    drop_letters(api.ledger, LetterFilter(replayed=None))
    other = letter(9, task="other.task", body=json.dumps(BODY).encode())
    collect_letters(api.ledger, [other], 100)
    [entry] = list_letters(api.ledger, LetterFilter(), limit=10).entries
    operator.goto(f"{api.url}/#/dead/{entry.number}")
    args = operator.get_by_label("Positional arguments, a list")
    args.fill(args.input_value().replace("spring", "summer"))
    operator.get_by_role("button", name="Save", exact=True).click()
    expect(operator.get_by_text("edited", exact=True)).to_be_visible()
    assert body_of(api, entry.number) == [["summer", *BODY[0][1:]], BODY[1], BODY[2]]
    assert type(body_of(api, entry.number)[0][2]) is float


def test_one_is_edited_and_replayed(operator: Page, api: ApiProcess, letters: list[int]) -> None:
    rows(operator).nth(1).click()
    operator.get_by_label("Positional arguments, a list").fill('["summer"]')
    operator.get_by_role("button", name="Save and replay…").click()
    dialog = operator.get_by_role("dialog")
    expect(dialog).to_contain_text("1 would be replayed, 0 can't be. Nothing was changed yet.")
    assert replayed(api) == []
    dialog.get_by_role("button", name="Replay 1").click()
    expect(operator.get_by_text("It was replayed")).to_be_visible()
    assert replayed(api) == [letters[1]]
    expect(operator.get_by_role("button", name="Replay…")).to_have_count(0)


def test_those_that_a_filter_finds_are_replayed_after_a_dry_run(
    operator: Page, api: ApiProcess, letters: list[int]
) -> None:
    operator.get_by_label("All queues").select_option("core.default")
    operator.get_by_role("button", name="Replay all 3…").click()
    dialog = operator.get_by_role("dialog")
    expect(dialog).to_contain_text("2 would be replayed, 1 can't be")
    expect(dialog).to_contain_text("its bytes can't be decoded")
    collect_letters(api.ledger, [letter(5)], 100)  # comes too late to be meant
    shoot(operator, "dead-letters-dry-run")
    dialog.get_by_role("button", name="Replay 2").click()
    expect(operator.locator("#toasts")).to_contain_text("2 dead letters are on the way.")
    expect(rows(operator)).to_have_count(2)
    assert replayed(api) == letters[:2]


def test_those_that_are_chosen_are_dropped_once_the_number_is_typed(
    operator: Page, api: ApiProcess, letters: list[int]
) -> None:
    for number in letters[:2]:
        operator.get_by_label(f"Choose dead letter {number}").check()
    operator.get_by_role("button", name="Drop 2 chosen…").click()
    dialog = operator.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Drop")).to_be_disabled()
    dialog.get_by_label("Type 2 to go on").fill("2")
    dialog.get_by_role("button", name="Drop").click()
    expect(rows(operator)).to_have_count(2)
    left = list_letters(api.ledger, LetterFilter(replayed=None), limit=10).entries
    assert [entry.number for entry in left] == letters[2:]


def test_a_sender_reads_the_list_and_changes_nothing(page: Page, api: ApiProcess, letters: list[int]) -> None:
    sign_in(page, api.url, api.keys[Role.SENDER].secret, "#/dead")
    expect(rows(page)).to_have_count(4)
    expect(page.get_by_text(HOSTILE)).to_have_count(0)
    for name in ("Replay", "Drop"):
        expect(page.get_by_role("button", name=re.compile(name))).to_have_count(0)
    expect(page.get_by_role("checkbox")).to_have_count(0)
    expect(page.get_by_label("Search tasks, errors, tracebacks")).to_have_count(0)


@pytest.mark.parametrize(("scheme", "size"), [("dark", None), ("light", PHONE)])
def test_they_fit_a_phone_and_a_dark_screen(
    browser: Browser, api: ApiProcess, letters: list[int], scheme: str, size: Any
) -> None:
    options: dict[str, Any] = {"color_scheme": scheme, **({"viewport": size} if size else {})}
    with a_page(browser, **options) as (page, _):
        sign_in(page, api.url, api.keys[Role.OPERATOR].secret, "#/dead")
        expect(rows(page)).to_have_count(4)
        assert overflow_of(page) == 0
        shoot(page, f"dead-{scheme}")
        rows(page).first.locator("a").click()
        expect(page.get_by_text("Positional arguments")).to_be_visible()
        assert overflow_of(page) == 0
        shoot(page, f"letter-{scheme}")
