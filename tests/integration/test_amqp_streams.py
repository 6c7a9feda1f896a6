"""A frame that comes in pieces is read when all of it is there, and holds up no loop before."""

from __future__ import annotations

import socket
from contextlib import closing
from struct import pack
from threading import Event, Thread

import pytest

from shared.transports.streams import BoundedTCPStream

METHOD, CHANNEL, PAYLOAD = 1, 7, b"x" * 1000
FRAME = pack(">BHI", METHOD, CHANNEL, len(PAYLOAD)) + PAYLOAD + b"\xce"


@pytest.fixture
def ends():
    """Our stream, and what the server writes to."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        stream = BoundedTCPStream(f"127.0.0.1:{listening.getsockname()[1]}", connect_timeout=5)
        stream.connect()
        server, _ = listening.accept()
        with closing(server), closing(stream):
            yield stream, server


def read(stream):
    with stream.having_timeout(0):
        return stream.read_frame()


@pytest.mark.parametrize("cut", [3, 7, 8, 500, len(FRAME) - 1])
def test_a_part_of_a_frame_is_no_frame_yet_and_is_kept(ends, cut):
    stream, server = ends
    server.sendall(FRAME[:cut])
    tried, told = Event(), []

    def try_to_read() -> None:
        try:
            told.append(read(stream))
        except TimeoutError:
            tried.set()

    reader = Thread(target=try_to_read, daemon=True)
    reader.start()
    assert tried.wait(10), "the loop hangs in the midst of a frame"
    server.sendall(FRAME[cut:])
    stream.sock.settimeout(10)
    assert stream.read_frame() == (METHOD, CHANNEL, PAYLOAD)
    assert told == []
