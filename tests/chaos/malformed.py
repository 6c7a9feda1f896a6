"""One malformed message lies before good tasks; a worker that ends is started again, as a supervisor does."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

import redis

from services.core.local.brokers import LocalRedis
from services.core.local.private_files import private_folder
from services.core.local.waiting import wait_until
from tests.chaos.contenders import SWITCHYARD, Contender
from tests.chaos.records import Records
from tests.chaos.report import Outcome, Tell
from tests.chaos.setup import Setup

GOOD = 50
TASK_SECONDS = 0.01
WAIT_SECONDS = 40.0
"""For good tasks that need a second together, and for a worker to start on a busy machine."""

Message = dict[str, Any]


def _without_id(message: Message) -> None:
    del message["headers"]["id"]


def _without_embed(message: Message) -> None:
    args, kwargs, _ = json.loads(base64.b64decode(message["body"]))
    message["body"] = base64.b64encode(json.dumps([args, kwargs]).encode()).decode()


def _with_time_limit(message: Message) -> None:
    message["headers"]["timelimit"] = "soon"


MALFORMED: dict[str, Callable[[Message], None]] = {
    "no id": _without_id,
    "a body of two": _without_embed,
    "a time limit that is a text": _with_time_limit,
}


def behind_malformed(home: Path, *, contender: Contender = SWITCHYARD, tell: Tell = lambda _: None) -> Outcome:
    """Put each malformed message before good tasks of a Redis of its own, and count those that are done."""
    outcome = Outcome(f"malformed message, {contender.name}", promised=contender.is_ours)
    for kind, spoil in MALFORMED.items():
        tell(f"{outcome.name}: {kind}")
        folder = private_folder(home / kind.replace(" ", "-"))
        done, deaths = _done_behind(folder, contender, spoil)
        outcome.more[f"good tasks done behind {kind}"] = f"{done} of {GOOD}, the worker ended {deaths} times"
        if contender.is_ours and (done < GOOD or deaths):
            outcome.broken.append(f"{kind} stopped a worker")
    return outcome


def _done_behind(home: Path, contender: Contender, spoil: Callable[[Message], None]) -> tuple[int, int]:
    with ExitStack() as stack:
        server = stack.enter_context(LocalRedis(home / "redis"))
        setup = Setup(broker=server.url(), records=private_folder(home / "records"))
        publisher = contender.publisher(setup)
        stack.callback(publisher.close)
        published = publisher.publish(GOOD, TASK_SECONDS)
        _put_first(server.url(), spoil)
        stack.enter_context(contender.beside(setup, home))
        crew = stack.enter_context(contender.crew(setup, home))
        crew.add()
        records = Records(setup.records)

        def all_ended() -> bool:
            records.read()
            crew.replace_dead()
            return records.ended.issuperset(published)

        wait_until(all_ended, WAIT_SECONDS, every=0.1)
        return len(records.ended & set(published)), len(crew.deaths)


def _put_first(url: str, spoil: Callable[[Message], None]) -> None:
    """Spoil a copy of a good message, and put it where the next one is taken."""
    with redis.Redis.from_url(url) as client:
        (queue,) = [key for key in client.scan_iter(_type="list") if client.llen(key) == GOOD]
        message = json.loads(client.lindex(queue, -1) or b"")
        message["headers"]["id"] = message["properties"]["correlation_id"] = str(uuid4())
        message["properties"]["delivery_tag"] = str(uuid4())
        spoil(message)
        client.rpush(queue, json.dumps(message))
