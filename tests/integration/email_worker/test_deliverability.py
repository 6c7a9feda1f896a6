"""Deliverability against a real DNS server on the loopback."""

from __future__ import annotations

import socketserver
import threading

import dns.message
import dns.rcode
import dns.rrset
import pytest
from dns.resolver import Resolver

from services.email_worker import validation
from services.email_worker.errors import InvalidAddress
from services.email_worker.validation import normalise

ZONE = {"shop.example.org.": "10 mail.example.org.", "silent-shop.example.org.": "0 ."}
DEAD = "dead.example.org."


class Answer(socketserver.BaseRequestHandler):
    """Answers questions for MX records from the zone, and says nothing about the dead domain."""

    def handle(self) -> None:
        data, socket = self.request
        query = dns.message.from_wire(data)
        name = query.question[0].name.to_text()
        if name == DEAD:
            return
        response = dns.message.make_response(query)
        if name in ZONE:
            response.answer.append(dns.rrset.from_text(name, 60, "IN", "MX", ZONE[name]))
        else:
            response.set_rcode(dns.rcode.NXDOMAIN)
        socket.sendto(response.to_wire(), self.client_address)


@pytest.fixture(autouse=True)
def dns_server(monkeypatch):
    with socketserver.UDPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        resolver = Resolver(configure=False)
        resolver.nameservers, resolver.port, resolver.lifetime = ["127.0.0.1"], server.server_address[1], 0.5
        monkeypatch.setattr(validation, "_resolver", lambda: resolver)
        yield
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("domain", ["shop.example.org", "dead.example.org"])
def test_a_domain_that_takes_mail_or_whose_dns_is_silent_passes(domain):
    assert normalise(f"ada@{domain}", check_deliverability=True) == f"ada@{domain}"


@pytest.mark.parametrize(
    ("domain", "reason"),
    [("silent-shop.example.org", "does not accept email"), ("nowhere.example.org", "does not exist")],
)
def test_a_domain_that_takes_no_mail_is_refused_only_when_dns_is_asked(domain, reason):
    with pytest.raises(InvalidAddress, match=reason):
        normalise(f"ada@{domain}", check_deliverability=True)
    assert normalise(f"ada@{domain}") == f"ada@{domain}"
