"""A body is decoded as kombu does, whatever is in it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from kombu import Message
from kombu.exceptions import ContentDisallowed, DecodeError
from kombu.utils.json import dumps

from shared.transports.decoding import PlainMessage, loads

JSON = "application/json"


class Plain(PlainMessage, Message):
    pass


def decoded(kind, body, accept):
    message = kind(body=body, content_type=JSON, content_encoding="utf-8")
    message.accept = accept
    return message.decode()


@pytest.mark.parametrize(
    "value",
    [[], [1, "grüße", None, 1.5, True, {"a": [{}]}], [datetime(2026, 1, 1, tzinfo=UTC)], {"__type__": "mine"}],
    ids=["empty", "plain", "time", "marked by others"],
)
@pytest.mark.parametrize("as_text", [False, True], ids=["bytes", "text"])
def test_a_body_is_what_kombu_says(value, as_text):
    text = dumps(value)
    body = text if as_text else text.encode()
    assert decoded(Plain, body, {JSON}) == decoded(Message, body, {JSON}) == loads(text) == value


@pytest.mark.parametrize("body", [b"{", b"\xff", b"[" * 100_000], ids=["cut off", "no text", "too deep"])
def test_a_body_that_is_no_json_is_refused_as_by_kombu(body):
    with pytest.raises(DecodeError):
        decoded(Plain, body, {JSON})


def test_content_that_is_not_accepted_is_refused_as_by_kombu():
    with pytest.raises(ContentDisallowed):
        decoded(Plain, b"[]", {"application/x-yaml"})
