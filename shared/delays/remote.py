"""Remote control of what waits in the table of delayed messages: a node beside the workers, which anybody can be."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

import redis
from celery.app.task import Context
from celery.utils.functional import maybe_list
from kombu import Connection
from kombu.compression import decompress
from kombu.exceptions import OperationalError
from kombu.serialization import loads

from shared.delays.entry import Entry
from shared.publishing import broker_of_publication, place_of

if TYPE_CHECKING:
    from shared.celery_app import FleetCelery

logger = logging.getLogger(__name__)

NODE = "delayed@fleet"
"""Under this name what waits is listed by ``inspect scheduled``, beside the workers."""
MOST_LISTED = 1000
TRIES, WAIT_SECONDS = 20, 0.1
REVOKE = ("revoke", "terminate")
LIST = ("scheduled", "dump_schedule")


class Answer(NamedTuple):
    """What came of a command."""

    replies: list[dict[str, Any]]
    """None, or one, in the form of a worker's."""
    alone: bool
    """Whether delayed messages alone were meant, and no worker."""
    failure: OperationalError | None
    """Why the command could not be carried out."""


class DelayedMessages:
    """Answers for delayed messages to the remote control commands of Celery that concern them."""

    def __init__(self, app: FleetCelery) -> None:
        self._app = app

    def asked(
        self,
        command: str,
        arguments: Mapping[str, Any],
        destination: Any,
        connection: Connection | None,
        options: Mapping[str, Any],
    ) -> Answer:
        """Carry out a command of ``FleetControl.broadcast``, where it concerns delayed messages and they are meant."""
        nodes = maybe_list(destination)
        alone = nodes is not None and list(nodes) == [NODE]
        meant = NODE in nodes if nodes else not options.get("pattern")
        reply: Any = None
        if self._app.state.configured and command in (*REVOKE, *LIST) and meant:
            try:
                reply = self._answer(command, arguments, self._brokers(connection))
            except (redis.RedisError, OSError) as error:
                logger.warning("Shared state was not asked for delayed tasks: %s", type(error).__name__)
                if command in REVOKE:
                    failure = OperationalError("Shared state is out of reach; no delayed task was revoked.")
                    return Answer([], alone, failure)
        if reply and (callback := options.get("callback")):
            callback({NODE: reply})
        return Answer([{NODE: reply}] if reply else [], alone, None)

    def _brokers(self, connection: Connection | None) -> list[str]:
        """Return the brokers whose messages are meant."""
        if connection is not None:
            named = self._app.brokers.at(place_of(connection))
            return [named.alias] if named else []
        one = broker_of_publication()
        return [one.alias] if one else list(self._app.brokers)

    def _answer(self, command: str, arguments: Mapping[str, Any], brokers: Iterable[str]) -> Any:
        """Do what a command asks; return the reply, or something empty when nothing that waits is concerned."""
        if command in LIST:
            return [_listed(Entry.decode(raw)) for raw in self._app.delays.first(brokers, MOST_LISTED)]
        revoked = self.revoke([str(each) for each in maybe_list(arguments.get("task_id")) or ()])
        return {"ok": f"tasks {', '.join(revoked)} revoked before they were due"} if revoked else None

    def revoke(self, task_ids: list[str]) -> list[str]:
        """Take tasks out, record them as revoked, and return their ids.

        One that is published at this moment is left to the workers, who are told as well.
        """
        token = uuid4().hex
        revoked: list[str] = []
        for _ in range(TRIES):
            claimed, busy = self._app.delays.claim_of_tasks(task_ids, token)
            entries = [Entry.decode(raw) for raw in claimed]
            for number, entry in enumerate(entries):
                try:
                    self._record(entry)
                except BaseException:
                    self._app.delays.release([each.id for each in entries[number:]], token)
                    raise
                self._app.delays.remove([entry.id])
                revoked.append(entry.task_id)
            if not busy:
                break
            time.sleep(WAIT_SECONDS)
        return revoked

    def _record(self, entry: Entry) -> None:
        """Store the result, and let a chord know, as a worker that discards the task does."""
        args, kwargs, embedded = _payload(entry)
        request = Context({**entry.headers, "args": args, "kwargs": kwargs, **embedded})
        task = self._app.tasks.get(entry.task)
        backend = task.backend if task is not None else self._app.backend
        store = not entry.headers.get("ignore_result")
        backend.mark_as_revoked(entry.task_id, "revoked", request=request, store_result=store)


def _listed(entry: Entry) -> dict[str, Any]:
    """Describe an entry as a worker describes what it holds for later."""
    try:
        args, kwargs, _ = _payload(entry)
    except Exception:  # noqa: BLE001 - whatever a serializer raises; the texts say enough
        args, kwargs = entry.headers.get("argsrepr"), entry.headers.get("kwargsrepr")
    message = entry.message
    priority = message["properties"].get("priority")
    return {
        "eta": entry.headers["eta"],
        "priority": priority,
        "request": {
            "id": entry.task_id,
            "name": entry.headers.get("shadow") or entry.task,
            "args": args,
            "kwargs": kwargs,
            "type": entry.task,
            "hostname": NODE,
            "time_start": None,
            "acknowledged": False,
            "delivery_info": {
                "exchange": message["exchange"],
                "routing_key": message["routing_key"],
                "priority": priority,
                "redelivered": False,
            },
            "worker_pid": None,
        },
    }


def _payload(entry: Entry) -> tuple[Any, Any, Mapping[str, Any]]:
    message = entry.message
    body: Any = message["body"]
    if "compression" in message["headers"]:
        body = decompress(body, message["headers"]["compression"])
    args, kwargs, embedded = loads(
        body, message["content_type"], message["content_encoding"], accept=[message["content_type"]]
    )
    return args, kwargs, embedded
