"""Errors as ``application/problem+json`` (RFC 9457), whatever went wrong."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from kombu.exceptions import OperationalError
from redis import RedisError
from sqlalchemy.exc import DataError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from services.core.fleet_view.schedule import UnknownEntry
from services.core.fleet_view.workers import UnknownWorker
from services.core.ledger.errors import (
    CampaignSeemsRepeated,
    InvalidSubmission,
    LedgerOutdated,
    LedgerUnavailable,
    TemplateDiffers,
    UnknownId,
    WrongState,
)
from services.core.usecases.acting import OtherRequest, OutcomeUnknown, UnderWay
from services.core.usecases.recipient_check import BadRows
from shared.errors import FleetError, PublishError, ResultStoreOutOfReach, UnknownName
from shared.producers import PublishFailed
from shared.replaying import NotReplayable
from shared.storage import PathEscapes

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
TRY_AGAIN_SECONDS = 5
UNFORESEEN = "internal"
TYPE = "urn:switchyard:problem:"
KINDS: tuple[tuple[type[Exception], int, str], ...] = (
    (UnknownId, 404, "unknown-id"),
    (UnknownName, 404, "unknown-name"),
    (UnknownEntry, 404, "unknown-name"),
    (UnknownWorker, 404, "unknown-name"),
    (PathEscapes, 404, "unknown-path"),
    (CampaignSeemsRepeated, 409, "campaign-seems-repeated"),
    (TemplateDiffers, 409, "template-differs"),
    (WrongState, 409, "wrong-state"),
    (UnderWay, 409, "under-way"),
    (OutcomeUnknown, 409, "outcome-unknown"),
    (OtherRequest, 422, "idempotency-key-reused"),
    (BadRows, 422, "bad-rows"),
    (NotReplayable, 422, "not-replayable"),
    (InvalidSubmission, 422, "invalid-submission"),
    (DataError, 422, "invalid-request"),
    (LedgerUnavailable, 503, "ledger-out-of-reach"),
    (LedgerOutdated, 503, "ledger-outdated"),
    (ResultStoreOutOfReach, 503, "result-store-out-of-reach"),
    (PublishFailed, 503, "not-published"),
    (PublishError, 422, "not-accepted"),
    (OperationalError, 503, "broker-out-of-reach"),
    (RedisError, 503, "state-out-of-reach"),
)
"""What each error is over HTTP; the first that fits."""


class Problem(HTTPException):
    """Something that is wrong with a request, or with the API.

    Args:
        status: The HTTP status.
        kind: The last part of its type, by which a program tells it.
        detail: What is wrong and what to do, for a person.
        headers: Headers of the answer.
        more: Further members of the problem, as plain data.
    """

    def __init__(
        self, status: int, kind: str, detail: str, *, headers: Mapping[str, str] | None = None, **more: Any
    ) -> None:
        super().__init__(status, detail, dict(headers or {}))
        self.kind = kind
        self.more = more

    def response(self) -> Response:
        """Return the answer that tells of it."""
        phrase = HTTPStatus(self.status_code).phrase
        told = {"type": f"{TYPE}{self.kind}", "title": phrase, "status": self.status_code, "detail": self.detail}
        text = json.dumps({**told, **self.more}, ensure_ascii=False)
        body = text.encode("utf-8", "replace")
        return Response(body, self.status_code, headers=dict(self.headers or {}), media_type=MEDIA_TYPE)


def problem_of(error: BaseException) -> Problem:
    """Return how an error is told over HTTP; of one that nobody foresaw nothing is told."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, RequestValidationError):
        return _invalid(error)
    if isinstance(error, HTTPException):
        kind = HTTPStatus(error.status_code).phrase.lower().replace(" ", "-")
        return Problem(error.status_code, kind, str(error.detail), headers=error.headers)
    for known, status, kind in KINDS:
        if isinstance(error, known):
            headers = {"Retry-After": str(TRY_AGAIN_SECONDS)} if status == 503 or known is UnderWay else {}
            return Problem(status, kind, _told(error), headers=headers, **_more(error))
    return Problem(500, UNFORESEEN, "Something went wrong that was not foreseen; the log of the API says what.")


def tell_problems(app: FastAPI) -> None:
    """Answer with a problem whatever is raised."""

    def answer(_: Request, error: Exception) -> Response:
        problem = problem_of(error)
        if problem.kind == UNFORESEEN and isinstance(error, FleetError):  # the server logs what is none of ours
            logger.error("An error of the fleet's that is told to nobody", exc_info=error)
        return problem.response()

    for kind in (HTTPException, RequestValidationError, FleetError, OperationalError, RedisError, DataError, Exception):
        app.add_exception_handler(kind, answer)


def _told(error: BaseException) -> str:
    # A driver may name hosts.
    if isinstance(error, LedgerUnavailable):
        return "The ledger's database does not answer. Try again, a POST with the same Idempotency-Key."
    if isinstance(error, DataError):
        return "The request holds what the database can't keep, such as the character U+0000. Nothing was changed."
    if isinstance(error, OperationalError):
        return "A broker does not answer. Try again."
    if isinstance(error, RedisError):
        return "Shared state, or a broker, does not answer. Try again."
    return str(error)


def _more(error: BaseException) -> dict[str, Any]:
    if isinstance(error, BadRows):
        return {"rows": [row._asdict() for row in error.rows], "more_rows": error.more}
    if isinstance(error, CampaignSeemsRepeated):
        return {"campaign": error.earlier}
    return {}


def _invalid(error: RequestValidationError) -> Problem:
    # What was given is not repeated: it may be secret.
    errors = [{"where": ".".join(map(str, each["loc"])), "what": each["msg"]} for each in error.errors()]
    told = "; ".join(f"{each['where']}: {each['what']}" for each in errors)
    return Problem(422, "invalid-request", told, errors=errors)
