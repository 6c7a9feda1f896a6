"""Dead letters: found, read, edited, replayed, dropped."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.encoders import jsonable_encoder
from kombu.utils.json import dumps
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from starlette.responses import Response

from services.core.api.access import Errand, does, may
from services.core.api.context import ApiContext, context_of
from services.core.api.pages import LARGEST_NUMBER, Limit, page
from services.core.api.problems import Problem
from services.core.api.roles import ROLES, Act
from services.core.api.routes_tasks import aware
from services.core.app import app
from services.core.ledger.dead_letters import LetterFilter
from services.core.ledger.errors import InvalidSubmission, WrongState
from services.core.outgoing import replay_to_publish
from services.core.usecases.acting import Outcome
from services.core.usecases.api_keys import KeyEntry
from services.core.usecases.letters import (
    LetterView,
    as_plain,
    count_choices,
    drop_letters,
    list_letters,
    the_letter,
)
from services.core.usecases.replay_letters import edit_letter, replay_letters, undo_edit
from shared.dead_letters import Reason
from shared.replaying import NotReplayable, arguments_of, why_not

router = APIRouter(prefix="/api/v1", tags=["dead letters"])
MOST_AT_ONCE = 1000
Number = Annotated[int, Field(ge=1, le=LARGEST_NUMBER)]


class Which(BaseModel):
    """Which dead letters are meant; all that is given must hold."""

    model_config = ConfigDict(extra="forbid")

    numbers: list[Number] = Field(default_factory=list, max_length=MOST_AT_ONCE, examples=[[17, 18]])
    queue: str | None = None
    task: str | None = None
    reason: Reason | None = None
    broker: str | None = None
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    task_id: str | None = None
    workflow: str | None = Field(default=None, description="The id of its first task, or of a group.")
    text: str | None = Field(default=None, min_length=1)

    def filter(self) -> LetterFilter:
        """Return the filter.

        Raises:
            InvalidSubmission: Nothing says which letters are meant.
        """
        which = LetterFilter(**self.model_dump())
        if which == LetterFilter(numbers=[]):
            raise InvalidSubmission("Say which dead letters are meant: by number, or by a filter.")
        return which


class Some(Which):
    """Dead letters to replay or to drop."""

    limit: int = Field(default=100, ge=1, le=MOST_AT_ONCE, description="How many at most.")
    dry_run: bool = Field(default=False, description="Only tell; nothing is changed.")

    def filter(self) -> LetterFilter:
        """Return the filter; see ``Which``."""
        return Which(**self.model_dump(exclude={"limit", "dry_run"})).filter()


class Edit(BaseModel):
    """Other arguments for a dead letter."""

    model_config = ConfigDict(extra="forbid")

    args: list[Any] | None = Field(default=None, examples=[["spring-news"]])
    kwargs: dict[str, Any] | None = None
    set: dict[str, Any] = Field(default_factory=dict, description="Single keyword arguments, over those that it has.")
    undo: bool = Field(default=False, description="Go back to the arguments that it had.")


def _wanted(
    *,
    queue: str | None = None,
    task: str | None = None,
    reason: Reason | None = None,
    broker: str | None = None,
    since: Annotated[datetime | None, Query(examples=["2026-11-21T09:30:00Z"])] = None,
    until: datetime | None = None,
    text: Annotated[str | None, Query(min_length=1, description="Takes the role operator.")] = None,
    replayed: Annotated[bool | None, Query(description="Those that were replayed; all without it.")] = None,
) -> LetterFilter:
    return LetterFilter(
        queue=queue, task=task, reason=reason, broker=broker, since=aware(since), until=aware(until), text=text,
        replayed=replayed,
    )  # fmt: skip


Wanted = Annotated[LetterFilter, Depends(_wanted)]
"""The dead letters that the query of an address asks for."""


@router.get("/dead", summary="List dead letters, the oldest first")
def list_(
    *,
    request: Request,
    caller: Annotated[KeyEntry, may(Act.READ)],
    wanted: Wanted,
    task_id: str | None = None,
    workflow: str | None = None,
    after: Annotated[int, Query(ge=0, le=LARGEST_NUMBER)] = 0,
    limit: Limit = 100,
) -> dict[str, Any]:
    """List dead letters without their arguments, which may be secret; what was raised is told to operators alone."""
    _refuse_text(caller, wanted.text)
    which = replace(wanted, task_id=task_id, workflow=workflow)
    told = page(list_letters(context_of(request).ledger, which, after=after, limit=limit))
    if caller.role not in ROLES[Act.READ_LETTER]:
        told["entries"] = [{**entry, "detail": None} for entry in told["entries"]]
    return told


@router.get("/dead/counts", summary="Count dead letters")
def counts(request: Request, caller: Annotated[KeyEntry, may(Act.READ)], wanted: Wanted) -> dict[str, Any]:
    """Count those that a filter finds, and in `by` those that it would find with another reason, queue, and so on."""
    _refuse_text(caller, wanted.text)
    return asdict(count_choices(context_of(request).ledger, wanted))


@router.get("/dead/{number}", summary="Read a dead letter, arguments and all")
def show(
    request: Request,
    number: Number,
    caller: Annotated[KeyEntry, may(Act.READ_LETTER)],  # noqa: ARG001
) -> dict[str, Any]:
    """Tell cause, traceback, headers, arguments, lineage, and whether it can be replayed.

    `embedded` is what follows the task: callbacks, the rest of its chain, its chord. `to_replay` has the arguments that
    it will be replayed with, as JSON texts: those that somebody has changed them to, or its own.
    """
    return _told(context_of(request), number)


@router.post("/dead/replay", summary="Replay dead letters")
def replay(some: Some, errand: Annotated[Errand, does(Act.REPLAY_LETTERS)]) -> Response:
    """Put those that were not replayed into the outbox, up to `limit`; their workflows go on."""
    which = some.filter()

    def act(_: str) -> Outcome:
        told = replay_letters(
            errand.context.ledger, which, publish=replay_to_publish, limit=some.limit, dry=some.dry_run
        )
        refused = [{"number": number, "reason": reason} for number, reason in told.refused.items()]
        return 200, {
            "replayed": told.numbers,
            "refused": refused,
            "more": told.after is not None,
            "dry_run": some.dry_run,
        }

    return errand.run("dead letters", some.model_dump(), act, once=not some.dry_run)


@router.post("/dead/drop", summary="Drop dead letters")
def drop(some: Some, errand: Annotated[Errand, does(Act.DROP_LETTERS)]) -> Response:
    """Remove dead letters for good, up to `limit`."""
    which = some.filter()

    def act(_: str) -> Outcome:
        if some.dry_run:
            found = list_letters(errand.context.ledger, which, limit=some.limit)
            return 200, {"dropped": len(found.entries), "dry_run": True}
        return 200, {"dropped": drop_letters(errand.context.ledger, which, some.limit), "dry_run": False}

    return errand.run("dead letters", some.model_dump(), act, once=not some.dry_run)


@router.post("/dead/{number}/replay", summary="Replay a dead letter")
def replay_one(number: Number, errand: Annotated[Errand, does(Act.REPLAY_LETTERS)]) -> Response:
    """Put it into the outbox, once; its workflow goes on."""

    def act(_: str) -> Outcome:
        the_letter(errand.context.ledger, number)
        which = LetterFilter(numbers=(number,))
        told = replay_letters(errand.context.ledger, which, publish=replay_to_publish, limit=1)
        if number in told.refused:
            raise NotReplayable(told.refused[number])
        if not told.numbers:
            raise WrongState("dead letter", str(number), "replayed already", "replayed again")
        return 200, _told(errand.context, number, arguments=False)

    return errand.run(f"dead letter {number}", None, act, once=True)


@router.post("/dead/{number}/edit", summary="Change with which arguments a dead letter is replayed")
def edit(number: Number, given: Edit, errand: Annotated[Errand, does(Act.EDIT_LETTER)]) -> Response:
    """Keep what it had; the task is asked whether it takes these arguments, where it is one of this service."""

    def act(_: str) -> Outcome:
        if given.undo:
            undo_edit(errand.context.ledger, number)
        elif given.args is None and given.kwargs is None and not given.set:
            raise InvalidSubmission("Say what to change: args, kwargs, set, or undo.")
        else:
            edit_letter(
                errand.context.ledger, number, args=given.args, kwargs=given.kwargs, settings=given.set,
                check=_refuse_arguments,
            )  # fmt: skip
        return 200, _told(errand.context, number, arguments=False)

    return errand.run(f"dead letter {number}", given.model_dump(), act)


@router.post("/dead/{number}/drop", summary="Drop a dead letter")
def drop_one(number: Number, errand: Annotated[Errand, does(Act.DROP_LETTERS)]) -> Response:
    """Remove it for good."""

    def act(_: str) -> Outcome:
        the_letter(errand.context.ledger, number)
        drop_letters(errand.context.ledger, LetterFilter(numbers=(number,), replayed=None))
        return 200, {"dropped": 1}

    return errand.run(f"dead letter {number}", None, act, once=True)


def _refuse_text(caller: KeyEntry, text: str | None) -> None:
    if text is not None and caller.role not in ROLES[Act.READ_LETTER]:
        raise Problem(403, "not-allowed", f"A key with the role {caller.role} may not search what dead letters say.")


def _told(context: ApiContext, number: int, *, arguments: bool = True) -> dict[str, Any]:
    view = the_letter(context.ledger, number)
    told = {**jsonable_encoder(as_plain(view.entry)), "not_replayable": why_not(view.letter)}
    told["self"] = f"/api/v1/dead/{number}"
    if not arguments:
        return told
    return {**told, "traceback": view.letter.traceback, "headers": _plain(view.letter.headers), **_arguments(view)}


def _arguments(view: LetterView) -> dict[str, Any]:
    letter = view.letter
    try:
        args, kwargs, embedded = arguments_of(letter)
    except NotReplayable:
        return {"body": base64.b64encode(letter.body).decode("ascii")}
    told = {"args": _plain(args), "kwargs": _plain(kwargs), "embedded": _plain(embedded)}
    if view.edited_body is not None:
        args, kwargs, _ = arguments_of(replace(letter, body=view.edited_body))
    return {**told, "to_replay": {"args": _exact(list(args)), "kwargs": _exact(dict(kwargs))}}


def _exact(arguments: Any) -> str:
    """Return arguments as their message would have them: a browser rounds large numbers, and knows no times."""
    text: str = dumps(arguments, indent=2, ensure_ascii=False)
    return text


def _plain(value: Any) -> Any:
    return jsonable_encoder(value)


def _refuse_arguments(task: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Refuse arguments that a task of this service does not take; those of others can't be told here."""
    app.loader.import_default_modules()
    known = app.tasks.get(task)
    if known is None:
        return
    try:
        known.__header__(*args, **kwargs)
    except TypeError as error:
        raise InvalidSubmission(f"{task} does not take these arguments: {error}. Nothing was changed.") from None
