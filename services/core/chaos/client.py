"""A program that gives the fleet work, as a user's would: ``python -m services.core.chaos.client PLAN SEED``.

It writes a line of JSON for each submission: the receipt, or why there is none.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from services.core import workflows
from services.core.app import app
from services.core.bootstrap import ledger, storage
from services.core.chaos import samples
from services.core.chaos.amounts import Submission, What
from services.core.usecases.submit_campaign import submit_campaign
from services.core.usecases.submit_files import submit_files
from services.core.usecases.submit_mail import submit_mail
from shared.errors import FleetError
from shared.settings import load_settings

TEMPLATE = "welcome"
ATTEMPTS = 15
"""While the database is away nothing is accepted; whoever has work tries again."""
PAUSE_SECONDS = 2.0


def main(plan: Sequence[Submission], seed: int) -> None:
    """Submit everything in its time; write a receipt for each."""
    app.set_current()
    submit = _Submit(load_settings().home / "submitted", seed)
    started = time.monotonic()
    for submission in plan:
        time.sleep(max(0.0, started + submission.at - time.monotonic()))
        begun = time.monotonic()
        said = {"what": submission.what, "number": submission.number, "size": submission.size}
        said |= _answer(partial(submit, submission))
        print(json.dumps({**said, "seconds": time.monotonic() - begun}), flush=True)


def _answer(submit: Callable[[int], str], attempt: int = 1) -> dict[str, Any]:
    """Submit, again if it was not taken; return the id with the attempt that it came from, or why there is none."""
    try:
        return {"id": submit(attempt), "attempt": attempt}
    except (FleetError, OSError) as error:
        if attempt == ATTEMPTS:
            return {"refused": f"{type(error).__name__}: {error}"}
    time.sleep(PAUSE_SECONDS)
    return _answer(submit, attempt + 1)


class _Submit:
    def __init__(self, folder: Path, seed: int) -> None:
        self._folder, self._seed = folder, seed

    def __call__(self, submission: Submission, attempt: int) -> str:
        """Submit one thing; return the id of its receipt."""
        match submission.what:
            case What.CAMPAIGN:
                return self._campaign(submission)
            case What.JOB:
                return self._job(submission, attempt)
            case What.MAIL:
                return self._mail(submission)

    def _campaign(self, submission: Submission) -> str:
        """Submit a list; one that is cut off while it is taken in is completed by the same id."""
        path = self._folder / f"campaign-{submission.number}.csv"
        samples.write_list(path, samples.addresses(submission.number, submission.size))
        taken = submit_campaign(
            ledger(),
            path,
            TEMPLATE,
            f"chaos-{submission.number}",
            chunk_size=load_settings().campaign_chunk_size,
            publish=workflows.campaign_to_publish,
        )
        return taken.campaign_id

    def _job(self, submission: Submission, attempt: int) -> str:
        """Submit files; a connection that breaks may hide that they were taken, so each attempt tells somebody else."""
        folder = self._folder / f"job-{submission.number}"
        samples.write_files(folder, submission.size, self._seed * 10_000 + submission.number)
        publish = partial(workflows.job_to_publish, notify=True)
        owner = samples.owner(submission.number, attempt)
        return submit_files(ledger(), storage(), [folder], owner, publish=publish).job_id

    def _mail(self, submission: Submission) -> str:
        """Submit a single mail; it is the same one at every attempt."""
        taken = submit_mail(
            ledger(),
            samples.single(submission.number),
            TEMPLATE,
            {"name": "Reader"},
            mail_id=f"mail-chaos-{submission.number}",
            publish=workflows.mail_to_publish,
        )
        return str(taken["key"])


if __name__ == "__main__":
    main([Submission.loads(item) for item in json.loads(Path(sys.argv[1]).read_text())], int(sys.argv[2]))
