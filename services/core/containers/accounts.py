"""Who logs in at Redis and RabbitMQ in containers, and what each may do there.

Every service has an account of its own.  Each may publish to every queue, for the next step of a workflow may be
anybody's.  On Redis each may take from its own queues only.  RabbitMQ lets nobody declare a queue with a dead-letter
exchange who may not read that queue, and whoever publishes declares: there each may read every queue of the table.
What follows from the queue table is read from it.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any

from shared.delays.scripts import ENTRIES as DELAYED
from shared.names import ServiceName
from shared.queues import QUEUES
from shared.transports.claims import DEAD, HELD
from shared.transports.once import MARKER

OBSERVER = "observer"
"""Measures queues, and changes nothing."""
YARD = "yard"
"""The command line and the API: give work to every queue, peek and purge there, ask workers, take no work."""
OPERATOR = "operator"
"""A person who looks after a server: may do everything there."""

ACCOUNTS = (*(service.value for service in ServiceName), OBSERVER, YARD, OPERATOR)

EVERY_COMMAND = "+@all -@admin -@dangerous"
OF_EVERY_PARTICIPANT = (
    "~_kombu.*",
    "~fleet.*",
    "~*.reply.celery.pidbox*",
    "~celeryev*",
    "~celery-task-meta-*",
    "~celery-taskset-meta-*",
    "~chord-unlock-*",
    "&*",
)
"""Keys of kombu, of claims and shared state, of Celery's result store; and every channel, for Redis compares patterns
that one subscribes to literally."""
CLAIMS = "~claim:*"
"""Which mails went out: ``services/email_worker/claims.py``."""
PUTTING = "+lpush +rpush +llen +eval +hexists +hset +expire"
"""What it takes to publish into a list, to put back what a dead process took from it, and to publish what was delayed:
a script that writes a marker beside the message needs one rule for both keys (``shared/transports/once.py``)."""
TENDING = "+lrange +del +lindex +eval_ro"
"""What it takes to peek into a list, to tell how old its next message is, and to purge it."""
REPLAYING = "user default off resetpass ~* &* +@all"
"""Nobody can be the user ``default``, and it may do everything: Redis replays its append-only file as that user, and
leaves out each script and transaction that it may not run; https://github.com/redis/redis/issues/14541."""
PING = "health"
"""May do nothing but PING, and needs no password for that."""

REMOTE_CONTROL = (r".*\.celery\.pidbox", r"celery\.pidbox", r"reply\.celery\.pidbox", r"celeryev.*")
"""Queues and exchanges of Celery's remote control and of its events."""


def redis_users(passwords: Mapping[str, str]) -> str:
    """Write the ACL file of Redis, which holds hashes and no password.

    Args:
        passwords: By account.
    """
    users = [
        f"user {account} on #{sha256(passwords[account].encode()).hexdigest()} {' '.join(_redis_rules(account))}"
        for account in ACCOUNTS
    ]
    return "\n".join([REPLAYING, f"user {PING} on nopass -@all +ping", *users, ""])


def rabbitmq_definitions(passwords: Mapping[str, str]) -> dict[str, Any]:
    """Describe the virtual host of RabbitMQ, its users with hashes of their passwords, and what each may do.

    Args:
        passwords: By account.
    """
    return {
        "vhosts": [{"name": "/"}],
        "users": [
            {
                "name": account,
                "password_hash": _rabbitmq_hash(passwords[account]),
                "hashing_algorithm": "rabbit_password_hashing_sha256",
                "tags": {OPERATOR: ["administrator"], OBSERVER: ["monitoring"]}.get(account, []),
            }
            for account in ACCOUNTS
        ],
        "permissions": [{"user": account, "vhost": "/", **_rabbitmq_permissions(account)} for account in ACCOUNTS],
    }


def _redis_rules(account: str) -> list[str]:
    if account == OPERATOR:
        return ["~*", "&*", "+@all"]
    own = _queues_of(account)
    others = [spec.name for spec in QUEUES if spec.name not in own]
    if account == OBSERVER:
        keys = [*_keys("%R~", others), f"%R~{HELD}", f"%R~{DEAD}", f"%R~{DELAYED}*"]
        return [*keys, "-@all +@connection +llen +lindex +eval_ro +hscan +hgetall"]
    rules = [*_keys("~", own), *OF_EVERY_PARTICIPANT, EVERY_COMMAND]
    if account == ServiceName.EMAIL_WORKER:
        rules.append(CLAIMS)
    if account == YARD:
        rules.append("+info")
    acts = f"{PUTTING} {TENDING}" if account == YARD else PUTTING
    return [*rules, f"({' '.join(_keys('~', others))} ~{MARKER}* {acts})"]


def _rabbitmq_permissions(account: str) -> dict[str, str]:
    if account == OPERATOR:
        return dict.fromkeys(("configure", "write", "read"), ".*")
    if account == OBSERVER:
        return dict.fromkeys(("configure", "write", "read"), "^$")
    exchanges = {re.escape(spec.queue.exchange.name) for spec in QUEUES}
    queues = [re.escape(spec.name) for spec in QUEUES]
    # Whoever publishes declares the queue and binds it, which takes reading the exchange; see above for the queue.
    readable = [*queues, *sorted(exchanges), re.escape(DEAD), *REMOTE_CONTROL]
    return {"configure": ".*", "write": ".*", "read": f"^({'|'.join(readable)})$"}


def _queues_of(account: str) -> list[str]:
    return [spec.name for spec in QUEUES if spec.service == account]


def _keys(permission: str, queues: Iterable[str]) -> list[str]:
    """Name the lists of a queue: one for each priority, all of which begin with the name of the queue."""
    return [f"{permission}{queue}*" for queue in queues]


def _rabbitmq_hash(password: str) -> str:
    # As random as the password, and the same each time, so that nothing changes that need not.
    salt = sha256(f"salt {password}".encode()).digest()[:4]
    return b64encode(salt + sha256(salt + password.encode()).digest()).decode()
