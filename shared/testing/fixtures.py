"""Containers as pytest fixtures: ``pytest_plugins = ["shared.testing.fixtures"]`` in ``conftest.py``.

A container starts when the first test asks for it, and serves the whole run.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from shared.testing.containers import PostgresServer, RabbitMQServer, RedisServer


@pytest.fixture(scope="session")
def redis_container() -> Iterator[RedisServer]:
    """Redis: ``redis_container.url(0)`` is the URL of its first database."""
    from shared.testing import containers  # noqa: PLC0415 - only who asks for a container needs Testcontainers

    with containers.redis_container() as server:
        yield server


@pytest.fixture(scope="session")
def rabbitmq_container() -> Iterator[RabbitMQServer]:
    """RabbitMQ: ``rabbitmq_container.url`` and ``.management_url``."""
    from shared.testing import containers  # noqa: PLC0415

    with containers.rabbitmq_container() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_container() -> Iterator[PostgresServer]:
    """PostgreSQL: ``postgres_container.new_database()`` makes an empty database and returns its URL."""
    from shared.testing import containers  # noqa: PLC0415

    with containers.postgres_container() as server:
        yield server


@pytest.fixture
def postgres_database(postgres_container: PostgresServer) -> str:
    """Make an empty database for one test; its URL."""
    return postgres_container.new_database()
