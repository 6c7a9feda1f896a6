from __future__ import annotations

import pytest
from celery import Celery, chain, chord

from shared.testing import recording
from shared.versions import FIRST_VERSION, VERSION_HEADER, mark, version_of
from tests.fleet.app import fleet

plain = Celery(set_as_current=False)


def task(name: str):
    return plain.signature(name)


def version(signature) -> object:
    return (signature["options"].get("headers") or {}).get(VERSION_HEADER)


@pytest.mark.parametrize("written", [None, "2", 0, -1, 1.5, [2], {"a": 1}])
def test_what_is_no_version_is_the_first(written):
    assert version_of({VERSION_HEADER: written}) == version_of({}) == FIRST_VERSION


def test_every_task_of_a_canvas_is_marked_and_an_earlier_mark_stays():
    marked, first, last, member, body = (task(name) for name in ("marked", "first", "last", "member", "body"))
    callback, errback = task("callback"), task("errback")
    marked.options["headers"] = {VERSION_HEADER: 1, "other": "kept"}
    first.link(callback)
    body.link_error(errback)
    canvas = chain(first, marked, chord([member, last], body), app=plain)
    mark(canvas, 3)
    assert [version(each) for each in (*canvas.tasks[:1], callback)] == [3, 3]
    assert canvas.tasks[1].options["headers"] == {VERSION_HEADER: 1, "other": "kept"}
    inner = canvas.tasks[2]
    assert [version(each) for each in inner.tasks] == [3, 3]
    assert version(inner.body) == version(inner.body.options["link_error"][0]) == 3


def test_a_signature_of_an_older_release_may_have_another_number_of_arguments():
    with fleet(message_version=2) as app, recording(app) as recorded:

        @app.task(shared=False, name="two")
        def two(first, second):
            """The body of a task, which took one argument in the first version."""

        older, today = two.s(1), two.s(1)
        mark(older, 1)
        mark(today, 2)
        older.apply_async()
        for wrong in (today, two.s(1)):
            with pytest.raises(TypeError, match="second"):
                wrong.apply_async()
    assert [message.headers[VERSION_HEADER] for message in recorded] == [1]


def test_each_message_bears_the_version_of_its_fleet():
    with fleet(message_version=7) as app, recording(app) as recorded:
        app.send_task("try.parked_batch")
    assert recorded[0].headers[VERSION_HEADER] == 7
