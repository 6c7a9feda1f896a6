"""Callers and workers of two neighbouring releases at once: nothing is lost, nothing is misread."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from celery import Celery, chain, chord, group

from shared.dead_letters import DeadLetter, Reason, dead_letters
from shared.replaying import message_of, publish_again
from tests.fixtures.workers import WorkerProcess
from tests.fleet import releases
from tests.fleet.inspection import messages, wait_for
from tests.fleet.mishaps import noted
from tests.fleet.releases import ADDED, AGAIN, BROKERS, FAIL, GREET, WIDENED, new, old, queue_of

GIVEN_BACK_WITHIN_SECONDS = 90.0
"""Each is held for five seconds, and the old worker may well take it again."""
AMOUNT = 3


@contextmanager
def worker(release: str, broker: str, folder: Path) -> Iterator[WorkerProcess]:
    queue = queue_of(broker)
    app = f"{releases.__name__}:{release}"
    options = (f"-Q{queue}", f"-n{release}@%n", "--without-mingle", "--without-gossip")
    started = WorkerProcess(app, *options, log=folder / f"{release}-{broker}.log")
    try:
        yield started
    finally:
        started.stop()


def step(app: Celery, task: str, broker: str, *args: object):
    return app.signature(task, args, immutable=True).set(queue=queue_of(broker))


def expect(key: str, *notes: str) -> None:
    wait_for(lambda: len(noted(key)) >= len(notes), f"{notes} of {key}, not {noted(key)}", GIVEN_BACK_WITHIN_SECONDS)
    assert sorted(noted(key)) == sorted(notes)


def kept_for_newer(broker: str) -> list[DeadLetter]:
    return [letter for letter in dead_letters(new, broker) if letter.reason is Reason.NEWER_RELEASE]


@pytest.mark.parametrize("broker", BROKERS)
def test_a_whole_canvas_of_the_old_release_runs_on_the_new_one(brokers, tmp_path, broker):
    key = f"canvas-{broker}"

    def greet(name: str):
        return step(old, GREET, broker, key, name)

    def widened(name: str):
        return step(old, WIDENED, broker, key, name)

    failing = step(old, FAIL, broker, key)
    failing.link_error(greet("errback"))
    first = greet("first")
    first.link(greet("callback"))
    first.link(widened("wide callback"))
    with worker("new", broker, tmp_path):
        chain(greet("narrow"), widened("wide"), greet("end")).apply_async()
        chord([widened("wide member")], widened("wide body")).apply_async()
        chain(first, greet("second"), group(greet("third"), greet("fourth")), greet("body")).apply_async()
        chord([greet("member"), greet("other member")], chain(greet("inner"), greet("last"))).apply_async()
        step(old, AGAIN, broker, key, "again").apply_async()
        greet("later").apply_async(countdown=0.5)
        failing.apply_async()
        in_chain, in_chord = ["first", "callback", "second", "third", "fourth", "body"], ["member", "other member"]
        names = [*in_chain, *in_chord, "inner", "last", "again", "later", "errback"]
        wide = ["wide", "wide callback", "wide member", "wide body"]
        expect(key, *(f"new {name}" for name in [*names, "narrow", "end"]), *(f"new {name} second" for name in wide))


@pytest.mark.parametrize("broker", BROKERS)
def test_a_worker_of_the_old_release_leaves_newer_work_to_the_new_one(brokers, tmp_path, broker):
    key = f"newer-{broker}"
    with worker("old", broker, tmp_path) as outdated:
        for number in range(AMOUNT):
            step(new, GREET, broker, key, {"name": f"{number}"}).apply_async()
        step(new, ADDED, broker, key).apply_async()
        step(old, GREET, broker, f"{key}-good", "behind").apply_async()
        expect(f"{key}-good", "old behind")
        assert "goes back to its queue until workers of its release are there" in outdated.output
        assert not noted(key)
        with worker("new", broker, tmp_path):
            expect(key, *(f"new {number}" for number in range(AMOUNT)), "added")
    assert not kept_for_newer(broker)
    assert not messages(new.brokers[broker], queue_of(broker))


@pytest.mark.parametrize("broker", BROKERS)
def test_what_a_stopping_worker_of_the_old_release_holds_goes_back_at_once(brokers, tmp_path, broker):
    key = f"held-{broker}"
    with worker("old", broker, tmp_path) as outdated:
        step(new, ADDED, broker, key).apply_async()
        wait_for(lambda: "goes back to its queue" in outdated.output, "the old worker to hold it")
    wait_for(lambda: (held := messages(new.brokers[broker], queue_of(broker))) and len(held) == 1, "it in its queue", 5)


@pytest.mark.parametrize("broker", BROKERS)
def test_a_worker_that_nobody_replaces_keeps_newer_work_as_dead_letters_that_can_be_replayed(brokers, tmp_path, broker):
    key = f"kept-{broker}"
    with worker("not_replaced", broker, tmp_path) as outdated:
        step(new, ADDED, broker, key).apply_async()
        wait_for(lambda: "goes back to its queue" in outdated.output, "the old worker to hold it")
        (letter,) = wait_for(lambda: kept_for_newer(broker), "it as a dead letter")
    assert letter.task == ADDED
    assert "It is of version 2, and this worker knows up to 1" in letter.detail
    with worker("new", broker, tmp_path):
        publish_again(new, message_of(letter, 1, datetime.now(UTC)), "of this test")
        expect(key, "added")
