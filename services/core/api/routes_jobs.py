"""Jobs: files are submitted, followed, cancelled, and what was made of them downloaded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.encoders import jsonable_encoder
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, Response, StreamingResponse

from services.core.api.access import Errand, does, may
from services.core.api.context import ApiContext, context_of
from services.core.api.events import follow
from services.core.api.pages import After, Limit, page
from services.core.api.problems import Problem
from services.core.api.revoking import revoke
from services.core.api.roles import Act
from services.core.api.uploads import Form, receive_form
from services.core.ledger.ids import file_id, new_id
from services.core.ledger.jobs import the_job
from services.core.ledger.models import File
from services.core.ledger.states import State
from services.core.usecases.acting import Outcome
from services.core.usecases.api_keys import KeyEntry
from services.core.usecases.cancel_job import cancel_job
from services.core.usecases.job_folder import JobFolder
from services.core.usecases.list_entries import list_files
from services.core.usecases.list_work import list_jobs
from services.core.usecases.overview import job_overview
from services.core.usecases.submit_uploads import incoming_folder, submit_uploads
from services.core.workflows import job_to_publish

router = APIRouter(prefix="/api/v1", tags=["jobs"])
FORM = {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": {
    "type": "object", "required": ["files"],
    "properties": {
        "files": {"type": "array", "items": {"type": "string", "format": "binary"}},
        "notify": {"type": "string", "description": "Who gets a mail when the job has ended.",
                   "example": "ada@example.org"},
    },
}}}}}  # fmt: skip
ACCEPTED: dict[int | str, dict[str, Any]] = {
    202: {"description": "Accepted", "content": {"application/json": {"example": {
        "id": "job-20261121-k3f9x2m7qa", "self": "/api/v1/jobs/job-20261121-k3f9x2m7qa",
        "files": [{"id": "job-20261121-k3f9x2m7qa-000001", "name": "report.pdf"}],
    }}}},
}  # fmt: skip
AS_IT_IS = {"Content-Security-Policy": "sandbox; default-src 'none'", "Cache-Control": "private, no-cache"}
"""What was made from a stranger's file is shown to nobody as a page of ours."""


@router.post("/jobs", status_code=202, openapi_extra=FORM, responses=ACCEPTED, summary="Submit files as a job")
async def submit(request: Request, errand: Annotated[Errand, does(Act.SUBMIT_JOB)]) -> Response:
    """Take files of any size up to the limit, streamed into storage, and begin to process them.

    They are accepted when the answer is there: an outage of a broker delays them.
    """
    storage = errand.context.storage
    with incoming_folder(storage) as folder:
        form = await receive_form(request, storage, folder)
        if not form.uploads:
            raise Problem(422, "no-files", "There is no file in the form; call each `files`.")
        job_id = new_id("job", errand.context.ledger.clock())
        content = [[upload.name, upload.digest] for upload in form.uploads], form.fields
        return await run_in_threadpool(errand.run, job_id, content, partial(_submit, errand.context, form))


def _submit(context: ApiContext, form: Form, job_id: str) -> Outcome:
    notify = form.fields.get("notify") or None
    publish = partial(job_to_publish, notify=notify is not None)
    job = submit_uploads(context.ledger, context.storage, job_id, form.uploads, notify, publish=publish)
    files = [{"id": file["file_id"], "name": file["name"]} for file in job.files]
    return 202, {"id": job_id, "self": f"/api/v1/jobs/{job_id}", "files": files}


@router.get("/jobs", summary="List jobs, the latest first")
def list_(
    request: Request,
    caller: Annotated[KeyEntry, may(Act.SEE)],  # noqa: ARG001
    state: Annotated[State | None, Query(description="Only jobs in this state.")] = None,
    after: After = None,
    limit: Limit = 50,
) -> dict[str, Any]:
    """List jobs by their ids and states, with how many files are how far."""
    return page(list_jobs(context_of(request).ledger, state=state, after=after, limit=limit))


@router.get("/jobs/{job_id}", summary="Tell how a job stands")
def show(request: Request, job_id: str, caller: Annotated[KeyEntry, may(Act.SEE)]) -> dict[str, Any]:  # noqa: ARG001
    """Tell its state and counts; its files are a list of their own."""
    return _told(context_of(request), job_id)


@router.get("/jobs/{job_id}/events", summary="Follow a job", response_class=StreamingResponse)
async def events(request: Request, job_id: str, caller: Annotated[KeyEntry, may(Act.SEE)]) -> Response:
    """Send how the job stands, at once and at each change, until it has ended: server-sent events."""
    return await follow(request, caller, partial(run_in_threadpool, _told, context_of(request), job_id))


@router.post("/jobs/{job_id}/cancel", summary="Cancel a job")
async def cancel(job_id: str, errand: Annotated[Errand, does(Act.CANCEL_JOB)]) -> Response:
    """Call off what is not processed yet; what runs at this moment ends."""
    left: list[str] = []

    def act(_: str) -> Outcome:
        left.extend(cancel_job(errand.context.ledger, job_id))
        return 200, _told(errand.context, job_id)

    answer = await run_in_threadpool(errand.run, job_id, None, act)
    await revoke(errand.context.asking, left)
    return answer


@router.get("/jobs/{job_id}/files", summary="List the files of a job, and what became of each")
def files(
    request: Request,
    job_id: str,
    caller: Annotated[KeyEntry, may(Act.READ)],  # noqa: ARG001
    status: Annotated[State | None, Query(description="Only files with this status.")] = None,
    after: After = None,
    limit: Limit = 50,
) -> dict[str, Any]:
    """List files in the order of submission, each with the addresses of what was made from it."""
    found = list_files(context_of(request).ledger, job_id, status=status, after=after, limit=limit)
    told = page(found)
    for entry in told["entries"]:
        folder = JobFolder(job_id).artefacts(entry["file_id"])
        for artefact in _artefacts(entry["artefacts"], entry["members"]):
            inner = PurePosixPath(artefact["path"]).relative_to(folder)
            artefact["self"] = f"/api/v1/jobs/{job_id}/files/{entry['file_id']}/artefacts/{inner}"
    return told


@router.get("/jobs/{job_id}/files/{file_id}/original", summary="Download a file as it was submitted")
def original(
    request: Request,
    job_id: str,
    file_id: str,
    caller: Annotated[KeyEntry, may(Act.READ)],  # noqa: ARG001
) -> Response:
    """Stream it, as a download."""
    context = context_of(request)
    file = _file(context, job_id, file_id)
    return _download(context, file.path, file.media_type)


@router.get("/jobs/{job_id}/files/{file_id}/artefacts/{artefact:path}", summary="Download what was made from a file")
def artefact(
    request: Request,
    job_id: str,
    file_id: str,
    artefact: str,
    caller: Annotated[KeyEntry, may(Act.READ)],  # noqa: ARG001
) -> Response:
    """Stream one of the artefacts that the list of files names; no other path leads anywhere."""
    context = context_of(request)
    file = _file(context, job_id, file_id)
    wanted = f"{JobFolder(job_id).artefacts(file_id)}/{artefact}"
    for known in _artefacts(file.artefacts or (), file.members or ()):
        if known["path"] == wanted:
            return _download(context, wanted, known["media_type"])
    raise Problem(404, "unknown-path", "The file has no such artefact.")


@router.get("/jobs/{job_id}/outputs/{name}", summary="Download the manifest or the contact sheet of a job")
def output(
    request: Request,
    job_id: str,
    name: str,
    caller: Annotated[KeyEntry, may(Act.READ)],  # noqa: ARG001
) -> Response:
    """Stream `manifest.json`, `manifest.csv` or `contact-sheet.jpg`, once the job has ended."""
    context = context_of(request)
    for path in job_overview(context.ledger, job_id, limit=0).outputs:
        if PurePosixPath(path).name == name:
            return _download(context, path, None)
    raise Problem(404, "unknown-path", "The job has no such output; it has some when it has ended.")


def _told(context: ApiContext, job_id: str) -> dict[str, Any]:
    view = jsonable_encoder(job_overview(context.ledger, job_id, limit=0))
    outputs = [f"/api/v1/jobs/{job_id}/outputs/{PurePosixPath(path).name}" for path in view["outputs"]]
    left = {name: value for name, value in view.items() if name not in ("files", "notify", "kind")}
    # The task of a file bears its id, and any task of a workflow leads to it.
    return {**left, "outputs": outputs, "workflow": file_id(job_id, 1), "self": f"/api/v1/jobs/{job_id}"}


def _file(context: ApiContext, job_id: str, file_id: str) -> File:
    with context.ledger.reading() as session:
        the_job(session, job_id)
        file = session.get(File, file_id)
        if file is None or file.job_id != job_id:
            raise Problem(404, "unknown-id", "The job has no such file.")
        return file


def _artefacts(own: Iterable[dict[str, Any]], members: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    yield from own
    for member in members:
        yield from member["artefacts"]


def _download(context: ApiContext, path: str, media_type: str | None) -> Response:
    found: Path = context.storage.path(path)
    if not found.is_file():
        raise Problem(410, "gone", "It was removed from storage, or is not there yet.")
    return FileResponse(found, media_type=media_type, filename=found.name, headers=AS_IT_IS)
