"""Publishing in bulk: a broker is asked once for many messages, and all of them are there when the block ends."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from time import monotonic, sleep
from urllib.parse import urlsplit

import pytest
from celery import chord, group
from kombu import Connection
from kombu.exceptions import EncodeError

import shared.bulk
from shared.bulk import bulk, publish_many
from shared.bulk_producers import MOST_MESSAGES
from shared.canvas import map  # noqa: A004
from shared.names import BrokerName
from shared.producers import PublishFailed
from tests.fixtures.brokers import environment
from tests.fixtures.proxy import Proxy
from tests.fleet.app import fleet
from tests.fleet.inspection import messages, wait_for
from tests.fleet.tables import BROKERS, parked

pytestmark = pytest.mark.concept("map, starmap")

KINDS = (BrokerName.CRITICAL, BrokerName.BATCH)
LEAST_BYTES = 200
"""No message of a task is shorter."""
DEADLINE_SECONDS = 10.0


class MutedProxy(Proxy):
    """A proxy that can keep to itself what the server says."""

    def mute(self) -> None:
        with self._lock:
            self._frozen |= {end for end in self._pairs if end.getpeername() == self._server}

    def unmute(self) -> None:
        with self._lock:
            self._frozen.clear()


@pytest.fixture
def app(brokers):
    with fleet() as own:
        for broker in BROKERS:
            publish(own, broker)  # declares its queue
        taken(own)
        yield own
        taken(own)


@pytest.fixture
def unhurried(monkeypatch):
    """A machine that is busy elsewhere for half a second must not split a batch."""
    monkeypatch.setattr(shared.bulk, "LONGEST_WAIT_SECONDS", 60.0)


@pytest.fixture(params=KINDS)
def target(request):
    return request.param


@pytest.fixture
def distant(brokers, target):
    """An app that reaches one broker through a proxy, and is connected; with the proxy."""
    variable = f"YARD_BROKER_{target.upper()}_URL"
    port = urlsplit(brokers[variable]).port
    proxy = MutedProxy(port)
    with environment({variable: brokers[variable].replace(f":{port}", f":{proxy.port}")}), fleet() as own:
        publish(own, target)
        taken(own, target)
        yield own, proxy
        proxy.unmute()
    proxy.end()
    with fleet() as near:
        taken(near, target)


def publish(app, broker, number=1, **options):
    return [app.send_task(f"try.parked_{broker}", (n,), **options).id for n in range(number)]


def taken(app, broker=None):
    """Take what lies in the parked queues, or in one; return the ids."""
    return [
        one["id"] for alias in ([broker] if broker else BROKERS) for one in messages(app.brokers[alias], parked(alias))
    ]


def test_all_is_there_when_the_block_ends(app):
    with bulk():
        ids = {broker: publish(app, broker, MOST_MESSAGES + 10) for broker in BROKERS}
    for broker in BROKERS:
        assert sorted(taken(app, broker)) == sorted(ids[broker])


@contextmanager
def silence(proxy, messages):
    """Let the broker say nothing until so many messages are on their way to it."""
    enough = proxy.passed + messages * LEAST_BYTES
    with ThreadPoolExecutor(1) as watching:
        proxy.mute()
        watched = watching.submit(wait_for, lambda: proxy.passed > enough, f"{messages} messages on their way", 3)
        watched.add_done_callback(lambda _: proxy.unmute())
        yield
        watched.result()


def test_a_broker_answers_once_for_all(distant, target):
    app, proxy = distant
    with silence(proxy, 50), bulk():
        ids = publish(app, target, 50)
    assert sorted(taken(app, target)) == sorted(ids)


def test_one_by_one_it_answers_for_each(distant, target):
    """The test above can fail."""
    app, proxy = distant
    with pytest.raises(AssertionError, match="50 messages on their way"), silence(proxy, 50):
        publish(app, target, 50)


def test_a_block_inside_another_is_part_of_it(app):
    with bulk():
        with bulk():
            publish(app, "batch", 3)
        assert taken(app, "batch") == []
    assert len(taken(app, "batch")) == 3


@pytest.mark.usefixtures("unhurried")
def test_what_is_left_of_a_block_that_fails_is_dropped(app):
    with suppress(LookupError), bulk():
        publish(app, "batch", MOST_MESSAGES + 3)
        raise LookupError
    assert len(taken(app, "batch")) == MOST_MESSAGES


def test_an_argument_that_can_not_be_encoded_is_refused_at_its_line(app):
    with bulk():
        publish(app, "critical", 1)
        with pytest.raises(EncodeError):
            app.send_task("try.parked_critical", (object(),))
    assert len(taken(app, "critical")) == 1


def test_large_messages_go_out_before_there_are_many(app):
    with bulk():
        for _ in range(3):
            app.send_task("try.parked_batch", ("x" * 600_000,))
        assert len(taken(app, "batch")) == 2
    assert len(taken(app, "batch")) == 1


def test_a_slow_generator_keeps_back_nothing_for_long(app):
    """Else the members of a group would begin when the last one has been made."""
    arrived = []

    def members():
        deadline = monotonic() + DEADLINE_SECONDS
        yield app.signature("try.parked_batch", (0,))
        for number in count():
            yield app.signature("try.parked_critical", (number,))
            arrived.extend(taken(app, "batch"))
            if arrived or monotonic() > deadline:
                return
            sleep(0.05)

    sent = group(members()).apply_async()
    assert arrived == [sent[0].id]
    assert sorted([*arrived, *taken(app)]) == sorted(one.id for one in sent)


def test_the_first_of_a_generator_waits_for_no_other(app, target):
    """Celery takes two or three ahead, and a message that waits for the next one waits for all of those."""
    arrived = []

    def members():
        for number in range(4):
            yield app.signature(f"try.parked_{target}", (number,))
            arrived.append(len(taken(app, target)))

    sent = group(members()).apply_async()
    assert sum(arrived) >= 1
    assert sum(arrived) + len(taken(app, target)) == len(sent)


def test_threads_do_not_share_a_block(app):
    with bulk(), ThreadPoolExecutor(1) as thread:
        ids = thread.submit(publish, app, "critical", 2).result()
        assert sorted(taken(app, "critical")) == sorted(ids)


def test_a_broken_connection_costs_nothing(distant, target):
    """It breaks in the middle of a batch, which is sent again: messages may arrive twice, and none is lost."""
    app, proxy = distant
    with bulk():
        ids = publish(app, target, 100)
        proxy.cut_after(20_000)
    arrived = Counter(taken(app, target))
    assert sorted(arrived) == sorted(ids)
    assert max(arrived.values()) <= 2


@pytest.mark.parametrize("batches", [0.5, 1.5, 2.5])
def test_a_connection_that_breaks_between_batches_costs_nothing(distant, target, batches):
    app, proxy = distant
    size = 2 * LEAST_BYTES * MOST_MESSAGES
    with bulk():
        proxy.cut_after(int(batches * size))
        ids = publish(app, target, 3 * MOST_MESSAGES)
    assert set(taken(app, target)) == set(ids)


@pytest.mark.parametrize("batches", [0.5, 1.5, 2.5])
def test_of_each_message_it_is_known_what_became_of_it(distant, target, batches):
    """The broker falls silent in the midst, and stays so for longer than is waited for it."""
    app, proxy = distant
    published = []

    def publish_until_it_is_noticed():
        with bulk():
            for number in range(4 * MOST_MESSAGES):
                if number == batches * MOST_MESSAGES:
                    proxy.mute()
                published.append(f"{batches}-{number}")
                app.send_task(f"try.parked_{target}", (number,), task_id=published[-1])

    with pytest.raises(PublishFailed) as raised:
        publish_until_it_is_noticed()
    failed = raised.value
    proxy.unmute()
    arrived = set(taken(app, target))
    unsent, unknown = set(failed.unsent), set(failed.unknown)
    assert not unsent & unknown
    assert unsent | unknown <= set(published)
    assert arrived.isdisjoint(unsent)
    assert set(published) - unsent - unknown <= arrived
    assert unknown


def test_groups_and_publish_many_go_out_in_bulk(distant, target):
    app, proxy = distant
    task = app.signature(f"try.parked_{target}")
    with silence(proxy, 50):
        sent = group([task.clone((n,)) for n in range(50)]).apply_async()
    assert sorted(taken(app, target)) == sorted(one.id for one in sent)
    with silence(proxy, 50):
        results = publish_many(task.clone((n,)) for n in range(50))
    assert sorted(taken(app, target)) == sorted(one.id for one in results)


def test_more_blocks_at_once_than_there_are_connections(app, target):
    """A block keeps the connection of what it sent last, but only while others do not miss it."""
    app.conf.broker_pool_limit = 2

    def block(_):
        with bulk():
            return publish(app, target, MOST_MESSAGES + 1)

    with ThreadPoolExecutor(4) as threads:
        ids = [task_id for part in threads.map(block, range(4)) for task_id in part]
    assert sorted(taken(app, target)) == sorted(ids)


def test_a_broker_that_is_gone_is_an_error_at_the_end(distant, target):
    app, proxy = distant
    with ExitStack() as block:
        block.enter_context(bulk())
        publish(app, target, 10)
        proxy.refuse()
        with pytest.raises(PublishFailed, match=f"Broker {target}.* did not take") as raised:
            block.close()
    assert raised.value.sent == "no"


def test_a_queue_that_is_gone_is_an_error(app):
    """RabbitMQ alone can tell; what went to other queues is there."""
    publish(app, "batch")
    with Connection(app.brokers["batch"].url.get_secret_value()) as connection:
        connection.default_channel.queue_delete(parked("batch"))
    with pytest.raises(PublishFailed) as raised, bulk():
        publish(app, "batch", 2)
    assert raised.value.sent == "unknown"
    with bulk():
        publish(app, "batch", 2)
    assert len(taken(app, "batch")) == 2


def test_countdowns_priorities_and_stamps_are_kept(app, target):
    with bulk():
        publish(app, target, 1, priority=9)
        publish(app, target, 1, countdown=0.2)
        group([app.signature(f"try.parked_{target}", (1,)).stamp("a", "b")]).apply_async(priority=2)
    first, *others = messages(app.brokers[target], parked(target))
    assert first["priority"] == 9
    assert [one["stamps"] for one in others if one["priority"] == 2] == [{"a": "b"}]


def test_map_goes_out_in_bulk(distant, target):
    app, proxy = distant
    with silence(proxy, 50):
        sent = map(app.signature(f"try.parked_{target}"), range(50)).delay()
    assert sorted(taken(app, target)) == sorted(one.id for one in sent)


def test_the_header_of_a_chord_goes_out_in_bulk(distant, target):
    app, proxy = distant
    task = app.signature(f"try.parked_{target}")
    with silence(proxy, 20):
        sent = chord([task.clone((n,)) for n in range(20)], task).apply_async()
    assert sorted(taken(app, target)) == sorted(one.id for one in sent.parent)
