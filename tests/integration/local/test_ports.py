from __future__ import annotations

import socket
from pathlib import Path

import pytest

from services.core.local.ports import free_ports, listens

RANGE_OF_OUTGOING = Path("/proc/sys/net/ipv4/ip_local_port_range")


def test_no_port_is_given_twice_and_each_can_be_bound():
    ports = [port for _ in range(100) for port in free_ports(20)]
    assert len(set(ports)) == 2000
    for port in ports[:20]:
        with socket.socket() as server:
            server.bind(("127.0.0.1", port))


@pytest.mark.skipif(not RANGE_OF_OUTGOING.exists(), reason="only Linux says which ports it gives to clients")
def test_no_outgoing_connection_can_be_given_one_of_the_ports():
    lowest, highest = map(int, RANGE_OF_OUTGOING.read_text().split())
    assert not [port for port in free_ports(50) if lowest <= port <= highest]


def test_a_port_that_somebody_listens_on_is_told_from_a_free_one():
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        assert listens(taken)
    assert not listens(taken)
