"""Requests that change something: each carried out once per idempotency key, and written into the audit.

A request is claimed before it is carried out.  What it makes gets its id with the claim, so whoever sends it again
after the process has died in the middle makes the same thing, and not a second one.  What has no such id, as a queue
that is purged, is done no second time: whoever asks again is told that nobody knows whether it was done.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from services.core.ledger.access import audit_entries
from services.core.ledger.engine import Ledger
from services.core.ledger.errors import LedgerError, LedgerUnavailable
from services.core.ledger.models import AuditEntry, IdempotentRequest
from services.core.usecases.api_keys import KeyEntry
from services.core.usecases.records import Page

KEPT_FOR = timedelta(hours=24)
"""How long the answer to a request is remembered."""
CLAIM_LASTS = timedelta(minutes=10)
"""After this time a request without an answer is taken for one whose process died; a list of a million recipients
takes some minutes."""
REMOVED_AT_ONCE = 100
MAY_BE_DONE = 500
"""From this status on nobody knows whether a request was carried out."""


class OtherRequest(LedgerError):
    """The idempotency key was used for another request; nothing was done."""


class UnderWay(LedgerError):
    """The same request is being carried out at this moment; nothing was done a second time."""


class OutcomeUnknown(LedgerError):
    """The same request was begun, and nobody knows whether it was carried out; nothing was done a second time."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request was answered with."""

    status: int
    body: dict[str, Any]
    subject: str
    repeated: bool = False
    """Whether it is the answer to an earlier request."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for, by whom."""

    caller: KeyEntry
    act: str
    target: str
    """The path."""
    idempotency_key: str
    digest: str
    """SHA-256 of all that is asked for."""


@dataclass(frozen=True, slots=True)
class _Claim:
    subject: str
    token: str
    audit_id: int


Outcome = tuple[int, dict[str, Any]]
Act = Callable[[str], Outcome]
"""Does what is asked for, given the id of what it makes; doing it again with the same id changes nothing, unless it is
to be done ``once``."""


def carry_out(
    ledger: Ledger,
    request: Request,
    subject: str,
    act: Act,
    status_of: Callable[[BaseException], int],
    *,
    once: bool = False,
) -> Answer:
    """Carry a request out, unless it was before, and remember its answer.

    Args:
        ledger: The ledger.
        request: What is asked for.
        subject: The id of what it would make; that of an earlier attempt counts where there was one.
        act: Does it.  When it raises, the request may be sent again.  With a status of 500 or more it may have been
            carried out all the same, as when a commit's answer is lost; so it keeps its id.  An error whose ``sent`` is
            ``"no"`` says that nothing was done.
        status_of: Tells the HTTP status of what is raised.
        once: Whether doing it again would do more than doing it once.

    Raises:
        OtherRequest: The idempotency key belongs to another request.
        UnderWay: The same request is under way.
        OutcomeUnknown: It is to be done once, and an earlier attempt has no known end.
    """
    claimed = _claim(ledger, request, subject, once=once)
    if isinstance(claimed, Answer):
        return claimed
    try:
        status, body = act(claimed.subject)
        with ledger.writing() as session:
            session.execute(_mine(request, claimed).values(status=status, answer=body))
            _end_audit(session, claimed.audit_id, status, claimed.subject, ledger.clock())
    except BaseException as error:
        with suppress(LedgerUnavailable):  # what is left then is taken over after a while
            _give_up(ledger, request, claimed, error, status_of(error))
        raise
    return Answer(status, body, claimed.subject)


def note_denied(ledger: Ledger, caller: KeyEntry, act: str, target: str, status: int) -> None:
    """Write into the audit that somebody was denied something."""
    with ledger.writing() as session:
        entry = _audit(session, caller, act, target, ledger.clock())
        entry.status, entry.ended_at = status, entry.at


def list_audit(
    ledger: Ledger, *, before: int | None = None, key_id: str | None = None, limit: int
) -> Page[dict[str, Any], int]:
    """List the audit, the latest first.

    Args:
        ledger: The ledger.
        before: Where the page before ended; its ``after``.
        key_id: Only what was asked with this key.
        limit: The most to list.
    """
    with ledger.reading() as session:
        rows = audit_entries(session, before=before, key_id=key_id, limit=limit + 1)
        names = ("id", "at", "key_id", "role", "act", "target", "status", "subject", "ended_at")
        page = tuple({name: getattr(row, name) for name in names} for row in rows[:limit])
    return Page(page, page[-1]["id"] if len(rows) > limit else None)


def _claim(ledger: Ledger, request: Request, subject: str, *, once: bool) -> _Claim | Answer:
    with ledger.writing() as session:
        now = ledger.clock()
        _remove_old(session, now - KEPT_FOR)
        token = secrets.token_hex(16)
        insert = (sqlite if session.get_bind().dialect.name == "sqlite" else postgresql).insert(IdempotentRequest)
        # Of two at the same time the second waits here for the first, and then finds its row.
        session.execute(
            insert.values(
                key_id=request.caller.id, idempotency_key=request.idempotency_key, digest=request.digest,
                subject=subject, claimed_at=now, claim=token,
            ).on_conflict_do_nothing()
        )  # fmt: skip
        row = session.scalars(
            select(IdempotentRequest).where(*_of(request)).with_for_update().execution_options(populate_existing=True)
        ).one()
        if row.claim != token:
            if row.digest != request.digest:
                raise OtherRequest("This idempotency key was used for another request; take a new one.")
            if row.status is not None:
                return Answer(row.status, row.answer or {}, row.subject, repeated=True)
            if row.claimed_at > now - CLAIM_LASTS:
                raise UnderWay("The same request is being carried out; ask again in some seconds.")
            if once:
                raise OutcomeUnknown(
                    "The same request was begun before, and its end was not recorded: it may have been carried out, or "
                    "not. Look how things stand; to do it again, send it with a new idempotency key."
                )
            row.claim, row.claimed_at = token, now
        entry = _audit(session, request.caller, request.act, request.target, now)
        session.flush()
        return _Claim(row.subject, token, entry.id)


def _give_up(ledger: Ledger, request: Request, claimed: _Claim, error: BaseException, status: int) -> None:
    """Let the same request be sent again; if it may have been carried out, with the id that it has."""
    with ledger.writing() as session:
        now = ledger.clock()
        if status >= MAY_BE_DONE and getattr(error, "sent", "unknown") != "no":
            session.execute(_mine(request, claimed).values(claimed_at=now - CLAIM_LASTS))
        else:
            session.execute(delete(IdempotentRequest).where(*_of(request), IdempotentRequest.claim == claimed.token))
        _end_audit(session, claimed.audit_id, status, None, now)


def _audit(session: Session, caller: KeyEntry, act: str, target: str, now: datetime) -> AuditEntry:
    entry = AuditEntry(at=now, key_id=caller.id, role=str(caller.role), act=act, target=target)
    session.add(entry)
    return entry


def _end_audit(session: Session, audit_id: int, status: int | None, subject: str | None, now: datetime) -> None:
    session.execute(
        update(AuditEntry).where(AuditEntry.id == audit_id).values(status=status, subject=subject, ended_at=now)
    )


def _of(request: Request) -> tuple[Any, ...]:
    return (
        IdempotentRequest.key_id == request.caller.id,
        IdempotentRequest.idempotency_key == request.idempotency_key,
    )


def _mine(request: Request, claimed: _Claim) -> Any:
    return update(IdempotentRequest).where(*_of(request), IdempotentRequest.claim == claimed.token)


def _remove_old(session: Session, before: datetime) -> None:
    old = (
        select(IdempotentRequest.key_id, IdempotentRequest.idempotency_key)
        .where(IdempotentRequest.claimed_at < before)
        .limit(REMOVED_AT_ONCE)
    )
    for key_id, name in session.execute(old).all():
        session.execute(
            delete(IdempotentRequest).where(
                IdempotentRequest.key_id == key_id, IdempotentRequest.idempotency_key == name
            )
        )
