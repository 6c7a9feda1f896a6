"""Remote control of what waits in the table of delayed messages: a node beside the workers, which anybody can be."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

import redis
from celery.utils.functional import maybe_list
from kombu import Connection
from kombu.exceptions import OperationalError

from shared.delays import outcomes
from shared.delays.entry import Entry
from shared.delays.table import MOST_AT_ONCE, Refusal
from shared.limits import put_off_until
from shared.publishing import broker_of_publication, place_of

if TYPE_CHECKING:
    from shared.celery_app import FleetCelery

logger = logging.getLogger(__name__)

NODE = "delayed@fleet"
"""Under this name what waits is listed by ``inspect scheduled``, beside the workers."""
MOST_LISTED = 1000
TRIES, WAIT_SECONDS = 20, 0.1
REVOKE_STAMPED = "revoke_by_stamped_headers"
REVOKE = ("revoke", "terminate", REVOKE_STAMPED)
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
            listed = (_listed(*found) for found in self._app.delays.first(brokers, MOST_LISTED))
            return [description for description in listed if description is not None]
        if command == REVOKE_STAMPED:
            revoked = self.revoke_stamped(_as_mapping(arguments["headers"]), brokers)
        else:
            revoked = self.revoke([str(each) for each in maybe_list(arguments.get("task_id")) or ()])
        return {"ok": f"tasks {', '.join(revoked)} revoked before they were due"} if revoked else None

    def revoke(self, task_ids: list[str]) -> list[str]:
        """Take tasks out, record them as revoked, and return their ids."""
        return self._revoke(lambda: self._app.delays.ids_of(task_ids))

    def revoke_stamped(self, stamps: Mapping[str, Any], brokers: Iterable[str]) -> list[str]:
        """Take out the tasks of some brokers that bear any of some stamps; see ``revoke``."""
        names = set(brokers)
        return self._revoke(
            lambda: [
                identity
                for identity, broker, own in self._app.delays.stamped()
                if broker in names and _bears(own, stamps)
            ]
        )

    def _revoke(self, find: Callable[[], list[str]]) -> list[str]:
        """Take out the entries that are found.

        One that is published at this moment is left to the workers, who are told as well.
        """
        token = uuid4().hex
        revoked: list[str] = []
        for _ in range(TRIES):
            ids = find()
            some_busy = False
            for start in range(0, len(ids), MOST_AT_ONCE):  # results are stored well within the length of a claim
                claimed, busy = self._app.delays.claim(ids[start : start + MOST_AT_ONCE], token)
                revoked += self._record([Entry.decode(raw) for raw in claimed], token)
                some_busy = some_busy or busy
            if not some_busy:
                break
            time.sleep(WAIT_SECONDS)
        return revoked

    def _record(self, entries: Sequence[Entry], token: str) -> list[str]:
        for number, entry in enumerate(entries):
            try:
                outcomes.revoke(self._app, entry)
            except BaseException:
                self._app.delays.release([each.id for each in entries[number:]], token)
                raise
            self._app.delays.remove([entry.id])
        return [entry.task_id for entry in entries]


def _as_mapping(headers: Any) -> Mapping[str, Any]:
    """Return stamps by name, also where they are given as Celery's command line does: ``["name=value"]``."""
    if isinstance(headers, Mapping):
        return headers
    return {name: value for name, _, value in (each.partition("=") for each in headers)}


def _bears(own: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Tell whether a task has one of some stamps, as a worker tells."""
    return any(
        value in (maybe_list(wanted[name]) or ())
        for name in own.keys() & wanted.keys()
        for value in maybe_list(own[name]) or ()
    )


def _listed(raw: bytes, refusal: Refusal | None) -> dict[str, Any] | None:
    """Describe an entry as a worker describes what it holds for later; ``None`` for one that can't be read."""
    try:
        entry = Entry.decode(raw)
    except ValueError:
        return None
    try:
        args, kwargs, _ = outcomes.payload_of(entry)
    except Exception:  # noqa: BLE001 - whatever a serializer raises; the texts say enough
        args, kwargs = entry.headers.get("argsrepr"), entry.headers.get("kwargsrepr")
    message = entry.message
    priority = message["properties"].get("priority")
    description = {
        "eta": put_off_until(entry.headers) or entry.headers["eta"],
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
    return {**description, "refused": refusal._asdict()} if refusal else description
