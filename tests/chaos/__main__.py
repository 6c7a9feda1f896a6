"""Plays the scenarios one after the other and prints their reports; ends with 0 when every promise held."""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.status import Status

from services.core.local.brokers import LocalRabbitMQ, LocalRedis
from services.core.local.private_files import private_folder
from shared.errors import FleetError
from tests.chaos.chords import Amount, on_brokers_of_its_own
from tests.chaos.hand_out import on_a_redis_of_its_own
from tests.chaos.outages import outages_of
from tests.chaos.report import Report
from tests.chaos.setup import Setup
from tests.chaos.worker_kills import Kills, Tell, WorkerKills
from tests.chaos.workers import ROOT

FOLDER = ROOT / "var" / "chaos"

NAMES = (
    "kills-stock",
    "kills-redis",
    "kills-classic",
    "kills-quorum",
    "hand-out-stock",
    "hand-out-redis",
    "outages-redis",
    "outages-rabbitmq",
    "chords",
)

Play = Callable[[Path, Tell], Report]


def scenarios(options: argparse.Namespace) -> Mapping[str, Play]:
    """Return every scenario by name, as long as the options say."""
    kills = Kills(kills=options.kills, tasks=options.tasks, seed=options.seed)
    half = Kills(kills=max(1, options.kills // 2), tasks=options.tasks, seed=options.seed)
    outages = {"restarts": options.restarts, "kills": options.broker_kills, "others": options.freezes}
    chords = Amount(chords=options.chords, members=50, kills=options.chords // 4, seed=options.seed)
    few = {**outages, "restarts": options.broker_kills}
    plays: tuple[Play, ...] = (
        partial(on_redis, half, plain=True),
        partial(on_redis, kills, plain=False),
        partial(on_rabbitmq, half, quorum=False),
        partial(on_rabbitmq, half, quorum=True),
        lambda home, tell: weak_unless_lost(
            on_a_redis_of_its_own(home, kills=options.hand_outs, plain=True, tell=tell)
        ),
        lambda home, tell: on_a_redis_of_its_own(home, kills=options.hand_outs, tell=tell).check(),
        lambda home, tell: outages_of("redis", home, **outages, tell=tell),
        lambda home, tell: outages_of("rabbitmq", home, **few, tell=tell),
        lambda home, tell: on_brokers_of_its_own(home, chords, tell),
    )
    return dict(zip(NAMES, plays, strict=True))


def on_redis(amount: Kills, home: Path, tell: Tell, *, plain: bool) -> Report:
    """Kill workers of a Redis; stock Celery must lose work there, or the scenario is too weak."""
    with LocalRedis(home / "broker") as server:
        setup = Setup(broker=server.url(), records=private_folder(home / "records"), state=server.url(3))
        name = f"workers killed, {'stock Celery on ' if plain else ''}Redis"
        report = WorkerKills(name, setup, home, amount, plain=plain, tell=tell).run()
        return weak_unless_lost(report) if plain else report.check()


def on_rabbitmq(amount: Kills, home: Path, tell: Tell, *, quorum: bool) -> Report:
    """Kill workers of a RabbitMQ."""
    with LocalRabbitMQ(home / "broker") as server:
        setup = Setup(broker=server.url, records=private_folder(home / "records"), quorum=quorum)
        name = f"workers killed, RabbitMQ {'quorum' if quorum else 'classic'}"
        return WorkerKills(name, setup, home, amount, tell=tell).run().check()


def weak_unless_lost(report: Report) -> Report:
    """Complain where stock Celery loses nothing."""
    if not report.lost:
        report.broken.append("stock Celery lost nothing: the scenario is too weak")
    return report


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line; without options every scenario has its long form."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    add = partial(parser.add_argument, type=int, metavar="N")
    parser.add_argument("scenario", nargs="*", help="some of: " + ", ".join(NAMES))
    add(
        "--kills",
        default=200,
        help="workers killed on Redis; half as many on RabbitMQ and of stock Celery (%(default)s)",
    )
    add("--tasks", default=50_000, help="tasks at least, while workers are killed (%(default)s)")
    add("--hand-outs", default=10, help="workers killed exactly at hand-out (%(default)s)")
    add("--restarts", default=100, help="restarts of Redis (%(default)s)")
    add("--broker-kills", default=20, help="kills of each broker, and restarts of RabbitMQ (%(default)s)")
    add("--freezes", default=3, help="freezes of 20 s, and half-open connections (%(default)s)")
    add("--chords", default=200, help="chords of 50 members, while a worker is killed each second (%(default)s)")
    add("--seed", default=7, help="which worker is killed when (%(default)s)")
    options = parser.parse_args(arguments)
    if unknown := set(options.scenario) - set(NAMES):
        parser.error(f"there is no scenario {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    return options


def main(arguments: Sequence[str]) -> int:
    """Play the chosen scenarios; nothing is left running, whatever ends them.

    Returns:
        The exit code: 1 when a promise did not hold.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    options = parsed(arguments)
    shutil.rmtree(FOLDER, ignore_errors=True)
    console = Console()
    console.print(f"Logs and records are in {FOLDER.relative_to(ROOT)}")
    broken = False
    for name, play in scenarios(options).items():
        if options.scenario and name not in options.scenario:
            continue
        with console.status(name) as status:
            report = play(private_folder(FOLDER / name), partial(show, status))
        console.print("\n".join([*report.lines(), *report.deaths, ""]), markup=False, highlight=False)
        broken = broken or bool(report.broken)
    return int(broken)


def show(status: Status, line: str) -> None:
    """Show how far a scenario has come."""
    status.update(line)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except FleetError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
