"""Who may use the API: sign-in for browsers, keys without their secrets, the audit."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.encoders import jsonable_encoder
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse, Response

from services.core.api.access import COOKIE, may, refuse_other_sites, session_of
from services.core.api.context import context_of
from services.core.api.pages import LARGEST_NUMBER, Limit, page
from services.core.api.problems import Problem
from services.core.api.roles import ROLES, Act
from services.core.app import app
from services.core.usecases.acting import list_audit
from services.core.usecases.api_keys import KeyEntry, known_key, list_keys
from services.core.usecases.api_sessions import LASTS, csrf_of, known_session, sign_in, sign_out

router = APIRouter(tags=["access"])


class SignIn(BaseModel):
    """What signs in."""

    key: str = Field(max_length=200, examples=["yard_k3f9x2m7_…"])


@router.post("/session", status_code=201, summary="Sign in with a key, in a browser")
def begin_session(request: Request, given: SignIn) -> JSONResponse:
    """Set a cookie that no script can read, and answer with the CSRF token that every change has to send."""
    context = context_of(request)
    if wait := context.rates.take(f"sign-in from {request.client.host if request.client else ''}"):
        raise Problem(
            429, "too-many-requests", "Too many tries; wait a little.", headers={"Retry-After": str(int(wait) + 1)}
        )
    caller = known_key(context.ledger, given.key)
    if caller is None:
        raise Problem(401, "not-known", "This is no key, or it was revoked.", headers={"WWW-Authenticate": "Bearer"})
    session = sign_in(context.ledger, caller)
    response = JSONResponse({**_me(caller), "csrf": session.csrf}, 201)
    response.set_cookie(
        COOKIE, session.token, max_age=int(LASTS.total_seconds()), path="/", httponly=True, samesite="strict",
        secure=request.url.scheme == "https",
    )  # fmt: skip
    return response


@router.delete("/session", status_code=204, summary="Sign out")
def end_session(request: Request) -> Response:
    """End the session of the cookie."""
    token = request.cookies.get(COOKIE)
    context = context_of(request)
    if token is not None and known_session(context.ledger, token) is not None:
        refuse_other_sites(request, token)
        sign_out(context.ledger, token)
    response = Response(status_code=204)
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
    return response


@router.get("/api/v1/me", summary="Tell who asks, and what they may do")
def me(request: Request, caller: Annotated[KeyEntry, may(Act.SEE)]) -> dict[str, Any]:
    """Tell the role of the key, and its acts; in a session also its CSRF token, for a page that was opened anew."""
    token = session_of(request)
    return _me(caller) if token is None else {**_me(caller), "csrf": csrf_of(token)}


@router.get("/api/v1/keys", summary="List keys, without what is secret of them")
def keys(request: Request, caller: Annotated[KeyEntry, may(Act.SEE_ACCESS)]) -> dict[str, Any]:  # noqa: ARG001
    """List all keys, revoked ones too; they are made and revoked with `yard key`, on the machine."""
    return {"entries": jsonable_encoder(list_keys(context_of(request).ledger)), "after": None}


@router.get("/api/v1/audit", summary="List what was asked for, the latest first")
def audit(
    request: Request,
    caller: Annotated[KeyEntry, may(Act.SEE_ACCESS)],  # noqa: ARG001
    after: Annotated[int | None, Query(ge=1, le=LARGEST_NUMBER)] = None,
    key: Annotated[str | None, Query(max_length=64, description="Only of this key.")] = None,
    limit: Limit = 100,
) -> dict[str, Any]:
    """List every request that changes something, and every one that was denied."""
    return page(list_audit(context_of(request).ledger, before=after, key_id=key, limit=limit))


def _me(caller: KeyEntry) -> dict[str, Any]:
    acts = sorted(act for act, roles in ROLES.items() if caller.role in roles)
    return {"key": caller.id, "label": caller.label, "role": caller.role, "acts": acts, "brokers": sorted(app.brokers)}
