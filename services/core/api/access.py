"""Who asks, and whether they may: every route of the API has a ``may`` or a ``does`` among its arguments."""

from __future__ import annotations

import hashlib
import hmac
import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from fastapi import Depends, Header, Request
from starlette.responses import JSONResponse

from services.core.api.context import ApiContext, context_of, note_caller
from services.core.api.problems import Problem, problem_of
from services.core.api.roles import ROLES, Act
from services.core.usecases import acting
from services.core.usecases.acting import Answer, carry_out, note_denied
from services.core.usecases.api_keys import KeyEntry, known_key
from services.core.usecases.api_sessions import csrf_of, known_session

COOKIE = "yard_session"
CSRF_HEADER = "X-CSRF-Token"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
OWN_SITES = frozenset({"same-origin", "none"})
"""What ``Sec-Fetch-Site`` says of a request of our own page, or of one that a person typed."""
IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}")


class May:
    """Lets those through whose role may do something, no more often than they may ask.

    Args:
        act: What the route does.
    """

    def __init__(self, act: Act) -> None:
        self.act = act

    def __call__(self, request: Request) -> KeyEntry:
        """Return who asks.

        Raises:
            Problem: 401 for nobody that is known, 403 for somebody who may not, 429 for somebody who asks too often.
        """
        context = context_of(request)
        caller = caller_of(request)
        note_caller(request.scope, caller)
        if wait := context.rates.take(caller.id):
            headers = {"Retry-After": str(math.ceil(wait))}
            raise Problem(429, "too-many-requests", "This key asks too often; wait a little.", headers=headers)
        if caller.role not in ROLES[self.act]:
            note_denied(context.ledger, caller, self.act, request.url.path, 403)
            roles = " or ".join(sorted(ROLES[self.act]))
            detail = f"A key with the role {caller.role} may not {self.act}; that takes the role {roles}."
            raise Problem(403, "not-allowed", detail)
        return caller


class Does(May):
    """As ``May``, for what changes something: it is carried out once for each idempotency key."""

    def __call__(  # type: ignore[override]
        self,
        request: Request,
        idempotency_key: Annotated[
            str | None,
            Header(
                description="Any text that is new for each thing to be done, such as a UUID. Sent again with the same "
                "request within 24 hours, it gets the same answer, and nothing is done a second time.",
                examples=["5b3d2c1e-7a40-4c8b-9f5e-2d1a6b7c8d9e"],
            ),
        ] = None,
    ) -> Errand:
        """Return what carries the request out.

        Raises:
            Problem: As for ``May``; 400 without an idempotency key.
        """
        caller = super().__call__(request)
        if idempotency_key is None or not IDEMPOTENCY_KEY.fullmatch(idempotency_key):
            detail = "Send a header Idempotency-Key of up to 255 printable characters, a new one for each thing to do."
            raise Problem(400, "idempotency-key-missing", detail)
        return Errand(context_of(request), caller, self.act, request.url.path, request.url.query, idempotency_key)


@dataclass(frozen=True, slots=True)
class Errand:
    """A request that changes something, from somebody who may ask for it."""

    context: ApiContext
    caller: KeyEntry
    act: Act
    path: str
    query: str
    key: str

    def run(self, subject: str, content: Any, act: acting.Act, *, once: bool = False) -> JSONResponse:
        """Carry it out once, and return its answer; see ``acting.carry_out``.

        Args:
            subject: The id of what it would make or change.
            content: What is asked for besides the path, as plain data.
            act: Does it.
            once: Whether doing it again would do more than doing it once.
        """
        told = json.dumps([self.path, self.query, content], sort_keys=True, default=str)
        digest = hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()
        request = acting.Request(self.caller, self.act, self.path, self.key, digest)
        try:
            answer = carry_out(
                self.context.ledger, request, subject, act, lambda error: problem_of(error).status_code, once=once
            )
        finally:
            self.context.samples.forget()
        return _response(answer)

    async def run_asking(self, subject: str, content: Any, act: acting.Act, *, once: bool = False) -> JSONResponse:
        """As ``run``, for what asks brokers or shared state, in one of the few threads for that.

        Raises:
            Problem: 503 when none of them became free; nothing was done.
        """
        return await self.context.asking.run(partial(self.run, subject, content, act, once=once))


def may(act: Act) -> Any:
    """Declare that a route does something for which one needs a role; the argument is who asks."""
    return Depends(May(act))


def does(act: Act) -> Any:
    """Declare that a route changes something; the argument carries it out."""
    return Depends(Does(act))


def act_of(call: Callable[..., Any] | None) -> Act | None:
    """Return what a dependency guards."""
    return call.act if isinstance(call, May) else None


def _response(answer: Answer) -> JSONResponse:
    headers = {"Idempotent-Replayed": "true"} if answer.repeated else {}
    location = answer.body.get("self")
    if answer.status in (201, 202) and isinstance(location, str):
        headers["Location"] = location
    return JSONResponse(answer.body, answer.status, headers=headers)


def session_of(request: Request) -> str | None:
    """Return the token of the browser's session that a request comes from; ``None`` where it shows a key."""
    return None if "authorization" in request.headers else request.cookies.get(COOKIE)


def caller_of(request: Request) -> KeyEntry:
    """Return who asks.

    Raises:
        Problem: 401 for nobody that is known, 403 for a change from another site.
    """
    context = context_of(request)
    header = request.headers.get("authorization")
    token = session_of(request)
    caller: KeyEntry | None = None
    if header is not None:
        scheme, _, key = header.partition(" ")
        caller = known_key(context.ledger, key.strip()) if scheme.lower() == "bearer" else None
    elif token is not None:
        caller = known_session(context.ledger, token)
        if caller is not None:
            refuse_other_sites(request, token)
    if caller is None:
        detail = (
            "Show a key: Authorization: Bearer yard_… ; one is made with `yard key create`. Revoked keys open nothing."
        )
        raise Problem(401, "not-known", detail, headers={"WWW-Authenticate": "Bearer"})
    return caller


def refuse_other_sites(request: Request, token: str) -> None:
    """Refuse a change that a browser asks for with a cookie, unless one of our own pages asks.

    Raises:
        Problem: 403 without the proof.
    """
    if request.method in SAFE_METHODS:
        return
    proof = request.headers.get(CSRF_HEADER, "")
    from_here = request.headers.get("sec-fetch-site", "same-origin") in OWN_SITES
    if not from_here or not hmac.compare_digest(proof.encode(), csrf_of(token).encode()):
        raise Problem(403, "other-site", f"A change with a cookie needs the header {CSRF_HEADER} of the session.")
