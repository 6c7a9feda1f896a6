"""The local mail catcher as a process of its own: files, errors on demand, and its end."""

from __future__ import annotations

import signal
import smtplib
import subprocess
import sys
import time
from email import message_from_bytes

import pytest

MESSAGE = "Subject: Hello\r\n\r\nHello\r\n"
PROGRAM = """
import sys
from pathlib import Path
from services.core.local.mail_catcher import run
run(Path(sys.argv[1]), port_file=Path(sys.argv[2]))
"""


@pytest.fixture
def catcher(tmp_path):
    port_file = tmp_path / "port"
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "mail"), str(port_file)]
    with subprocess.Popen(command) as process:
        try:
            deadline = time.monotonic() + 20
            while not port_file.exists():
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.02)
            process.port = int(port_file.read_text())  # type: ignore[attr-defined]
            yield process
        finally:
            process.kill()


@pytest.fixture
def client(catcher):
    with smtplib.SMTP("127.0.0.1", catcher.port, "client.test") as client:
        yield client


def test_each_message_is_one_file_whose_name_sorts_by_arrival(client, tmp_path):
    for number in range(12):
        recipients = [f"reader-{number}@example.org", "über@example.org"]
        client.sendmail("shop@example.org", recipients, MESSAGE, mail_options=["SMTPUTF8"])
    files = sorted((tmp_path / "mail").iterdir())
    assert len(files) == 12
    for number, file in enumerate(files):
        content = file.read_bytes()
        head, _, rest = content.partition(b"\r\n")
        assert head.decode() == f"X-Envelope-To: reader-{number}@example.org, über@example.org"
        assert rest.decode() == MESSAGE
        assert message_from_bytes(content)["Subject"] == "Hello"


def test_recipients_get_the_errors_that_their_names_ask_for(client, tmp_path):
    for _ in range(2):
        with pytest.raises(smtplib.SMTPRecipientsRefused, match="451"):
            client.sendmail("shop@example.org", "soft-fail-1@example.org", MESSAGE)
    with pytest.raises(smtplib.SMTPRecipientsRefused, match="451"):
        client.sendmail("shop@example.org", "soft-fail-2@example.org", MESSAGE)
    client.sendmail("shop@example.org", "soft-fail-1@example.org", MESSAGE)
    for _ in range(4):
        with pytest.raises(smtplib.SMTPRecipientsRefused, match="550"):
            client.sendmail("shop@example.org", "hard-fail@example.org", MESSAGE)
    assert len(list((tmp_path / "mail").iterdir())) == 1


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_in_order_on_a_signal_even_while_a_client_is_connected(catcher, client, signum):
    client.noop()
    catcher.send_signal(signum)
    assert catcher.wait(timeout=20) == 0
