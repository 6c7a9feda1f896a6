"""Clients that are slow, or send what is no HTTP, hold up nobody else; and the API ends as it should."""

from __future__ import annotations

import json
import resource
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

import psutil
import pytest

from services.core.usecases.api_keys import Role
from tests.fixtures.api import ApiProcess, problem
from tests.fleet.inspection import wait_for

SLOW = 1000
UPLOAD = (
    b"POST /api/v1/jobs HTTP/1.1\r\nHost: api\r\nAuthorization: Bearer %(key)s\r\nIdempotency-Key: slow\r\n"
    b"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 1000000\r\n\r\n--b\r\n"
)
HEADERS = b"GET /api/v1/me HTTP/1.1\r\nHost: api\r\n"


@pytest.fixture(autouse=True)
def many_sockets() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4 * SLOW
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(wanted, hard)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def connect(api: ApiProcess) -> socket.socket:
    parts = urlsplit(api.url)
    return socket.create_connection((parts.hostname, parts.port), timeout=60)


def answer_of(connection: socket.socket) -> tuple[str, dict]:
    """Read to the end of the connection."""
    received = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = received.partition(b"\r\n\r\n")
    return head.decode(), json.loads(body) if body else {}


@contextmanager
def slow_clients(api: ApiProcess, beginning: bytes) -> Iterator[list[socket.socket]]:
    with ExitStack() as stack:
        connections = [stack.enter_context(connect(api)) for _ in range(SLOW)]
        for connection in connections:
            connection.sendall(beginning)
        yield connections


@pytest.mark.parametrize(
    "beginning",
    [
        b"",
        HEADERS,
        UPLOAD,
        b"POST /api/v1/mails HTTP/1.1\r\nHost: api\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{",
    ],
    ids=["say nothing", "stop in the headers", "stop in an upload", "stop in a body"],
)
def test_a_thousand_slow_clients_do_not_stop_the_api(api, beginning):
    key = api.keys[Role.SENDER].secret.encode()
    with slow_clients(api, beginning.replace(b"%(key)s", key)) as connections:
        for _ in range(3):
            assert api.get("/api/v1/me").status_code == 200
            assert api.post("/api/v1/jobs", Role.SENDER, files={"files": ("a.txt", b"text")}).status_code == 202
            assert api.client.get("/readyz").status_code == 200
        # And it lets go of them by itself.
        for connection in connections:
            answer_of(connection)
    wait_for(lambda: list((api.storage.root / "incoming").glob("*")) == [], "what was half uploaded to be gone")


def test_who_takes_no_answer_is_let_go_of_and_holds_up_nobody(api):
    large = b"x" * 30_000_000  # more than any buffer between the two
    job = api.post("/api/v1/jobs", Role.SENDER, files={"files": ("large.txt", large)}).json()
    path = f"{job['self']}/files/{job['files'][0]['id']}/original"
    key = api.keys[Role.SENDER].secret
    with ExitStack() as stack:
        connections = [stack.enter_context(connect(api)) for _ in range(50)]
        for connection in connections:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            request = f"GET {path} HTTP/1.1\r\nHost: api\r\nAuthorization: Bearer {key}\r\n\r\n"
            connection.sendall(request.encode())
        for _ in range(5):
            assert api.get("/api/v1/me").status_code == 200
        assert open_connections(api) >= len(connections)
        wait_for(lambda: open_connections(api) <= 2, "all connections to be let go of", 90)


def open_connections(api: ApiProcess) -> int:
    assert api.process is not None
    found = psutil.Process(api.process.pid).net_connections(kind="tcp")
    return sum(each.status == psutil.CONN_ESTABLISHED for each in found)


def test_headers_that_trickle_in_are_ended_with_a_problem(api):
    with connect(api) as connection:
        connection.sendall(HEADERS)
        trickling = threading.Event()

        def trickle() -> None:
            while not trickling.wait(1.0):
                try:
                    connection.sendall(b"X: y\r\n")
                except OSError:
                    return

        thread = threading.Thread(target=trickle)
        thread.start()
        try:
            head, told = answer_of(connection)
        finally:
            trickling.set()
            thread.join()
    assert head.startswith("HTTP/1.1 408")
    assert "application/problem+json" in head
    assert told["type"] == "urn:switchyard:problem:too-slow"


@pytest.mark.parametrize("rubbish", [b"\x16\x03\x01\x02\x00\x01\x00", b"GET / HTTP\r\n\r\n", b"GET /\r\n\x00\r\n\r\n"])
def test_what_is_no_http_is_a_problem(api, rubbish):
    with connect(api) as connection:
        connection.sendall(rubbish + b"\r\n\r\n")
        head, told = answer_of(connection)
    assert head.startswith("HTTP/1.1 400")
    assert told["type"] == "urn:switchyard:problem:no-http"


def test_a_body_that_is_too_large_is_refused_before_and_while_it_comes(api):
    large = b" " * (1024 * 1024 + 1)
    told = problem(api.post("/api/v1/mails", Role.SENDER, content=large), 413, "too-large")
    assert told["limit"] == 1024 * 1024

    def chunks() -> Iterator[bytes]:
        yield from (large[:65536] for _ in range(20))

    problem(api.post("/api/v1/mails", Role.SENDER, content=chunks()), 413, "too-large")


def test_an_upload_that_is_too_large_leaves_nothing(tmp_path):
    with ApiProcess(tmp_path / "home", api_upload_max_bytes=100_000) as api:

        def chunks() -> Iterator[bytes]:
            yield b'--b\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n'
            yield from (b"x" * 10_000 for _ in range(11))

        form = {"Content-Type": "multipart/form-data; boundary=b"}
        problem(api.post("/api/v1/jobs", Role.SENDER, content=chunks(), headers=form), 413, "too-large")
        csv = {"Content-Type": "text/csv"}
        large = "email\n" + "ada@example.org\n" * 10_000
        answer = api.post("/api/v1/campaigns?template=x", Role.SENDER, content=large.encode(), headers=csv)
        problem(answer, 413, "too-large")
        assert list((api.storage.root / "incoming").glob("*")) == []


def test_a_key_that_asks_too_often_is_told_when_to_come_back_and_others_are_served(tmp_path):
    with ApiProcess(tmp_path / "home", api_requests_per_second=0.5) as api:
        answers = [api.get("/api/v1/me", Role.VIEWER) for _ in range(10)]
        refused = [answer for answer in answers if answer.status_code == 429]
        assert len(refused) >= 4
        problem(refused[0], 429, "too-many-requests")
        assert 1 <= int(refused[0].headers["retry-after"]) <= 3
        assert api.get("/api/v1/me", Role.SENDER).status_code == 200
        tries = [api.client.post("/session", json={"key": "guess"}).status_code for _ in range(10)]
        assert tries[0] == 401
        assert tries[-1] == 429


def test_it_ends_when_it_is_told_to_and_finishes_what_is_under_way(tmp_path):
    with ApiProcess(tmp_path / "home") as api, connect(api) as slow:
        body = b'--b\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\nwhole\r\n--b--\r\n'
        key = api.keys[Role.SENDER].secret.encode()
        slow.sendall(
            b"POST /api/v1/jobs HTTP/1.1\r\nHost: api\r\nConnection: close\r\nIdempotency-Key: last\r\n"
            b"Authorization: Bearer " + key + b"\r\nContent-Type: multipart/form-data; boundary=b\r\n"
            b"Content-Length: " + str(len(body)).encode() + b"\r\n\r\n" + body[:20]
        )
        wait_for(lambda: list((api.storage.root / "incoming").glob("*")), "the upload to begin")
        assert (api.home / "run" / "api.json").exists()
        assert api.process is not None
        api.process.terminate()
        slow.sendall(body[20:])
        head, told = answer_of(slow)
        assert head.startswith("HTTP/1.1 202"), head
        assert told["id"].startswith("job-")
        assert api.process.wait(40) == 0
        assert not (api.home / "run" / "api.json").exists()


def test_who_was_answered_and_sends_its_body_byte_by_byte_is_let_go_of(api):
    with connect(api) as connection:
        connection.sendall(b"POST /api/v1/jobs HTTP/1.1\r\nHost: api\r\nContent-Length: 1000\r\n\r\n")
        answer = connection.recv(65536)
        assert answer.startswith(b"HTTP/1.1 401"), answer
        connection.sendall(b"{")
        while connection.recv(65536):  # until it is closed
            pass


def test_who_sends_the_rest_of_its_body_after_the_answer_may_ask_again(api):
    with connect(api) as connection:
        for _ in range(2):
            connection.sendall(b"POST /api/v1/jobs HTTP/1.1\r\nHost: api\r\nContent-Length: 10\r\n\r\n")
            received = b""
            while b"not-known" not in received:
                piece = connection.recv(65536)
                assert piece, received
                received += piece
            assert received.startswith(b"HTTP/1.1 401"), received
            connection.sendall(b" " * 10)
