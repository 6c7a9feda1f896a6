"""The queues, the brokers that own them, and where each task goes."""

from __future__ import annotations

from shared.priorities import Priority
from shared.queues import Pool, QueueSpec, rabbitmq_queue, redis_queue
from shared.routing import TaskSpec

QUEUES = (
    QueueSpec(queue=redis_queue("general", "guide"), broker="default", service="guide"),
    QueueSpec(queue=redis_queue("mail", "guide"), broker="critical", service="guide", pool=Pool.THREADS, concurrency=4),
    QueueSpec(queue=rabbitmq_queue("files", "guide"), broker="batch", service="guide"),
    # Nobody serves these until a page starts a worker of its own.
    QueueSpec(queue=redis_queue("desk", "guide"), broker="default", service="guide", concurrency=1),
    QueueSpec(queue=redis_queue("letters", "guide"), broker="critical", service="guide", concurrency=1),
    QueueSpec(queue=rabbitmq_queue("reports", "guide"), broker="batch", service="guide", concurrency=1),
)

TASKS = (
    TaskSpec("guide.validate_email", "mail", Priority.HIGH),
    TaskSpec("guide.send_email", "mail", Priority.HIGH),
    TaskSpec("guide.resize_image", "files"),
    TaskSpec("guide.extract_text", "files"),
    TaskSpec("guide.picture", "files"),
    TaskSpec("guide.convert", "files"),
)
"""Every other task goes to the first queue, ``general``."""

STATE_DATABASE = 8
"""The number of the Redis database for shared state; Switchyard's own fleet has another."""
