"""What ``yard dead replay`` and ``edit`` do: letters go into the outbox, each once, at a rate."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import typer

from services.core.app import app
from services.core.cli import exit_codes
from services.core.cli.dead_letters import age
from services.core.cli.progress import Step, shown, silent
from services.core.ledger.dead_letters import LetterFilter
from services.core.ledger.engine import Ledger
from services.core.ledger.errors import InvalidSubmission, UnknownId
from services.core.outgoing import replay_to_publish
from services.core.usecases.letters import count_kept, list_letters
from services.core.usecases.outbox_lag import outbox_lag
from services.core.usecases.replay_letters import Replayed, edit_letter, replay_letters, undo_edit

AT_ONCE = 50
"""In one transaction, where no rate is asked for."""


def replay_all(
    ledger: Ledger,
    which: LetterFilter,
    *,
    dry: bool = False,
    rate: float | None = None,
    limit: int | None = None,
    expires: str | None = None,
    as_json: bool = False,
) -> int:
    """Put dead letters into the outbox, and say what became of them; return the exit code.

    Raises:
        UnknownId: A number is that of no dead letter; nothing was replayed.
        InvalidSubmission: ``expires`` is no length of time; nothing was replayed.
    """
    _refuse_unknown(ledger, which)
    lifetime = age(expires) if expires else None
    total = count_kept(ledger, replace(which, replayed=False)).kept
    run = _Run(ledger, which, total if limit is None else min(total, limit), lifetime, dry=dry)
    interrupted = False
    show = silent if as_json or dry else shown()
    try:
        for step in run.steps(rate):
            show(step)
    except KeyboardInterrupt:
        interrupted = True
    finally:
        getattr(show, "close", lambda: None)()
    run.tell(as_json=as_json, interrupted=interrupted)
    if run.told.numbers and not dry and not outbox_lag(ledger).relay_at_work:
        typer.echo("yard: they wait: no relay is at work that would publish them. Start the fleet.", err=True)
    if interrupted:
        return exit_codes.INTERRUPTED
    return exit_codes.FAILED if run.told.refused else exit_codes.OK


class _Run:
    """One run of ``replay``: what is done so far, and what is left."""

    def __init__(
        self, ledger: Ledger, which: LetterFilter, total: int, expires: timedelta | None, *, dry: bool
    ) -> None:
        self._ledger, self._which, self._total, self._dry = ledger, which, total, dry
        self._publish = partial(replay_to_publish, expires=expires)
        self.told = Replayed()

    def steps(self, rate: float | None) -> Iterator[Step]:
        """Replay part after part, no faster than asked for, and yield how far it is."""
        begun, done, after = time.monotonic(), 0, 0
        while done < self._total:
            if rate and done:
                time.sleep(max(0.0, begun + done / rate - time.monotonic()))
            most = 1 if rate and not self._dry else min(AT_ONCE, self._total - done)
            part = replay_letters(
                self._ledger, self._which, publish=self._publish, limit=most, after=after, dry=self._dry
            )
            self.told.numbers += part.numbers
            self.told.refused |= part.refused
            done += len(part.numbers) + len(part.refused)
            yield Step("replay", "under way", done, self._total)
            if part.after is None:
                return
            after = part.after

    def tell(self, *, as_json: bool, interrupted: bool) -> None:
        """Say what became of the letters."""
        told = self.told
        if as_json:
            refused = {str(number): why for number, why in told.refused.items()}
            answer = {"replayed": told.numbers, "refused": refused, "dry_run": self._dry, "interrupted": interrupted}
            typer.echo(json.dumps(answer, indent=2))
            return
        for number, why in told.refused.items():
            typer.echo(f"yard: {number} stays: {why}", err=True)
        count = len(told.numbers)
        if self._dry:
            typer.echo(f"{count} dead letters would be replayed: {', '.join(map(str, told.numbers)) or 'none'}")
        elif interrupted:
            typer.echo(f"Interrupted: {count} dead letters are on their way, the others are as they were.")
        else:
            typer.echo(f"{count} dead letters are on their way." if count else "No dead letter was replayed.")


def edit_and_replay(
    ledger: Ledger,
    number: int,
    args: str | None,
    kwargs: str | None,
    settings: Sequence[str],
    *,
    undo: bool,
    replay: bool,
) -> int:
    """Change the arguments of a dead letter, and replay it if that is asked for; return the exit code.

    Raises:
        UnknownId: There is no such dead letter.
        InvalidSubmission: The arguments are no JSON of the right form, or the task does not take them.
        NotReplayable: The arguments that it has can't be read.
    """
    which = LetterFilter(numbers=(number,))
    _refuse_unknown(ledger, which)
    if undo:
        undo_edit(ledger, number)
        typer.echo(f"Dead letter {number} has the arguments again that it had.")
    else:
        if args is None and kwargs is None and not settings:
            raise InvalidSubmission("Say what to change: --args, --kwargs, --set, or --undo.")
        edit_letter(
            ledger,
            number,
            args=_json(args, list, "--args") if args is not None else None,
            kwargs=_json(kwargs, dict, "--kwargs") if kwargs is not None else None,
            settings=dict(map(_setting, settings)),
            check=refuse_arguments,
        )
        typer.echo(f"Dead letter {number} has other arguments now; --undo goes back to those that it had.")
    if replay:
        return replay_all(ledger, which)
    typer.echo(f"Publish it with: yard dead replay {number}")
    return exit_codes.OK


def refuse_arguments(task: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Refuse arguments that a task does not take; those of tasks of other services can't be told here.

    Raises:
        InvalidSubmission: It does not take them.
    """
    app.loader.import_default_modules()
    known = app.tasks.get(task)
    if known is None:
        typer.echo(f"yard: the arguments are not checked: {task} is no task of this service.", err=True)
        return
    try:
        known.__header__(*args, **kwargs)
    except TypeError as error:
        raise InvalidSubmission(f"{task} does not take these arguments: {error}. Nothing was changed.") from None


def _refuse_unknown(ledger: Ledger, which: LetterFilter) -> None:
    for number in which.numbers:
        page = list_letters(ledger, LetterFilter(numbers=(number,), replayed=None), limit=1)
        if not page.entries:
            raise UnknownId("dead letter", str(number))
        if page.entries[0].replayed_at is not None:
            typer.echo(f"yard: {number} was replayed already, at {page.entries[0].replayed_at:%F %T}.", err=True)


def _json(text: str, kind: type, option: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise InvalidSubmission(f"{option} is no JSON: {error}.") from None
    if not isinstance(value, kind):
        raise InvalidSubmission(f"{option} is to be {'a list' if kind is list else 'an object'}.")
    return value


def _setting(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise InvalidSubmission(f"An argument is NAME=VALUE, not {text!r}.")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
