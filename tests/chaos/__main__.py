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
from tests.chaos import broker_down, chords, hand_out
from tests.chaos.broker_down import Outage
from tests.chaos.contenders import BEST, DEFAULTS, SWITCHYARD, WITH_RELIER, Contender
from tests.chaos.malformed import behind_malformed
from tests.chaos.outages import outages_of, restarts_of_redis
from tests.chaos.report import Outcome, Report, Tell
from tests.chaos.setup import Setup
from tests.chaos.worker_kills import Kills, WorkerKills
from tests.chaos.workers import ROOT

FOLDER = ROOT / "var" / "chaos"
COMPARED = {"defaults": DEFAULTS, "stock": BEST, "relier": WITH_RELIER, "redis": SWITCHYARD}
"""Who has a scenario of each kind on Redis, by the end of its name."""
LONG_FORM = (
    "kills-stock",
    "kills-redis",
    "kills-classic",
    "kills-quorum",
    "hand-out-stock",
    "hand-out-redis",
    "outages-redis",
    "outages-rabbitmq",
    "chords",
    "outbox",
)
"""What is played when nothing is chosen."""
MOST_DEATHS = 3
"""Of so many workers that ended by themselves the last lines are shown."""

Play = Callable[[Path, Tell], Outcome]


def scenarios(options: argparse.Namespace) -> Mapping[str, Play]:
    """Return every scenario by name, as long as the options say."""
    kills = Kills(kills=options.kills, tasks=options.tasks, seed=options.seed)
    half = Kills(kills=max(1, options.kills // 2), tasks=options.tasks, seed=options.seed)
    outages = {"restarts": options.restarts, "kills": options.broker_kills, "others": options.freezes}
    amount = chords.Amount(chords=options.chords, members=50, kills=options.chords // 4, seed=options.seed)
    outage = Outage(jobs=options.jobs, seconds=options.outage)
    return {
        **{f"kills-{end}": partial(kills_on_redis, kills, contender) for end, contender in COMPARED.items()},
        "kills-classic": partial(kills_on_rabbitmq, half, quorum=False),
        "kills-quorum": partial(kills_on_rabbitmq, half, quorum=True),
        **{
            f"hand-out-{end}": partial(kills_at_hand_out, options.hand_outs, contender)
            for end, contender in COMPARED.items()
        },
        **{f"restarts-{end}": partial(restarts, options.restarts, contender) for end, contender in COMPARED.items()},
        **{f"malformed-{end}": partial(malformed, contender) for end, contender in COMPARED.items()},
        "outages-redis": lambda home, tell: outages_of("redis", home, **outages, tell=tell),
        "outages-rabbitmq": lambda home, tell: outages_of(
            "rabbitmq", home, **{**outages, "restarts": options.broker_kills}, tell=tell
        ),
        "chords": lambda home, tell: chords.on_brokers_of_its_own(home, amount, tell),
        **{f"chords-{end}": partial(fine_chords, amount, subject) for end, subject in chords.ON_REDIS.items()},
        "outbox": lambda home, tell: broker_down.on_a_fleet_of_its_own(home, outage, tell=tell),
        "outbox-postgresql": lambda home, tell: broker_down.on_a_fleet_of_its_own(
            home, outage, postgres=True, tell=tell
        ),
    }


def kills_on_redis(amount: Kills, contender: Contender, home: Path, tell: Tell) -> Report:
    """Kill workers of a Redis; stock Celery must lose work there, or the scenario is too weak."""
    with LocalRedis(home / "broker") as server:
        setup = Setup(broker=server.url(), records=private_folder(home / "records"), state=server.url(3))
        name = f"workers killed, {contender.name} on Redis"
        return judged(WorkerKills(name, setup, home, amount, contender=contender, tell=tell).run(), contender)


def kills_on_rabbitmq(amount: Kills, home: Path, tell: Tell, *, quorum: bool) -> Report:
    """Kill workers of a RabbitMQ."""
    with LocalRabbitMQ(home / "broker") as server:
        setup = Setup(broker=server.url, records=private_folder(home / "records"), quorum=quorum)
        name = f"workers killed, RabbitMQ {'quorum' if quorum else 'classic'}"
        return WorkerKills(name, setup, home, amount, tell=tell).run().check()


def kills_at_hand_out(kills: int, contender: Contender, home: Path, tell: Tell) -> Report:
    """Kill workers exactly when they are handed a message; stock Celery must lose it."""
    return judged(hand_out.on_a_redis_of_its_own(home, kills=kills, contender=contender, tell=tell), contender)


def restarts(number: int, contender: Contender, home: Path, tell: Tell) -> Report:
    """Restart Redis."""
    return restarts_of_redis(home, restarts=number, contender=contender, tell=tell)


def malformed(contender: Contender, home: Path, tell: Tell) -> Outcome:
    """Put a malformed message before good tasks."""
    return behind_malformed(home, contender=contender, tell=tell)


def fine_chords(amount: chords.Amount, subject: chords.Subject, home: Path, tell: Tell) -> Report:
    """Kill workers that work on chords of which every member is fine."""
    return chords.on_a_redis_of_its_own(home, amount, subject, tell)


def judged(report: Report, contender: Contender) -> Report:
    """Complain where a promise did not hold, or where stock Celery loses nothing."""
    if contender.is_ours:
        return report.check()
    report.promised = False
    if contender is not WITH_RELIER and not report.gone:
        report.broken.append("stock Celery lost nothing for good: the scenario is too weak")
    return report


def parsed(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line; without options every scenario has its long form."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    add = partial(parser.add_argument, type=int, metavar="N")
    parser.add_argument("scenario", nargs="*", help="one that --list names")
    parser.add_argument("--list", action="store_true", help="name all scenarios; those with a * are played by default")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="for logs and records (var/chaos)")
    add("--kills", default=200, help="workers killed on Redis; half as many on RabbitMQ (%(default)s)")
    add("--tasks", default=50_000, help="tasks at least, while workers are killed (%(default)s)")
    add("--hand-outs", default=10, help="workers killed exactly at hand-out (%(default)s)")
    add("--restarts", default=100, help="restarts of Redis (%(default)s)")
    add("--broker-kills", default=20, help="kills of each broker, and restarts of RabbitMQ (%(default)s)")
    add("--freezes", default=3, help="freezes of 20 s, and half-open connections (%(default)s)")
    add("--chords", default=200, help="chords of 50 members, while a worker is killed each second (%(default)s)")
    add("--jobs", default=1_000, help="file jobs submitted while RabbitMQ is down (%(default)s)")
    add("--outage", default=60, help="for how many seconds it is (%(default)s)")
    add("--seed", default=7, help="which worker is killed when (%(default)s)")
    options = parser.parse_args(arguments)
    if unknown := set(options.scenario) - scenarios(options).keys():
        parser.error(f"there is no scenario {', '.join(sorted(unknown))}; --list names all")
    return options


def main(arguments: Sequence[str]) -> int:
    """Play the chosen scenarios; nothing is left running, whatever ends them.

    Returns:
        The exit code: 1 when a promise did not hold.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    options = parsed(arguments)
    console = Console()
    plays = scenarios(options)
    if options.list:
        console.print("\n".join(f"{'*' if name in LONG_FORM else ' '} {name}" for name in plays), highlight=False)
        return 0
    console.print(f"Logs and records are in {options.folder}")
    broken = False
    for name in options.scenario or LONG_FORM:
        folder = options.folder.resolve() / name
        shutil.rmtree(folder, ignore_errors=True)
        with console.status(name) as status:
            outcome = plays[name](private_folder(folder), partial(show, status))
        lines = [*outcome.lines(), *outcome.deaths[:MOST_DEATHS], ""]
        console.print("\n".join(lines), markup=False, highlight=False, soft_wrap=True)
        broken = broken or bool(outcome.broken)
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
