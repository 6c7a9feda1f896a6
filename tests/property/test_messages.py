"""Messages filled into a skeleton say what the standard library's messages say, however they are encoded."""

from __future__ import annotations

from email.headerregistry import Address
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import SMTP

from hypothesis import example, given
from hypothesis import strategies as st

from services.email_worker.errors import UnsafeHeader
from services.email_worker.headers import POLICY
from services.email_worker.letter import Letter
from services.email_worker.message import Skeleton
from services.email_worker.rendering import Rendered

MESSAGE_ID = "<0123456789abcdef@example.org>"

NAMES = st.text(max_size=60).filter(lambda name: name.isprintable())
SENDERS = st.builds(lambda name: Address(name, "shop", "example.org"), NAMES)
LOCAL_PARTS = st.from_regex(r"[a-z0-9!#$%&'*+/^_`{|}~-]{1,20}(\.[A-Za-z0-9+_-]{1,20}){0,2}", fullmatch=True)
DOMAINS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?(\.[a-z]{2,8}){1,4}", fullmatch=True)
RECIPIENTS = st.builds("{}@{}".format, LOCAL_PARTS, DOMAINS)
PIECES = st.sampled_from(
    [" ", "  ", "\t", "=", "=3D", ".", "\n", "\r", "\r\n", "\n.\n", " \n", "From ", "--=_", "é", "€", "𝄞", "́", "\xa0",
     "x" * 75, "x" * 76, "x" * 77, "x" * 998, "é" * 40, "word " * 30]
)  # fmt: skip
TEXTS = st.lists(st.text(max_size=20) | PIECES, max_size=12).map("".join)
SUBJECTS = TEXTS.map(lambda text: " ".join(text.split()))


def filled(sender: Address, recipient: str, mail: Rendered, *, bulk: bool) -> Letter:
    return Skeleton(sender, bulk=bulk).fill(mail, recipient, MESSAGE_ID)


def of_the_standard_library(sender: Address, recipient: str, mail: Rendered, *, bulk: bool) -> EmailMessage:
    message = EmailMessage(policy=POLICY.clone(utf8=not recipient.isascii()))
    message["From"] = sender
    message["To"] = Address(addr_spec=recipient)
    message["Subject"] = mail.subject
    message["Message-ID"] = MESSAGE_ID
    message["Auto-Submitted"] = "auto-generated"
    if bulk:
        message["Precedence"] = "bulk"
    message.set_content(mail.text)
    if mail.html is not None:
        message.add_alternative(mail.html, subtype="html")
    return message


def parsed(content: bytes) -> EmailMessage:
    return BytesParser(policy=SMTP).parsebytes(content)


def heads(message: EmailMessage) -> dict[str, str]:
    kept = ("From", "To", "Message-ID", "Auto-Submitted", "Precedence", "MIME-Version")
    return {name: str(value) for name, value in message.items() if name in kept}


def addresses(message: EmailMessage) -> list[tuple[Address, ...]]:
    return [message[name].addresses for name in ("From", "To")]


def bodies(message: EmailMessage) -> list[tuple[str, str, str]]:
    return [
        (part.get_content_type(), part.get_content_charset() or "", part.get_content())
        for part in message.walk()
        if not part.is_multipart()
    ]


@given(sender=SENDERS, recipient=RECIPIENTS, subject=SUBJECTS, text=TEXTS, html=TEXTS | st.none(), bulk=st.booleans())
@example(Address("", "shop", "example.org"), "a@example.org", "", "", None, True)
def test_a_filled_skeleton_is_read_as_the_standard_librarys_message_is(sender, recipient, subject, text, html, bulk):
    mail = Rendered(subject, text, html)
    try:
        letter = filled(sender, recipient, mail, bulk=bulk)
    except UnsafeHeader:
        return
    ours = parsed(letter.content)
    theirs = parsed(of_the_standard_library(sender, recipient, mail, bulk=bulk).as_bytes())
    assert heads(ours) == heads(theirs)
    # Where the library folds a long word it adds a space, which is no better than what was asked for.
    assert str(ours["Subject"]) in (str(SMTP.header_factory("Subject", subject)), str(theirs["Subject"]))
    assert addresses(ours) == addresses(theirs)
    assert bodies(ours) == bodies(theirs)
    assert ours.get_content_type() == theirs.get_content_type()
    assert not ours.defects
    assert (letter.sender, letter.recipient, letter.message_id) == (sender.addr_spec, recipient, MESSAGE_ID)


@given(sender=SENDERS, recipient=RECIPIENTS, subject=SUBJECTS, text=TEXTS, html=TEXTS | st.none())
def test_a_message_is_ascii_in_lines_that_every_relay_takes(sender, recipient, subject, text, html):
    try:
        letter = filled(sender, recipient, Rendered(subject, text, html), bulk=True)
    except UnsafeHeader:
        return
    content = letter.content.replace(b"\r\n", b"")
    assert content.isascii()
    assert b"\r" not in content
    assert b"\n" not in content
    assert max(map(len, letter.content.split(b"\r\n"))) <= 998
    body = letter.content.partition(b"\r\n\r\n")[2]
    assert max(map(len, body.split(b"\r\n"))) <= 78


@given(text=TEXTS, html=TEXTS | st.none())
def test_what_follows_data_ends_once_and_gives_back_the_message(text, html):
    letter = filled(Address("", "shop", "example.org"), "ada@example.org", Rendered("Hello", text, html), bulk=True)
    *lines, mark, rest = letter.data.split(b"\r\n")
    assert (mark, rest) == (b".", b"")
    assert b"." not in lines
    assert b"".join(line.removeprefix(b".") + b"\r\n" for line in lines) == letter.content
