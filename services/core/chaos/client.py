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
ATTEMPTS = 5
"""A campaign that is cut off while it is taken in is completed by submitting it again with the same id."""


def main(plan: Sequence[Submission], seed: int) -> None:
    """Submit everything in its time; write a receipt for each."""
    app.set_current()
    submit = _Submit(load_settings().home / "submitted", seed)
    started = time.monotonic()
    for submission in plan:
        time.sleep(max(0.0, started + submission.at - time.monotonic()))
        begun = time.monotonic()
        line: dict[str, Any] = {"what": submission.what, "number": submission.number, "size": submission.size}
        try:
            line["id"] = _attempt(partial(submit, submission), ATTEMPTS if submission.what is What.CAMPAIGN else 1)
        except (FleetError, OSError) as error:
            line["refused"] = f"{type(error).__name__}: {error}"
        print(json.dumps({**line, "seconds": time.monotonic() - begun}), flush=True)


def _attempt(submit: Callable[[], str], attempts: int) -> str:
    try:
        return submit()
    except FleetError:
        if attempts == 1:
            raise
        return _attempt(submit, attempts - 1)


class _Submit:
    def __init__(self, folder: Path, seed: int) -> None:
        self._folder, self._seed = folder, seed

    def __call__(self, submission: Submission) -> str:
        """Submit one thing; return the id of its receipt."""
        match submission.what:
            case What.CAMPAIGN:
                return self._campaign(submission)
            case What.JOB:
                return self._job(submission)
            case What.MAIL:
                return self._mail(submission)

    def _campaign(self, submission: Submission) -> str:
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

    def _job(self, submission: Submission) -> str:
        folder = self._folder / f"job-{submission.number}"
        samples.write_files(folder, submission.size, self._seed * 10_000 + submission.number)
        publish = partial(workflows.job_to_publish, notify=True)
        return submit_files(ledger(), storage(), [folder], samples.owner(submission.number), publish=publish).job_id

    def _mail(self, submission: Submission) -> str:
        variables = {"name": "Reader"}
        address = samples.single(submission.number)
        return str(submit_mail(ledger(), address, TEMPLATE, variables, publish=workflows.mail_to_publish)["key"])


if __name__ == "__main__":
    main([Submission.loads(item) for item in json.loads(Path(sys.argv[1]).read_text())], int(sys.argv[2]))
