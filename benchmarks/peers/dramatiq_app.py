"""Dramatiq on Redis or RabbitMQ, made when it is imported, as its documentation has it.

On RabbitMQ messages are confirmed, as the fleet's are: ``confirm_delivery``, which is recommended there.
https://dramatiq.io/reference.html#dramatiq.brokers.rabbitmq.RabbitmqBroker
Two processes with 8 threads each are the command line's defaults: https://dramatiq.io/guide.html#workers
"""

from __future__ import annotations

import dramatiq

from benchmarks.peers.counting import broker_url, count


def make_broker(url: str) -> dramatiq.Broker:
    """Return the broker of a URL."""
    if url.startswith("redis"):
        from dramatiq.brokers.redis import RedisBroker  # noqa: PLC0415 - each has a client of its own

        return RedisBroker(url=url)
    from dramatiq.brokers.rabbitmq import RabbitmqBroker  # noqa: PLC0415 - as above

    # pika takes the virtual host "/" in its encoded form alone.
    return RabbitmqBroker(url=f"{url.removesuffix('//')}/%2F", confirm_delivery=True)


broker = make_broker(broker_url())
dramatiq.set_broker(broker)


@dramatiq.actor
def nothing() -> None:
    """Count."""
    count()


def publish(number: int) -> None:
    """Publish so many tasks, one at a time."""
    for _ in range(number):
        nothing.send()
