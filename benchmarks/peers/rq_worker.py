"""RQ's fastest worker: ``rq worker --worker-class rq.worker.SimpleWorker``, with a URL that is in no command line."""

from __future__ import annotations

import redis
from rq import SimpleWorker
from rq.serializers import JSONSerializer

from benchmarks.peers.counting import broker_url
from benchmarks.peers.rq_app import QUEUE


def main() -> None:
    """Work for good."""
    worker = SimpleWorker([QUEUE], connection=redis.Redis.from_url(broker_url()), serializer=JSONSerializer)
    worker.work(logging_level="WARNING")


if __name__ == "__main__":
    main()
