"""Scripts that are run over connections of their own, and by the client where one of those is of no use."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from threading import Barrier

import pytest
import redis

from shared import redis_scripts
from shared.redis_scripts import ScriptRunner

ECHO = "return {KEYS[1], ARGV[1]}"
COUNT = "return redis.call('INCR', KEYS[1])"
THREADS = 8


@pytest.fixture
def runner(redis_client):
    with closing(ScriptRunner(redis_client)) as made:
        yield made


def connections(client):
    """The ids of all connections but the client's own."""
    return {each["id"] for each in client.client_list()} - {str(client.client_id())}


def test_keys_and_arguments_arrive_as_they_are(runner, redis_client):
    echo = redis_client.register_script(ECHO)
    for key, argument in [("a key", "text"), ("", b"\x00\xff\r\n"), ("\N{SNOWMAN}", 12)]:
        written = argument if isinstance(argument, bytes) else str(argument).encode()
        assert runner.run(echo, [key], [argument]) == [key.encode(), written]


def test_one_connection_serves_one_after_the_other(runner, redis_client):
    count = redis_client.register_script(COUNT)
    redis_client.ping()
    runner.run(count, ["n"], [])
    before = connections(redis_client)
    assert [runner.run(count, ["n"], []) for _ in range(10)] == list(range(2, 12))
    assert connections(redis_client) == before


def test_what_redis_has_forgotten_is_told_again(runner, redis_client):
    count = redis_client.register_script(COUNT)
    runner.run(count, ["n"], [])
    redis_client.script_flush()
    assert [runner.run(count, ["n"], []) for _ in range(2)] == [2, 3]


def test_a_connection_that_broke_while_it_lay_idle_is_replaced(runner, redis_client):
    count = redis_client.register_script(COUNT)
    runner.run(count, ["n"], [])
    redis_client.client_kill_filter(_type="normal", skipme=True)
    assert [runner.run(count, ["n"], []) for _ in range(2)] == [2, 3]


def test_a_script_that_fails_says_so_and_harms_no_other(runner, redis_client):
    count = redis_client.register_script(COUNT)
    redis_client.set("text", "no number")
    for _ in range(2):
        with pytest.raises(redis.ResponseError, match="not an integer"):
            runner.run(count, ["text"], [])
    assert runner.run(count, ["n"], []) == 1


def test_who_is_cut_short_leaves_no_answer_to_the_next(runner, redis_client, monkeypatch):
    """A time limit may strike between a command and its answer."""
    echo = redis_client.register_script(ECHO)
    runner.run(echo, ["k"], ["first"])
    [connection] = runner._idle

    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr(connection, "read_response", interrupted)
    with pytest.raises(KeyboardInterrupt):
        runner.run(echo, ["k"], ["second"])
    assert runner.run(echo, ["k"], ["third"]) == [b"k", b"third"]


def test_many_at_once_have_no_more_connections_than_it_may_make(runner, redis_client, monkeypatch):
    monkeypatch.setattr(redis_scripts, "MOST_CONNECTIONS", 2)
    count, together = redis_client.register_script(COUNT), Barrier(THREADS)

    def run(_number):
        together.wait()
        return [runner.run(count, ["n"], []) for _ in range(50)]

    with ThreadPoolExecutor(THREADS) as pool:
        told = [number for numbers in pool.map(run, range(THREADS)) for number in numbers]
    assert sorted(told) == list(range(1, THREADS * 50 + 1))
    assert len(runner._idle) <= 2


def test_a_child_process_has_connections_of_its_own(runner, redis_client):
    count = redis_client.register_script(COUNT)
    runner.run(count, ["n"], [])
    child = os.fork()
    if not child:
        os._exit(runner.run(count, ["n"], []) != 2)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert runner.run(count, ["n"], []) == 3
    assert runner._idle
