"""What the page says of each comparison beside its figures."""

from __future__ import annotations

from typing import NamedTuple


class Part(NamedTuple):
    """A part of the page: one comparison and what it consists of."""

    heading: str
    name: str
    """What ``--only`` takes."""
    about: str
    series: tuple[tuple[str, str], ...]
    """Keys and titles."""


PARTS: tuple[Part, ...] = (
    Part(
        "Draining",
        "drain-redis --only drain-rabbitmq",
        "Two worker processes empty a queue of tasks that do one `INCR` in Redis. The clock starts when all "
        "processes have done a task. Switchyard acknowledges late, with leases and metrics; stock Celery "
        "early, as it does by default. Both hold 64 messages for each process or thread, and have the same "
        "pools: prefork with 2 children, 4 threads, 20 greenlets, solo. Switchyard's urgent queue holds one "
        "message for each thread and takes none ahead.",
        (("drain-redis", "Draining, Redis"), ("drain-rabbitmq", "Draining, RabbitMQ")),
    ),
    Part(
        "Publishing one at a time",
        "publish",
        "One process calls `delay`, `send` or whatever it is called there, again and again, and each call "
        "returns before the next.",
        (("publish-redis", "Publishing, Redis"), ("publish-rabbitmq", "Publishing, RabbitMQ")),
    ),
    Part(
        "Publishing in bulk",
        "bulk",
        "Some hundred messages at a time. The raw clients send text of the same length, encoded beforehand; "
        "RabbitMQ also has to read the headers that a task's message has, which the last line shows.",
        (("bulk-redis", "Publishing in bulk, Redis"), ("bulk-rabbitmq", "Publishing in bulk, RabbitMQ, confirmed")),
    ),
    Part(
        "Groups",
        "group",
        "`group(10,000 signatures).apply_async()`, the signatures made anew. Less is better.",
        (("group-redis", "Group of 10,000, Redis"), ("group-rabbitmq", "Group of 10,000, RabbitMQ")),
    ),
    Part(
        "Chords",
        "chord",
        "A chord of 10,000 members that return a number, on one Redis with its results, two workers, from "
        "`apply_async` until its body has run. Less is better. Where a pool of stock Celery has not ended in "
        "time it is called failed.",
        (("chord", "Chord of 10,000, Redis"), ("chord-memory", "Memory of a worker's parent")),
    ),
    Part(
        "Urgent work under load",
        "urgency",
        "How long a probe waits from publish to start, at the 99th percentile, while both cores work off "
        "100,000 batch tasks and, in Switchyard alone, a campaign is sent by a whole fleet. Stock Celery has all "
        "of it on one Redis: in one queue, or with a queue and a worker of its own for what is urgent. A probe "
        "that has not started after 20 s counts as 20 s. Less is better.",
        (("urgency", "Publish to start, p99"),),
    ),
    Part(
        "Depth",
        "depth",
        "The same worker and the same raw loop, with a million messages waiting and with some thousand.",
        (("depth", "Draining with much and with little waiting, Redis"),),
    ),
    Part(
        "Campaigns",
        "campaign",
        "20,000 recipients of the template `newsletter`, to an SMTP server that takes everything at once. "
        "Switchyard from the list to the last outcome in the ledger: validated, claimed, recorded, each mail "
        "at most once. The script does none of that: Jinja2, `EmailMessage`, `smtplib`, two processes. The "
        "loop sends messages that were rendered beforehand.",
        (("campaign", "Campaign"),),
    ),
    Part(
        "Images",
        "images",
        "2,000 images of mixed sizes and formats through `file.process`, with sniffing, digest, report and a "
        "folder that appears whole, beside the same calls of libvips in `multiprocessing.Pool(2)`, which "
        "keeps no books.",
        (("images", "Images"),),
    ),
    Part(
        "Memory and start",
        "start",
        "A worker with two prefork children that has done a task: the memory of all its processes (PSS), and "
        "the time from its start to its first task. Less is better.",
        (("memory", "Memory of a worker"), ("ready", "Start to first task"), ("help", "Help on the command line")),
    ),
    Part(
        "What else is counted",
        "costs",
        "What a hundred thousand delayed tasks cost the rate of the others, and what metrics cost a task.",
        (("delayed", "Draining with delayed tasks"), ("metrics", "Metrics of one task")),
    ),
)
