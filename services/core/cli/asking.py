"""``yard inspect`` and ``yard control``: a command for all workers, and the exit code of what they answered."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any, Literal

import typer
from celery.worker.control import Panel

from services.core.app import app
from services.core.cli import exit_codes
from services.core.cli.answers import failed, print_answers
from shared.asking import Answers, ask_fleet
from shared.errors import ConfigurationError, did_you_mean

OF_A_QUEUE = ("add_consumer", "cancel_consumer")
"""Commands that concern the workers of one broker alone."""
STOPPING = {"ok": "stops when what runs is done"}


def ask(
    kind: Literal["inspect", "control"],
    command: str,
    words: Sequence[str],
    destination: Sequence[str],
    brokers: Sequence[str],
    *,
    timeout: float,
    as_json: bool,
) -> int:
    """Send a command to the workers of all brokers and print what they answer; return the exit code.

    Raises:
        ConfigurationError: There is no such command, or it does not take these words.  Nothing was sent.
        UnknownBroker, UnknownQueue: There is no such broker or queue.  Nothing was sent.
    """
    arguments = arguments_of(kind, command, words)
    if command in OF_A_QUEUE and "queue" in arguments:
        brokers = brokers or [app.routing.owner(arguments["queue"])]
    tell = _shut_down if command == "shutdown" else partial(ask_fleet, app, command)
    answers = tell(arguments, destination=destination, brokers=brokers, timeout=timeout)
    silent = sorted(set(destination).difference(*(each.workers for each in answers)))
    if as_json:
        found = [asdict(each) for each in answers]
        typer.echo(json.dumps({"command": command, "brokers": found, "silent": silent}, indent=2, default=str))
    else:
        print_answers(command, answers)
    _complain(answers, silent, timeout)
    return exit_code(answers, silent)


def arguments_of(kind: Literal["inspect", "control"], command: str, words: Sequence[str]) -> dict[str, Any]:
    """Return the arguments of a command from the words of a command line, as Celery's own does.

    Raises:
        ConfigurationError: There is no such command of this kind, or it does not take these words.
    """
    known = {name: info for name, info in Panel.meta.items() if info.type == kind and info.visible}
    if command not in known:
        raise ConfigurationError(f"`yard {kind}` has no command '{command}'.{did_you_mean(command, known)}")
    info = known[command]
    named = list(info.args or ())
    usage = f"It is used as: yard {kind} {command} {info.signature or ''}".rstrip()
    if len(words) > len(named) and not info.variadic:
        raise ConfigurationError(f"'{words[len(named)]}' is one word too many. {usage}")
    arguments: dict[str, Any] = {}
    for (name, convert), word in zip(named, words, strict=False):
        try:
            arguments[name] = convert(word) if convert else word
        except (TypeError, ValueError):
            raise ConfigurationError(f"'{word}' does not do for {name}. {usage}") from None
    if info.variadic:
        arguments[info.variadic] = list(words[len(named) :])
    return arguments


def exit_code(answers: Sequence[Answers], silent: Sequence[str]) -> int:
    """Return 3 when a broker or every worker is out of reach, 1 when a worker refused or was missed, else 0."""
    if any(each.why_not for each in answers) or not any(each.workers for each in answers):
        return exit_codes.OUT_OF_REACH
    refused = any(failed(answer) for each in answers for answer in each.workers.values())
    return exit_codes.FAILED if refused or silent else exit_codes.OK


def _shut_down(arguments: dict[str, Any], **asking: Any) -> list[Answers]:
    """Shut workers down; none answers to that, so whoever is there is asked before."""
    there = ask_fleet(app, "ping", {}, **asking)
    for each in there:
        if each.workers:
            with app.on_broker(each.broker):
                app.control.broadcast("shutdown", arguments, destination=list(each.workers))
    return [replace(each, workers=dict.fromkeys(each.workers, STOPPING)) for each in there]


def _complain(answers: Sequence[Answers], silent: Sequence[str], timeout: float) -> None:
    for each in answers:
        if each.why_not:
            typer.echo(f"yard: {app.brokers[each.broker]} was not asked: {each.why_not}", err=True)
    if silent:
        typer.echo(f"yard: no answer within {timeout:g} s from {', '.join(silent)}", err=True)
    elif not any(each.workers for each in answers):
        typer.echo(f"yard: no worker answered within {timeout:g} s", err=True)
