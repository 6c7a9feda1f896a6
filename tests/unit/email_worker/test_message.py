"""Messages: identity, parts, and heads that nobody can add to."""

from __future__ import annotations

from email.headerregistry import Address
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import SMTP

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.email_worker.errors import UnsafeHeader
from services.email_worker.letter import Letter
from services.email_worker.message import Skeleton, message_id, sender_address
from services.email_worker.rendering import Rendered
from shared.errors import InvalidSettings

SENDER = Address("Zoë, of the Shop", "shop", "example.org")
HEADERS = {
    "From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "Precedence",
    "MIME-Version", "Content-Type", "Content-Transfer-Encoding",
}  # fmt: skip


SKELETONS = {bulk: Skeleton(SENDER, bulk=bulk) for bulk in (False, True)}


def composed(
    subject: str = "Hello",
    text: str = "Hello\n",
    html: str | None = None,
    recipient: str = "ada@example.org",
    *,
    bulk: bool = True,
) -> Letter:
    return SKELETONS[bulk].fill(Rendered(subject, text, html), recipient, message_id("key", "example.org"))


def parsed(letter: Letter) -> EmailMessage:
    return BytesParser(policy=SMTP).parsebytes(letter.content)


def header_names(content: bytes) -> list[str]:
    head = content.partition(b"\r\n\r\n")[0]
    return [line.split(b":")[0].decode() for line in head.splitlines() if line[:1] not in b" \t"]


def test_a_message_holds_both_bodies_and_the_headers_of_bulk_mail():
    message = parsed(composed("Grüße", "Tschüß\n", "<p>Tschüß</p>\n"))
    assert str(message["From"]) == '"Zoë, of the Shop" <shop@example.org>'
    assert str(message["To"]) == "ada@example.org"
    assert str(message["Subject"]) == "Grüße"
    assert message["Date"].datetime.tzinfo is not None
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Precedence"] == "bulk"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    assert [part.get_content() for part in message.iter_parts()] == ["Tschüß\r\n", "<p>Tschüß</p>\r\n"]


def test_a_single_mail_is_not_marked_as_bulk():
    assert parsed(composed(bulk=False))["Precedence"] is None


def test_the_message_id_is_that_of_the_key_and_nothing_else():
    assert message_id("campaign:a:1", "example.org") == message_id("campaign:a:1", "example.org")
    assert message_id("campaign:a:1", "example.org") != message_id("campaign:a:2", "example.org")
    assert composed().message_id == parsed(composed())["Message-ID"] == message_id("key", "example.org")


@pytest.mark.parametrize(
    "subject",
    [
        "a\r\nBcc: eve@example.org",
        "a\nb",
        "a\0b",
        "a\x1bb",
        "a\x85b",
        "a\u2028b",
        "\ud800",
        "=?utf-8?q?x=0D=0ABcc=3Aeve?=",
    ],
)
def test_control_characters_in_a_subject_are_refused_also_inside_encoded_words(subject):
    with pytest.raises(UnsafeHeader, match=r"Subject: the character U\+"):
        composed(subject)


@pytest.mark.parametrize(
    "recipient",
    ["ada@example.org\r\nBcc: eve@example.org", "a\nb@example.org", "=?utf-8?q?x=0ABcc=3Aeve?=@example.org"],
)
def test_a_recipient_that_could_add_a_header_is_refused(recipient):
    with pytest.raises(UnsafeHeader, match="To:"):
        composed(recipient=recipient)


ENCODED_WORDS = st.builds(
    "=?utf-8?{}?{}?=".format,
    st.sampled_from("qQ"),
    st.lists(st.sampled_from(["=0D", "=0A", "=3F", "=3D", "=00", "Bcc:", "_", "a"])).map("".join),
)
HOSTILE = st.lists(
    st.text() | ENCODED_WORDS | st.sampled_from(["\r\n", "\n", "\r", "Bcc: eve@example.org", " " * 80, "é" * 90])
).map("".join)


@given(subject=HOSTILE, text=HOSTILE, html=HOSTILE | st.none())
def test_no_subject_and_no_body_adds_a_header_or_a_bare_line_break(subject, text, html):
    try:
        content = composed(subject, text, html).content
    except UnsafeHeader:
        content = composed("", text, html).content
    names = header_names(content)
    assert set(names) <= HEADERS
    assert len(names) == len(set(names))
    assert b"\r" not in content.replace(b"\r\n", b"")
    assert b"\n" not in content.replace(b"\r\n", b"")
    content.decode("ascii")
    assert max(map(len, content.splitlines())) <= 998


@pytest.mark.parametrize(
    ("setting", "sender"),
    [
        ("Shop <shop@example.org>", Address("Shop", "shop", "example.org")),
        ("shop@example.org", Address("", "shop", "example.org")),
        ('"Zoë, of the Shop" <shop@bücher.example>', Address("Zoë, of the Shop", "shop", "xn--bcher-kva.example")),
    ],
)
def test_the_sender_is_read_from_its_setting(setting, sender):
    assert sender_address(setting) == sender


@pytest.mark.parametrize(
    "setting",
    [
        "",
        "shop",
        "a@example.org, b@example.org",
        "Shop\r\nBcc: x <shop@example.org>",
        "=?utf-8?q?x=0D=0ABcc=3Aeve?= <shop@example.org>",
    ],
)
def test_a_sender_that_is_not_one_safe_address_is_refused_by_the_name_of_its_setting(setting):
    with pytest.raises(InvalidSettings, match="YARD_MAIL_SENDER"):
        sender_address(setting)
