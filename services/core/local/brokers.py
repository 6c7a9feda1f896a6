"""The brokers of a fleet on one machine, each with data, ports and a password of its own."""

from __future__ import annotations

from services.core.local.rabbitmq_server import LocalRabbitMQ
from services.core.local.redis_server import LocalRedis

__all__ = ["LocalRabbitMQ", "LocalRedis"]
