"""A secret shows as stars, is compared by its text, and does not change."""

from __future__ import annotations

import copy
import json
import logging
import pickle

import msgspec
import pytest
from kombu.utils.json import dumps

from shared.secret import SecretStr

SECRET = SecretStr("open-sesame")


@pytest.mark.parametrize("shown", [str(SECRET), repr(SECRET), f"{SECRET}", "%s %r" % (SECRET, [SECRET])])  # noqa: UP031
def test_it_shows_as_stars(shown):
    assert "**********" in shown
    assert "open-sesame" not in shown


def test_an_empty_one_shows_that_it_is_empty():
    assert (str(SecretStr("")), repr(SecretStr(""))) == ("", "SecretStr('')")
    assert not SecretStr("")
    assert SECRET


def test_a_log_line_has_no_secret(caplog):
    logging.getLogger("of a test").warning("connecting to %s, %r", SECRET, {"url": SECRET})
    assert "open-sesame" not in caplog.text


def test_its_text_is_asked_for_by_name():
    assert SECRET.get_secret_value() == "open-sesame"
    assert len(SECRET) == len("open-sesame")


def test_it_is_compared_by_its_text():
    assert SecretStr("open-sesame") == SECRET
    assert {SecretStr("open-sesame"), SECRET} == {SECRET}
    assert SecretStr("close-sesame") != SECRET
    assert SECRET != "open-sesame"


def test_it_cannot_be_changed():
    with pytest.raises(AttributeError):
        SECRET._text = "another"
    with pytest.raises(AttributeError):
        del SECRET._text
    with pytest.raises(AttributeError):
        SECRET.note = "another"
    assert SECRET.get_secret_value() == "open-sesame"


def test_a_copy_of_any_kind_is_the_same_secret():
    assert copy.copy(SECRET) == copy.deepcopy(SECRET) == pickle.loads(pickle.dumps(SECRET)) == SECRET


@pytest.mark.parametrize("encode", [json.dumps, dumps, msgspec.json.encode], ids=["json", "kombu", "msgspec"])
def test_it_has_no_form_in_json(encode):
    with pytest.raises(TypeError):
        encode({"url": SECRET})
