"""A broker of the fleet: its alias, its URL (shown masked), and what kind it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple
from urllib.parse import unquote, urlsplit, urlunsplit

from shared.errors import InvalidTable, UnknownBroker
from shared.names import BrokerName
from shared.secret import SecretStr
from shared.settings import FleetSettings, load_settings


class BrokerKind(StrEnum):
    """The brokers that a fleet can stand on."""

    REDIS = "redis"
    RABBITMQ = "amqp"


KIND_BY_SCHEME = {
    "redis": BrokerKind.REDIS,
    "rediss": BrokerKind.REDIS,
    "amqp": BrokerKind.RABBITMQ,
    "amqps": BrokerKind.RABBITMQ,
    "pyamqp": BrokerKind.RABBITMQ,
}
DEFAULT_PORT = {"redis": 6379, "rediss": 6379, "amqp": 5672, "amqps": 5671, "pyamqp": 5672}
DEFAULT_VHOST = {BrokerKind.REDIS: "0", BrokerKind.RABBITMQ: "/"}


class Place(NamedTuple):
    """Where a broker is: what two URLs must have in common to mean the same broker."""

    kind: BrokerKind
    host: str
    port: int
    vhost: str


@dataclass(frozen=True, slots=True)
class Broker:
    """One broker.  Its URL, which may hold a password, never shows in ``repr``, errors or logs."""

    alias: str
    url: SecretStr
    management_url: SecretStr | None = None
    """RabbitMQ's management API; without it unacknowledged messages can't be counted."""

    def __post_init__(self) -> None:
        url = self.url.get_secret_value()
        try:
            parts = urlsplit(url)
            _ = parts.port
        except ValueError:
            raise self._unreadable() from None
        if "@" in f"{parts.path}{parts.query}{parts.fragment}":
            raise self._unreadable()

    def _unreadable(self) -> InvalidTable:
        return InvalidTable(
            f"The URL of broker '{self.alias}' can't be read; "
            "in a user or password write / ? # @ : as %2F %3F %23 %40 %3A."
        )

    @property
    def kind(self) -> BrokerKind:
        """Redis or RabbitMQ, by the scheme of the URL.

        Raises:
            InvalidTable: The scheme is of another kind of broker.
        """
        kind = kind_of(self.url.get_secret_value())
        if kind is None:
            raise InvalidTable(
                f"Broker '{self.alias}' has a URL of an unknown kind, {self.masked_url}; "
                f"known are {', '.join(f'{scheme}://' for scheme in KIND_BY_SCHEME)}."
            )
        return kind

    @property
    def place(self) -> Place:
        """Host, port and vhost or database number, without user and password."""
        parts = urlsplit(self.url.get_secret_value())
        vhost = unquote(parts.path.removeprefix("/"))
        return Place(
            self.kind,
            parts.hostname or "localhost",
            parts.port or DEFAULT_PORT[parts.scheme],
            vhost or DEFAULT_VHOST[self.kind],
        )

    @property
    def masked_url(self) -> str:
        """The URL as it may be shown to anyone."""
        return masked(self.url)

    def __str__(self) -> str:
        return f"{self.alias} ({self.masked_url})"


def kind_of(url: str) -> BrokerKind | None:
    """Return the kind of broker that a URL leads to, ``None`` for one that a fleet can't stand on."""
    return KIND_BY_SCHEME.get(urlsplit(url).scheme)


def masked(url: SecretStr) -> str:
    """Return a URL with stars for its password and without its query, which may hold secrets too."""
    parts = urlsplit(url.get_secret_value())
    host = parts.netloc.rpartition("@")[2]
    user = f"{parts.username or ''}:**@" if parts.password else f"{parts.username}@" if parts.username else ""
    return urlunsplit(parts._replace(netloc=f"{user}{host}", query="", fragment=""))


class Brokers(Mapping[str, Broker]):
    """The brokers of a fleet by alias, in the order in which they were given."""

    def __init__(self, brokers: Sequence[Broker]) -> None:
        self._by_alias = {broker.alias: broker for broker in brokers}
        self._by_place = {broker.place: broker for broker in brokers}
        if len(self._by_alias) < len(brokers):
            raise InvalidTable("Two brokers have the same alias.")
        if len(self._by_place) < len(brokers):
            raise InvalidTable(
                "Two brokers have the same address: " + ", ".join(str(broker) for broker in brokers) + "."
            )

    def __getitem__(self, alias: str) -> Broker:
        return self._by_alias[alias]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_alias)

    def __len__(self) -> int:
        return len(self._by_alias)

    def at(self, place: Place) -> Broker | None:
        """Return the broker at a place, if it is one of the fleet's."""
        return self._by_place.get(place)

    def find(self, alias_or_url: str) -> Broker:
        """Return the broker that an alias or a URL means; user and password of the URL do not matter.

        Raises:
            UnknownBroker: The fleet has no such broker.  Nothing was sent.
        """
        if alias_or_url in self._by_alias:
            return self._by_alias[alias_or_url]
        if "://" not in alias_or_url:
            raise UnknownBroker.named(alias_or_url, self)
        stranger = Broker("", SecretStr(alias_or_url))
        broker = self.at(stranger.place)
        if broker is None:
            raise UnknownBroker.named(stranger.masked_url, self)
        return broker


def switchyard_brokers(settings: FleetSettings | None = None) -> Brokers:
    """Return Switchyard's three brokers, at the URLs that the settings give."""
    settings = settings or load_settings()
    return Brokers(
        (
            Broker(BrokerName.DEFAULT, settings.broker_default_url),
            Broker(BrokerName.CRITICAL, settings.broker_critical_url),
            Broker(BrokerName.BATCH, settings.broker_batch_url, settings.broker_batch_management_url),
        )
    )
