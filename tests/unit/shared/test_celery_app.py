"""What a ``FleetCelery`` decides before any broker is asked."""

from __future__ import annotations

import os
import pickle
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Thread
from types import ModuleType

import pytest
from kombu import Exchange, Queue
from kombu.exceptions import OperationalError

from shared.brokers import Broker, Brokers
from shared.celery_app import FleetCelery
from shared.errors import ConfigurationError, InvalidTable, UnknownQueue, UnknownSetting
from shared.publishing import place_of, publication
from shared.queues import QueueSpec
from shared.routing import TaskSpec
from shared.secret import SecretStr

BROKERS = Brokers(
    [Broker("here", SecretStr("redis://127.0.0.1/0")), Broker("there", SecretStr("amqp://guest:guest@127.0.0.1"))]
)


def queue(name: str, broker: str, exchange: str = "mail", kind: str = "direct") -> QueueSpec:
    return QueueSpec(queue=Queue(name, Exchange(exchange, type=kind), name), broker=broker, service="s")


QUEUES = [
    queue("urgent", "here"),
    queue("bulk", "there"),
    queue("news.eu", "there", "news", "topic"),
    queue("news.us", "there", "news", "topic"),
]


@pytest.fixture
def app():
    with FleetCelery("unit", brokers=BROKERS, queues=QUEUES, tasks=[TaskSpec("mail", "bulk", 2)]) as app:
        yield app


def routed(app: FleetCelery, **options) -> tuple[str, dict]:
    with publication() as cell:
        options = app.amqp.router.route(options, "mail")
    assert cell.broker
    return cell.broker.alias, options


def test_an_exchange_that_two_brokers_have_leads_to_the_queue_of_its_routing_key(app):
    assert routed(app, exchange="mail", routing_key="urgent")[0] == "here"
    alias, options = routed(app, exchange="mail", routing_key="bulk")
    assert (alias, options["queue"].name) == ("there", "bulk")
    assert "exchange" not in options


def test_an_exchange_beside_a_queue_leaves_the_queue_its_owner(app):
    alias, options = routed(app, queue="bulk", exchange="mail")
    assert (alias, options["queue"].name) == ("there", "bulk")


@pytest.mark.parametrize("routing_key", ["urgnet", None])
def test_a_routing_key_that_leads_nowhere_is_refused(app, routing_key):
    with pytest.raises(UnknownQueue):
        routed(app, exchange="mail", routing_key=routing_key)


def test_a_topic_exchange_takes_any_routing_key_to_its_one_broker(app):
    alias, options = routed(app, exchange="news", routing_key="news.#")
    assert alias == "there"
    assert options["routing_key"] == "news.#"


def test_a_url_without_a_port_leads_to_the_same_place(app):
    for alias, broker in BROKERS.items():
        assert place_of(app.connection_for_write(alias)) == broker.place


@pytest.mark.parametrize("option", ["priority_steps", "sep", "global_keyprefix"])
def test_transport_options_that_all_must_share_are_refused(app, option):
    app.conf.broker_transport_options = {option: "x"}
    with pytest.raises(ConfigurationError, match=option):
        app.connection_for_write("here")


@pytest.mark.parametrize("scheme", ["rediss", "amqps"])
def test_a_url_for_tls_speaks_tls(scheme):
    """The first byte of a TLS connection is 22; a password in plain text would follow anything else."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        fleet = Brokers([Broker("safe", SecretStr(f"{scheme}://user:secret@127.0.0.1:{port}/1"))])
        received: list[bytes] = []
        listener = Thread(target=receive_one, args=(server, received))
        listener.start()
        with FleetCelery("tls", brokers=fleet, queues=[queue("q", "safe")]) as app:
            connection = app.connection_for_write("safe", connect_timeout=2)
            with pytest.raises((OperationalError, OSError)):
                connection.default_channel  # noqa: B018
            connection.release()
        listener.join(10)
    assert received[0][0] == 22


def receive_one(server: socket.socket, received: list[bytes]) -> None:
    peer, _ = server.accept()
    with peer:
        received.append(peer.recv(64))


@pytest.mark.parametrize("url", ["redis://:pa/ss@host/0", "redis://:a#b@host/0", "redis://:a@host:port/0"])
def test_a_url_that_cannot_be_read_is_refused_without_being_shown(url):
    with pytest.raises(InvalidTable) as caught:
        Broker("odd", SecretStr(url))
    assert "host" not in str(caught.value)


def test_an_app_is_equal_after_the_way_to_a_spawned_child(app):
    app.message_version = 7
    again = pickle.loads(pickle.dumps(app))
    assert again.routing.owners == app.routing.owners
    assert again.home == app.home
    assert again.message_version == 7


def test_a_thread_that_reads_settings_while_another_loads_them_sees_those_of_the_fleet(app):
    seen = []

    def look(**_):
        reader = Thread(target=lambda: seen.append(app.conf.broker_url))
        reader.start()
        reader.join(10)

    app.on_after_configure.connect(look, weak=False)
    with ThreadPoolExecutor(8) as pool:
        seen += pool.map(lambda _: app.conf.broker_url, range(8))
    assert set(seen) == {BROKERS["here"].url.get_secret_value()}
    assert len(seen) == 9


def test_closing_in_a_forked_child_leaves_the_pools_of_the_parent(app):
    pool = app.amqp.pools[BROKERS["here"]]
    pid = os.fork()
    if pid == 0:
        app.close()
        os._exit(len(app.amqp.pools._of_parents) - 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert app.amqp.pools[BROKERS["here"]] is pool


def module_with(**names) -> ModuleType:
    module = ModuleType("settings_of_a_test")
    vars(module).update(names)
    sys.modules[module.__name__] = module
    return module


def test_a_configuration_module_may_hold_imports_and_helpers(app):
    from logging import getLogger  # noqa: PLC0415
    from typing import Optional  # noqa: PLC0415

    module = module_with(task_acks_late=False, Optional=Optional, logger=getLogger(), environ={}, helper=print)
    app.config_from_object(module)
    assert app.conf.task_acks_late is False
    assert app.conf.worker_prefetch_multiplier == 1


def test_a_refused_setting_is_refused_again_and_nothing_is_half_configured(app):
    app.config_from_object(module_with(task_acks_latte=True))
    for _ in range(2):
        with pytest.raises(UnknownSetting, match="task_acks_late"):
            app.conf.task_acks_late  # noqa: B018


def test_a_namespace_does_not_let_misspelt_settings_pass(app):
    app.config_from_object(module_with(CELERY_TASK_ACKS_LATE=False, DEBUG=True), namespace="CELERY")
    assert app.conf.task_acks_late is False
    with pytest.raises(UnknownSetting):
        app.conf.task_acks_lat = True


def test_a_password_in_a_route_is_not_shown(app):
    app.conf.task_routes = {"mail": {"queue": "bulk", "broker": "amqp://guest:secret@127.0.0.1"}}
    assert routed(app)[0] == "there"
    assert "secret" not in str(app.conf.table())
