"""The demonstration: both workflows on the examples, in a fleet that is gone afterwards."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import typer

from services.core.cli import exit_codes
from services.core.cli.demo_report import print_report
from services.core.cli.telling import tell_phase
from services.core.local.fleet import LocalFleet
from services.core.local.plan import YARD, switchyard_plan
from services.core.local.state import clear_home
from shared.errors import ConfigurationError, FleetError
from shared.settings import child_environment

ROOT = Path(__file__).parents[3]
RECIPIENTS = ROOT / "examples" / "recipients.csv"
FILES = ROOT / "examples" / "files"
CAMPAIGN = "spring-newsletter"
OWNER = "you@example.org"


class DemoFailed(FleetError):
    """A command of the demonstration did not do its work."""


def run_demo(home: Path) -> int:
    """Run the demonstration; return the exit code, 0 when everything became what it should.

    Args:
        home: Folder for everything that it writes; what an earlier one left there is removed.

    Raises:
        ConfigurationError: There are no examples (this is no checkout), or the folder holds something else.
        LocalFleetError: The fleet can't be started; nothing of it is left.
    """
    if not RECIPIENTS.exists():
        raise ConfigurationError("The demonstration needs the folder `examples` of a checkout of Switchyard.")
    home = home.resolve()
    _say("1. Example files")
    _make_examples()
    clear_home(home)
    _say(f"2. A fleet of its own, below {home}")
    with LocalFleet(home, switchyard_plan, progress=tell_phase) as fleet:
        _say("3. A campaign to 500 recipients, in the background")
        campaign = ("campaign", str(RECIPIENTS), "--template", "newsletter", "--id", CAMPAIGN)
        _yard(home, *campaign, "--no-wait")
        _say("4. Files, through RabbitMQ and Redis, with a mail at the end")
        _yard(home, "process", str(FILES), "--notify", OWNER)
        _say("5. The campaign, to its end")
        _yard(home, "job", CAMPAIGN, "--watch")
        _say("6. The same campaign once more: nobody gets a second mail")
        _yard(home, *campaign)
        _say("7. What became of everything")
        well = print_report(fleet, FILES, CAMPAIGN, OWNER)
    return exit_codes.OK if well else exit_codes.FAILED


def _say(line: str) -> None:
    typer.secho(f"\n{line}", bold=True)


def _make_examples() -> None:
    expected = FILES.with_name(f"{FILES.name}.expected.json")
    if expected.exists() and all((FILES / name).exists() for name in json.loads(expected.read_text())):
        typer.echo(f"  made already, in {FILES}")
        return
    subprocess.run([sys.executable, "-m", "examples.make_files", str(FILES)], cwd=ROOT, check=True)  # noqa: S603


def _yard(home: Path, *arguments: str) -> None:
    """Run ``yard`` as a person would; that some files and recipients fail is what the examples are for.

    Raises:
        DemoFailed: It did something else than its work.
    """
    typer.secho(f"$ yard {' '.join(arguments)}", dim=True)
    environment = child_environment({"YARD_HOME": str(home)})
    done = subprocess.run([*YARD, *arguments], env=environment, check=False)  # noqa: S603
    if done.returncode not in (exit_codes.OK, exit_codes.FAILED):
        raise DemoFailed(f"yard {arguments[0]} ended with exit code {done.returncode}.")
