"""A frame that comes in pieces is read when all of it is there, and holds up no loop before."""

from __future__ import annotations

import socket
from contextlib import closing
from struct import pack
from threading import Event, Thread
from time import monotonic
from typing import Any
from uuid import uuid4

import pytest
from amqp.exceptions import UnexpectedFrame
from kombu import Queue
from kombu.asynchronous import Hub

from shared.transports.streams import BoundedTCPStream
from tests.fleet.app import app

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


def test_frames_that_come_together_are_at_hand_one_after_the_other(ends):
    stream, server = ends
    server.sendall(FRAME * 2 + FRAME[:500])
    stream.sock.settimeout(10)
    assert stream.frame_at_hand() is None, "nothing was read yet"
    assert stream.read_frame() == (METHOD, CHANNEL, PAYLOAD)
    assert stream.frame_at_hand() == (METHOD, CHANNEL, PAYLOAD)
    assert stream.frame_at_hand() is None, "of the third there is only a part"
    server.sendall(FRAME[500:])
    assert stream.read_frame() == (METHOD, CHANNEL, PAYLOAD)


def test_a_frame_with_a_wrong_end_is_refused(ends):
    stream, server = ends
    server.sendall(FRAME + FRAME[:-1] + b"x")
    stream.sock.settimeout(10)
    stream.read_frame()
    assert stream.frame_at_hand() is None
    with pytest.raises(UnexpectedFrame):
        stream.read_frame()


def test_a_loop_delivers_what_was_read_ahead_while_it_waited_for_an_answer(brokers):
    """The socket does not say that there is something: all of it was read, together with the answer."""
    with app.connection_for_read("batch") as connection, app.connection_for_write("batch") as publishing:
        channel, hub = connection.default_channel, Hub()
        taken: list[Any] = []
        queue = Queue(uuid4().hex, channel=channel, auto_delete=True)
        queue.declare()
        connection.transport.register_with_event_loop(connection.connection, hub)
        with connection.Consumer(queue, channel=channel, on_message=taken.append, no_ack=True):
            with publishing.Producer() as producer:
                for number in range(3):
                    producer.publish({"number": number}, routing_key=queue.name)
            while not connection.connection.transport.has_frame_at_hand and len(taken) < 3:
                channel.basic_qos(0, 10, False)  # an answer is awaited
            loop = hub.create_loop()
            turns = 0
            while len(taken) < 3 and turns < 3:
                started = monotonic()
                next(loop)
                turns += 1
                assert monotonic() - started < 0.9, "the loop slept while messages lay there"
        hub.close()
    assert [message.payload["number"] for message in taken] == [0, 1, 2]
