"""A dead letter is kept whole, whatever is in it, and read again as it was."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from amqp.basic_message import Message
from kombu.message import Message as Received

from shared.dead_letters import DeadLetter, Reason, unreadable_letter
from shared.transports.unreadable import UNREADABLE_HEADER, tolerant_frame_handler, without_properties


@pytest.mark.parametrize("body", [b"", b"[[], {}, {}]", "grüße".encode(), b"\xff\x00\xfe", b'"\xed\xa0\x80"'])
def test_a_letter_is_read_as_it_was_written(body):
    letter = DeadLetter(id="1", task="t", queue="q", broker="b", reason=Reason.POISON, detail="why", body=body)
    assert DeadLetter.loads(letter.dumps()) == letter


def test_what_could_not_be_taken_apart_is_kept_as_it_lay_in_the_broker():
    letter = DeadLetter.loads(unreadable_letter(b"\xffjunk", queue="q", reason=Reason.UNDECODABLE, detail="why"))
    assert (letter.body, letter.headers, letter.properties, letter.id) == (b"\xffjunk", None, None, None)


def test_headers_that_have_no_form_in_json_are_kept_as_text():
    headers = {"id": "1", "when": datetime(2026, 1, 1, tzinfo=UTC), "price": Decimal("1.50"), "raw": b"\xff"}
    message = Received(body=b"{}", headers=headers, properties={"priority": 3}, content_type="application/json")
    letter = DeadLetter.of(message, queue="q", broker="b", reason=Reason.BAD_MESSAGE, detail="why")
    kept = DeadLetter.loads(letter.dumps())
    assert kept.headers == {"id": "1", "when": "2026-01-01 00:00:00+00:00", "price": "1.50", "raw": "\\xff"}
    assert kept.properties == {"priority": 3}


def test_a_decompressed_body_is_not_said_to_be_compressed():
    message = Received(body=b"{}", headers={"id": "1"})
    message.headers["compression"] = "application/x-gzip"
    letter = DeadLetter.of(message, queue="q", broker="b", reason=Reason.POISON, detail="why")
    assert "compression" not in (letter.headers or {})


def test_properties_that_cannot_be_decoded_arrive_as_one_header():
    flags_and_type = b"\x80\x00\x02\xff\xfe"
    frame = (60).to_bytes(2) + bytes(2) + (4).to_bytes(8) + flags_and_type
    received = []

    class Connection:
        bytes_recv = 0

    handle = tolerant_frame_handler(Connection(), lambda *arrived: received.append(arrived[-1]))
    handle((1, 1, (60).to_bytes(2) + (60).to_bytes(2)))  # basic.deliver
    handle((2, 1, frame))
    handle((3, 1, b"body"))
    (message,) = received
    assert isinstance(message, Message)
    assert message.body == b"body"
    kept = message.properties["application_headers"][UNREADABLE_HEADER]
    assert base64.b64decode(kept) == flags_and_type
    assert without_properties(frame)[:12] == frame[:12]


@pytest.mark.parametrize(
    "kept", [b"junk", b"[1]", b"null", b'{"body": 1}', b'{"body": "x", "body_encoding": "utf-8"}', b"\xff"]
)
def test_what_lies_among_them_and_is_none_hides_nothing(kept):
    letter = DeadLetter.loads(kept)
    assert (letter.reason, letter.body) == (Reason.UNDECODABLE, kept)


def test_a_letter_of_a_later_release_is_read_without_what_is_new_in_it():
    letter = DeadLetter(id="1", queue="q", reason=Reason.FAILED, detail="why", traceback="where", body=b"x")
    later = json.dumps({**json.loads(letter.dumps()), "mood": "sad"})
    earlier = json.dumps({name: value for name, value in json.loads(letter.dumps()).items() if name != "traceback"})
    assert DeadLetter.loads(later) == letter
    assert DeadLetter.loads(earlier) == replace(letter, traceback=None)


def test_a_reason_of_a_later_release_is_told_and_the_letter_keeps_its_fields():
    letter = DeadLetter(id="1", task="t", queue="q", reason=Reason.FAILED, detail="why", headers={"id": "1"}, body=b"x")
    later = json.dumps({**json.loads(letter.dumps()), "reason": "too late"})
    assert DeadLetter.loads(later) == replace(letter, detail="too late: why")


def nested(levels: int) -> str:
    return "[" * levels + "]" * levels


@pytest.mark.parametrize("levels", [101, 900, 100_000])
def test_what_is_nested_too_deeply_to_be_written_again_is_none(levels):
    letter = DeadLetter(id="1", queue="q", reason=Reason.FAILED, detail="why", headers={}, body=b"x")
    kept = letter.dumps().replace(b'"headers": {}', f'"headers": {{"deep": {nested(levels)}}}'.encode())
    found = DeadLetter.loads(kept)
    assert (found.reason, found.body) == (Reason.UNDECODABLE, kept)
    assert DeadLetter.loads(found.dumps()) == found


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": 7},
        {"reason": 7},
        {"reason": ["failed"]},
        {"queue": None},
        {"headers": [1]},
        {"at": "noon"},
        {"at": 1e300},
        {"detail": {}},
        {"body": 1},
    ],
)
def test_a_letter_with_a_field_of_another_kind_is_none(wrong):
    letter = DeadLetter(id="1", queue="q", reason=Reason.FAILED, detail="why", body=b"x")
    kept = json.dumps({**json.loads(letter.dumps()), **wrong})
    assert DeadLetter.loads(kept).reason is Reason.UNDECODABLE


def test_two_letters_of_one_message_have_one_digest_and_a_replay_has_another():
    headers = {"id": "1", "published_at": 1.0, "raw": b"\xff"}
    letter = DeadLetter(id="1", queue="q", broker="b", reason=Reason.FAILED, detail="why", headers=headers, body=b"x")
    assert replace(letter, at=5.0, traceback="other").digest == letter.digest == DeadLetter.loads(letter.dumps()).digest
    died_again = {**headers, "x-delivery-count": 3, "x-death": [{"reason": "expired"}]}
    assert replace(letter, reason=Reason.POISON, headers=died_again).digest == letter.digest
    assert replace(letter, headers={**headers, "published_at": 2.0}).digest != letter.digest
    assert replace(letter, id=None, at=5.0).digest != replace(letter, id=None, at=6.0).digest


@pytest.mark.parametrize(
    ("told", "expected"),
    [(None, (None, 0)), ({"of": 7, "times": 2}, (7, 2)), ("x", (None, 0)), ({"of": "7"}, (None, 0))],
)
def test_a_letter_tells_what_it_was_before(told, expected):
    letter = DeadLetter(queue="q", reason=Reason.FAILED, detail="why", headers={"replay": told}, body=b"")
    assert (letter.replay_of, letter.replays) == expected
