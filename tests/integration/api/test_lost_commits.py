"""Where the answer to a commit is lost, what was accepted stays accepted, and is not done a second time."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import urlsplit

import pytest

from services.core.ledger.engine import Ledger, open_ledger
from services.core.ledger.errors import LedgerUnavailable
from services.core.ledger.migrations import upgrade
from services.core.ledger.models import Job, SingleMail
from services.core.ledger.outbox import Outgoing
from services.core.usecases.acting import OtherRequest, Request, carry_out
from services.core.usecases.api_keys import Role, create_key
from services.core.usecases.submit_mail import submit_mail
from services.core.usecases.submit_uploads import Upload, incoming_folder, submit_uploads
from shared.secret import SecretStr
from shared.storage import digest
from tests.fixtures.proxy import PIECE, Proxy


class LosingProxy(Proxy):
    """Cuts a connection when the server answers that it has committed; only the next one, once it is armed."""

    armed = False

    def arm(self) -> None:
        self.armed = True

    def _pass(self, source: socket.socket) -> None:
        if self.armed and source.getpeername() == self._server:
            with suppress(OSError):
                if b"COMMIT" in source.recv(PIECE, socket.MSG_PEEK):
                    self.armed = False
                    self._close(source)
                    return
        super()._pass(source)


@pytest.fixture
def url(postgres_url: str) -> SecretStr:
    upgrade(SecretStr(postgres_url))
    return SecretStr(postgres_url)


@pytest.fixture
def proxy(url: SecretStr) -> Iterator[LosingProxy]:
    port = urlsplit(url.get_secret_value()).port
    assert port is not None
    proxy = LosingProxy(port)
    yield proxy
    proxy.end()


@pytest.fixture
def lossy(url: SecretStr, proxy: LosingProxy) -> Iterator[Ledger]:
    parts = urlsplit(url.get_secret_value())
    netloc = f"{parts.username}:{parts.password}@127.0.0.1:{proxy.port}"
    ledger = open_ledger(SecretStr(parts._replace(netloc=netloc).geturl()))
    yield ledger
    ledger.close()


def entry(subject: str) -> Outgoing:
    return Outgoing(subject, broker="default", priority=5, signature={})


def status_of(error: BaseException) -> int:
    return 503 if isinstance(error, LedgerUnavailable) else 500


def test_a_mail_whose_commit_was_lost_is_not_sent_twice(lossy, proxy):
    sender = create_key(lossy, Role.SENDER, "shop").entry
    asked = Request(sender, "send mail", "/mails", "key", "digest")

    def act(mail_id: str):
        def publish(_) -> Outgoing:
            proxy.arm()
            return entry(mail_id)

        submit_mail(lossy, "ada@example.org", "welcome", {}, mail_id=mail_id, publish=publish)
        return 202, {"id": mail_id}

    with pytest.raises(LedgerUnavailable):
        carry_out(lossy, asked, "mail-1", act, status_of)
    with pytest.raises(OtherRequest):
        carry_out(lossy, Request(sender, "send mail", "/mails", "key", "other"), "mail-2", act, status_of)
    again = carry_out(lossy, asked, "mail-3", act, status_of)
    assert (again.body, again.repeated) == ({"id": "mail-1"}, False)
    with lossy.reading() as session:
        assert [mail.id for mail in session.query(SingleMail)] == ["mail-1"]


def test_an_answer_whose_commit_was_lost_is_given_again(lossy, proxy):
    asked = Request(create_key(lossy, Role.SENDER, "shop").entry, "send mail", "/mails", "key", "digest")

    def act(mail_id: str):
        proxy.arm()
        return 202, {"id": mail_id}

    with pytest.raises(LedgerUnavailable):
        carry_out(lossy, asked, "mail-1", act, status_of)
    again = carry_out(lossy, asked, "mail-2", lambda _: pytest.fail("done twice"), status_of)
    assert (again.body, again.repeated) == ({"id": "mail-1"}, True)


@pytest.mark.parametrize("accepted", [True, False])
def test_the_files_of_a_job_are_removed_only_when_it_was_not_accepted(lossy, proxy, storage, accepted):
    def publish(_) -> Outgoing:
        if not accepted:
            raise LedgerUnavailable("before the commit")
        proxy.arm()
        return entry("job-1")

    with incoming_folder(storage) as folder:
        path = storage.path(folder) / "a"
        path.write_bytes(b"text")
        upload = Upload(f"{folder}/a", "a.txt", digest(path))
        with pytest.raises(LedgerUnavailable):
            submit_uploads(lossy, storage, "job-1", [upload], publish=publish)
    with lossy.reading() as session:
        assert (session.get(Job, "job-1") is not None) is accepted
    left = [found.read_bytes() for found in (storage.root / "jobs").rglob("*") if found.is_file()]
    assert left == ([b"text"] if accepted else [])
