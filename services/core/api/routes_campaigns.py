"""Campaigns: lists of recipients are submitted, followed, paused, resumed, cancelled."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.encoders import jsonable_encoder
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from services.core.api.access import Errand, does, may
from services.core.api.context import ApiContext, context_of
from services.core.api.events import follow
from services.core.api.pages import LARGEST_NUMBER, Limit, page
from services.core.api.problems import Problem
from services.core.api.roles import Act
from services.core.api.uploads import receive_file
from services.core.ledger.ids import new_id
from services.core.ledger.states import State
from services.core.usecases.acting import Outcome
from services.core.usecases.api_keys import KeyEntry
from services.core.usecases.list_entries import list_recipients
from services.core.usecases.list_work import list_campaigns
from services.core.usecases.overview import campaign_overview
from services.core.usecases.recipient_check import check_rows
from services.core.usecases.recipient_list import open_recipient_list
from services.core.usecases.steer_campaign import cancel_campaign, pause_campaign, resume_campaign
from services.core.usecases.submit_campaign import submit_campaign
from services.core.usecases.submit_uploads import Upload, incoming_folder
from services.core.workflows import campaign_to_publish

router = APIRouter(prefix="/api/v1", tags=["campaigns"])
CSV = {"requestBody": {"required": True, "content": {"text/csv": {
    "schema": {"type": "string", "format": "binary"}, "example": "email,name\nada@example.org,Ada\n",
}}}}  # fmt: skip
ACCEPTED: dict[int | str, dict[str, Any]] = {
    202: {"description": "Accepted", "content": {"application/json": {"example": {
        "id": "spring-news", "self": "/api/v1/campaigns/spring-news", "state": "running", "new": 2, "retried": 0,
        "unchanged": 0, "duplicates": 0, "without_address": 0,
    }}}},
    422: {"description": "Rows that can't be used", "content": {"application/problem+json": {"example": {
        "type": "urn:switchyard:problem:bad-rows", "title": "Unprocessable Content", "status": 422,
        "detail": "1 row of spring.csv can't be used, the first in line 3: It has no address.",
        "rows": [{"line": 3, "address": "", "reason": "It has no address."}], "more_rows": False,
    }}}},
}  # fmt: skip


@router.post("/campaigns", status_code=202, openapi_extra=CSV, responses=ACCEPTED, summary="Submit a campaign")
async def submit(
    request: Request,
    errand: Annotated[Errand, does(Act.SUBMIT_CAMPAIGN)],
    template: Annotated[str, Query(max_length=100, examples=["newsletter"])],
    campaign_id: Annotated[
        str | None,
        Query(alias="id", description="The same id again sends only what was not sent.", examples=["spring-news"]),
    ] = None,
    name: Annotated[str, Query(max_length=200, description="What the list is called.")] = "recipients.csv",
    again: Annotated[bool, Query(description="Without an id: mail this list again on purpose.")] = False,
    bad_rows: Annotated[
        str, Query(pattern="^(refuse|record)$", description="`record` keeps bad addresses as invalid recipients.")
    ] = "refuse",
) -> Response:
    """Take a CSV of recipients, streamed into storage, check every row, and begin to mail them.

    Nothing is sent before the whole list is recorded. A list with bad rows is refused, and the problem names them.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "text/csv":
        raise Problem(
            415, "no-csv", "Send the list as text/csv: curl --data-binary @list.csv -H 'Content-Type: text/csv'"
        )
    with incoming_folder(errand.context.storage) as folder:
        upload = await receive_file(request, errand.context.storage, folder, name)
        subject = campaign_id or new_id("campaign", errand.context.ledger.clock())
        act = partial(_submit, errand.context, upload, template, campaign_id, again, bad_rows == "refuse")
        return await run_in_threadpool(errand.run, subject, upload.digest.sha256, act)


def _submit(
    context: ApiContext,
    upload: Upload,
    template: str,
    campaign_id: str | None,
    again: bool,
    strict: bool,
    subject: str,
) -> Outcome:
    path = context.storage.path(upload.path)
    if strict:
        check_rows(open_recipient_list(path))
    submitted = submit_campaign(
        context.ledger, path, template, campaign_id, again=again, id_if_new=subject,
        chunk_size=context.settings.campaign_chunk_size, message_bytes=context.settings.message_max_bytes,
        publish=campaign_to_publish,
    )  # fmt: skip
    told = jsonable_encoder(submitted)
    found = told.pop("campaign_id")
    return 202, {"id": found, "self": f"/api/v1/campaigns/{found}", **told}


@router.get("/campaigns", summary="List campaigns, the latest first")
def list_(
    request: Request,
    caller: Annotated[KeyEntry, may(Act.SEE)],  # noqa: ARG001
    state: Annotated[State | None, Query(description="Only campaigns in this state.")] = None,
    after: Annotated[str | None, Query(max_length=64)] = None,
    limit: Limit = 50,
) -> dict[str, Any]:
    """List campaigns by their ids and states, with how many recipients are how far."""
    return page(list_campaigns(context_of(request).ledger, state=state, after=after, limit=limit))


@router.get("/campaigns/{campaign_id}", summary="Tell how a campaign stands")
def show(request: Request, campaign_id: str, caller: Annotated[KeyEntry, may(Act.SEE)]) -> dict[str, Any]:  # noqa: ARG001
    """Tell its state and counts; its recipients are a list of their own."""
    return _told(context_of(request), campaign_id)


@router.get("/campaigns/{campaign_id}/events", summary="Follow a campaign", response_class=StreamingResponse)
async def events(request: Request, campaign_id: str, caller: Annotated[KeyEntry, may(Act.SEE)]) -> Response:
    """Send how the campaign stands, at once and at each change, until it has ended: server-sent events."""
    return await follow(request, caller, partial(run_in_threadpool, _told, context_of(request), campaign_id))


@router.get("/campaigns/{campaign_id}/recipients", summary="List the recipients of a campaign, and what became of each")
def recipients(
    request: Request,
    campaign_id: str,
    caller: Annotated[KeyEntry, may(Act.READ)],  # noqa: ARG001
    status: Annotated[list[State] | None, Query(description="Only recipients with one of these.")] = None,
    text: Annotated[
        str | None, Query(min_length=1, max_length=200, description="Only those with this in address or reason.")
    ] = None,
    after: Annotated[int | None, Query(ge=0, le=LARGEST_NUMBER)] = None,
    limit: Limit = 50,
) -> dict[str, Any]:
    """List recipients in the order of the list."""
    ledger = context_of(request).ledger
    return page(list_recipients(ledger, campaign_id, statuses=status or (), text=text, after=after, limit=limit))


@router.post("/campaigns/{campaign_id}/pause", summary="Pause a campaign")
def pause(campaign_id: str, errand: Annotated[Errand, does(Act.PAUSE_CAMPAIGN)]) -> Response:
    """Begin no more of it; what is under way is sent, `YARD_CAMPAIGN_WINDOW` chunks at most."""

    def act(_: str) -> Outcome:
        pause_campaign(errand.context.ledger, campaign_id)
        return 200, _told(errand.context, campaign_id)

    return errand.run(campaign_id, None, act)


@router.post("/campaigns/{campaign_id}/resume", summary="Resume a campaign")
def resume(campaign_id: str, errand: Annotated[Errand, does(Act.RESUME_CAMPAIGN)]) -> Response:
    """Let a paused campaign go on."""

    def act(_: str) -> Outcome:
        resume_campaign(errand.context.ledger, campaign_id, publish=campaign_to_publish)
        return 200, _told(errand.context, campaign_id)

    return errand.run(campaign_id, None, act)


@router.post("/campaigns/{campaign_id}/cancel", summary="Cancel a campaign")
def cancel(campaign_id: str, errand: Annotated[Errand, does(Act.CANCEL_CAMPAIGN)]) -> Response:
    """Call off what it has not begun to send; this is for good."""

    def act(_: str) -> Outcome:
        cancel_campaign(errand.context.ledger, campaign_id)
        return 200, _told(errand.context, campaign_id)

    return errand.run(campaign_id, None, act)


def _told(context: ApiContext, campaign_id: str) -> dict[str, Any]:
    view = jsonable_encoder(campaign_overview(context.ledger, campaign_id, limit=0))
    left = {name: value for name, value in view.items() if name not in ("failures", "recipients", "kind")}
    return {**left, "self": f"/api/v1/campaigns/{campaign_id}"}
