"""Dead letters in the ledger: each once, found by what it is, replayed once, and never more than its limits."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import update

from services.core.ledger.dead_letters import LetterFilter
from services.core.ledger.errors import InvalidSubmission, UnknownId
from services.core.ledger.models import KeptLetter
from services.core.ledger.outbox import claim_due
from services.core.outgoing import replay_to_publish
from services.core.usecases.collect_letters import clean_letters, collect_letters
from services.core.usecases.letters import count_kept, drop_letters, list_letters, the_letter
from services.core.usecases.replay_letters import edit_letter, replay_letters, undo_edit
from shared.dead_letters import DeadLetter, Reason
from shared.names import QueueName, TaskName
from shared.replaying import arguments_of

MOST = 100


def letter(number: int, **fields) -> DeadLetter:
    given = {
        "id": f"task-{number}",
        "task": TaskName.CORE_ADVANCE_CAMPAIGN,
        "queue": QueueName.CORE_DEFAULT,
        "broker": "default",
        "reason": Reason.FAILED,
        "detail": f"ValueError: number {number}",
        "traceback": "Traceback …\nin Advance_campaign",
        "at": 1_795_000_000.0 + number,
        "headers": {
            "id": f"task-{number}", "task": str(TaskName.CORE_ADVANCE_CAMPAIGN), "root_id": "root", "group": "crowd",
            "retries": 3, "stamps": {"colour": "red"}, "expires": "2026-11-21T09:00:00+00:00", "published_at": 1.0,
        },
        "properties": {"priority": 7, "correlation_id": f"task-{number}", "delivery_tag": "x"},
        "content_type": "application/json",
        "content_encoding": "utf-8",
        "body": json.dumps([["spring"], {}, {"chain": None}]).encode(),
        **fields,
    }  # fmt: skip
    return DeadLetter(**given)


def numbers(ledger, **conditions) -> list[int]:
    page = list_letters(ledger, LetterFilter(**conditions), limit=1000)
    return [entry.number for entry in page.entries]


def outbox(ledger) -> list:
    with ledger.writing() as session:
        return list(claim_due(session, ledger.clock(), timedelta(seconds=60), 100))


def replay(ledger, **options):
    return replay_letters(ledger, LetterFilter(), publish=replay_to_publish, limit=50, **options)


def test_a_letter_is_recorded_once_however_often_it_is_given(ledger):
    first = letter(1)
    assert collect_letters(ledger, [first, first], MOST) == 1
    assert collect_letters(ledger, [replace(first, at=first.at + 5), letter(2)], MOST) == 1
    assert collect_letters(ledger, [replace(first, headers={"id": "task-1", "published_at": 2.0})], MOST) == 1
    assert len(numbers(ledger)) == 3


def test_two_messages_without_an_id_are_two_letters(ledger):
    nameless = letter(1, id=None, task=None, headers=None, properties=None, reason=Reason.UNDECODABLE, body=b"\xff\0")
    assert collect_letters(ledger, [nameless, replace(nameless, at=nameless.at + 1), nameless], MOST) == 2


def test_a_letter_comes_back_as_it_was(ledger):
    whole = letter(1, body=b"\xff\x00", headers={"id": "task-1", "odd": "\0", "deep": [{"a": None}]})
    collect_letters(ledger, [whole], MOST)
    [number] = numbers(ledger)
    found = the_letter(ledger, number).letter
    assert found == whole
    assert found.digest == whole.digest


def test_what_no_index_could_hold_is_recorded(ledger):
    long = "x" * 100_000
    collect_letters(ledger, [letter(1, id=long, task=long, headers={"id": long, "root_id": long, "group": long})], MOST)
    [number] = numbers(ledger)
    assert the_letter(ledger, number).letter.id == long


def test_a_letter_tells_which_one_it_was_before(ledger):
    given = [{"of": 17, "times": 2}, {"of": 2**70, "times": -(2**70)}, None]
    rows = [letter(number, headers={"id": f"task-{number}", "replay": told}) for number, told in enumerate(given)]
    collect_letters(ledger, rows, MOST)
    entries = list_letters(ledger, LetterFilter(), limit=10).entries
    assert [(entry.replay_of, entry.replays) for entry in entries] == [(17, 2), (0, 0), (None, 0)]


def test_letters_are_found_by_every_filter(ledger, clock):
    other = letter(
        2, queue="email.bulk", broker="batch", reason=Reason.POISON, task="email.send_chunk", detail="100% gone",
        traceback=None, headers={"id": "task-2", "root_id": "task-2"},
    )  # fmt: skip
    collect_letters(ledger, [letter(1), other], MOST)
    one, two = numbers(ledger)
    since = the_letter(ledger, two).entry.died_at
    assert numbers(ledger, numbers=[two, 999]) == [two]
    assert numbers(ledger, task_id="task-1") == [one]
    assert numbers(ledger, queue="email.bulk") == [two]
    assert numbers(ledger, broker="batch") == [two]
    assert numbers(ledger, reason=Reason.POISON) == [two]
    assert numbers(ledger, task="email.send_chunk") == [two]
    assert numbers(ledger, since=since) == [two]
    assert numbers(ledger, until=since) == [one]
    assert numbers(ledger, workflow="root") == [one]
    assert numbers(ledger, workflow="crowd") == [one]
    assert numbers(ledger, workflow="task-2") == [two]
    assert numbers(ledger, text="in advance_CAMPAIGN") == [one]
    assert numbers(ledger, text="100%") == [two]
    assert numbers(ledger, text="%") == [two]
    assert numbers(ledger, queue="email.bulk", task_id="task-1") == []


def test_a_replay_is_in_the_outbox_as_the_message_was(ledger):
    collect_letters(ledger, [letter(1)], MOST)
    [number] = numbers(ledger)
    assert replay(ledger, dry=True).numbers == [number]
    assert outbox(ledger) == []
    assert replay(ledger).numbers == [number]
    [entry] = outbox(ledger)
    message = entry.signature["replay"]
    assert (entry.broker, entry.priority, message["queue"]) == ("default", 7, "core.default")
    headers = message["headers"]
    assert (headers["id"], headers["root_id"], headers["group"]) == ("task-1", "root", "crowd")
    assert headers["stamps"] == {"colour": "red"}
    assert (headers["retries"], headers["expires"], headers["replay"]) == (0, None, {"of": number, "times": 1})
    assert headers["published_at"] == ledger.clock().timestamp()
    assert "delivery_tag" not in message["properties"]
    assert numbers(ledger) == []
    assert numbers(ledger, replayed=True) == [number]


def test_a_letter_is_replayed_once_however_many_replay_it(ledger):
    collect_letters(ledger, [letter(number) for number in range(40)], MOST)
    with ThreadPoolExecutor(4) as people:
        told = list(people.map(lambda _: replay(ledger).numbers, range(4)))
    assert sorted(number for part in told for number in part) == numbers(ledger, replayed=True)
    assert len(outbox(ledger)) == 40
    assert replay(ledger).numbers == []


def test_what_cannot_be_replayed_stays_with_the_reason(ledger):
    broken = letter(1, reason=Reason.UNDECODABLE)
    headless = letter(4, headers={"task": "t"})
    collect_letters(ledger, [broken, letter(2), letter(3, queue="gone"), headless], MOST)
    first, second, third, fourth = numbers(ledger)
    told = replay(ledger)
    assert told.numbers == [second]
    assert "can't be decoded" in told.refused[first]
    assert "gone" in told.refused[third]
    assert "no header `id`" in told.refused[fourth]
    assert numbers(ledger) == [first, third, fourth]


def test_a_letter_whose_reason_a_later_release_recorded_is_shown_and_can_be_replayed(ledger):
    collect_letters(ledger, [letter(1)], MOST)
    with ledger.writing() as session:
        session.execute(update(KeptLetter).values(reason="too late"))
    [number] = numbers(ledger)
    view = the_letter(ledger, number)
    assert (view.entry.reason, view.letter) == ("too late", letter(1))
    assert replay(ledger).numbers == [number]


def test_an_edit_keeps_what_was_there(ledger):
    collect_letters(ledger, [letter(1)], MOST)
    [number] = numbers(ledger)

    def refuse(task, args, kwargs):
        raise InvalidSubmission(f"{task} {args} {kwargs}")

    with pytest.raises(InvalidSubmission, match="summer"):
        edit_letter(ledger, number, args=["summer"], check=refuse)
    assert not the_letter(ledger, number).entry.edited
    edit_letter(ledger, number, args=[], settings={"campaign_id": "summer"}, check=lambda *_: None)
    view = the_letter(ledger, number)
    assert arguments_of(view.letter)[0] == ["spring"]
    assert view.edited_body
    assert arguments_of(replace(view.letter, body=view.edited_body))[:2] == ([], {"campaign_id": "summer"})
    undo_edit(ledger, number)
    assert not the_letter(ledger, number).entry.edited
    replay(ledger)
    with pytest.raises(InvalidSubmission, match="replayed already"):
        edit_letter(ledger, number, args=[], check=lambda *_: None)
    with pytest.raises(UnknownId):
        edit_letter(ledger, 999, args=[], check=lambda *_: None)


def test_dropped_letters_are_gone(ledger):
    collect_letters(ledger, [letter(number) for number in range(10)], MOST)
    assert drop_letters(ledger, LetterFilter(), limit=3) == 3
    assert drop_letters(ledger, LetterFilter(task_id="task-9")) == 1
    assert len(numbers(ledger)) == 6


def test_a_queue_keeps_so_many_and_the_others_are_counted(ledger):
    collect_letters(ledger, [letter(number) for number in range(3)], 5)
    replay_letters(ledger, LetterFilter(task_id="task-1"), publish=replay_to_publish, limit=1)
    collect_letters(ledger, [letter(number) for number in range(3, 7)], 5)
    there = list_letters(ledger, LetterFilter(replayed=None), limit=100).entries
    assert [entry.task_id for entry in there] == ["task-2", "task-3", "task-4", "task-5", "task-6"]
    assert count_kept(ledger).over_limit == 2


def test_what_is_too_old_goes_and_is_counted(ledger, clock):
    then = clock().timestamp()
    collect_letters(ledger, [letter(number, at=then + number * 86400 - 40 * 86400) for number in range(20)], MOST)
    assert clean_letters(ledger, timedelta(days=30), 5) == 10 + 5
    counts = count_kept(ledger)
    assert (counts.kept, counts.expired, counts.over_limit) == (5, 10, 5)
    assert clean_letters(ledger, timedelta(days=30), 5) == 0
