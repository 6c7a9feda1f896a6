"""Single mails."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request
from fastapi.encoders import jsonable_encoder
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from services.core.api.access import Errand, does, may
from services.core.api.context import context_of
from services.core.api.roles import Act
from services.core.ledger.ids import new_id
from services.core.usecases.acting import Outcome
from services.core.usecases.api_keys import KeyEntry
from services.core.usecases.overview import mail_overview
from services.core.usecases.submit_mail import submit_mail
from services.core.workflows import mail_to_publish

router = APIRouter(prefix="/api/v1", tags=["mails"])


class Mail(BaseModel):
    """A mail to send."""

    model_config = ConfigDict(extra="forbid")

    to: str = Field(min_length=3, max_length=320, examples=["ada@example.org"])
    template: str = Field(min_length=1, max_length=100, examples=["welcome"])
    variables: dict[str, Any] = Field(default_factory=dict, examples=[{"name": "Ada"}])


@router.post("/mails", status_code=202, summary="Send a mail")
def send(mail: Mail, errand: Annotated[Errand, does(Act.SEND_MAIL)]) -> Response:
    """Send one mail at once, ahead of every campaign."""
    ledger = errand.context.ledger

    def act(mail_id: str) -> Outcome:
        submit_mail(ledger, mail.to, mail.template, mail.variables, mail_id=mail_id, publish=mail_to_publish)
        return 202, {"id": mail_id, "self": f"/api/v1/mails/{mail_id}"}

    return errand.run(new_id("mail", ledger.clock()), mail.model_dump(), act)


@router.get("/mails/{mail_id}", summary="Tell what became of a mail")
def show(request: Request, mail_id: str, caller: Annotated[KeyEntry, may(Act.READ)]) -> dict[str, Any]:  # noqa: ARG001
    """Tell its status, and why it was not sent."""
    told: dict[str, Any] = jsonable_encoder(mail_overview(context_of(request).ledger, mail_id))
    return {**told, "self": f"/api/v1/mails/{mail_id}"}
