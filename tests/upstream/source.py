"""Gets Celery's own tests, which only its source package has."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tarfile
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "requirements" / "dev.txt"
WANTED = re.compile(r"(pyproject\.toml|t/(__init__|canvas_helpers)\.py|t/integration/\w+\.py)")
"""What the integration tests stand on: their package, its one helper, and upstream's configuration of pytest."""


class SourceUnavailable(Exception):
    """The source package is neither in the cache nor to be had from the package index."""


def celery_tests(cache: Path) -> Path:
    """Unpack the tests of the installed Celery below ``cache``, having downloaded them when they are not there.

    Returns:
        The folder in which Celery's ``t`` and ``pyproject.toml`` lie.

    Raises:
        SourceUnavailable: The download failed, or what came is not what the lock file says.
    """
    release = f"celery-{version('celery')}"
    archive = cache / f"{release}.tar.gz"
    requirement = locked(release.replace("-", "=="))
    if not (archive.exists() and has_hash(archive, requirement)):
        download(requirement, archive)
    with tarfile.open(archive) as source:
        members = [member for member in source if member.isfile() and WANTED.fullmatch(member.name.partition("/")[2])]
        source.extractall(cache, members, filter="data")
    return cache / release


def locked(requirement: str) -> str:
    """Return the lines of the lock file that pin a requirement, with its hashes.

    Raises:
        SourceUnavailable: There are none.
    """
    pinned = re.search(rf"^{re.escape(requirement)} \\\n(?: +--hash=\S+(?: \\)?\n)+", LOCK.read_text(), re.MULTILINE)
    if pinned is None:
        raise SourceUnavailable(f"{LOCK} does not pin {requirement}, which is installed. Run `make venv` anew.")
    return pinned.group()


def has_hash(archive: Path, requirement: str) -> bool:
    """Tell whether a file is one of those that the requirement pins."""
    return f"sha256:{hashlib.sha256(archive.read_bytes()).hexdigest()}" in requirement


def download(requirement: str, archive: Path) -> None:
    """Have pip fetch the source package from whatever index it is set up for, and check its hash.

    Raises:
        SourceUnavailable: It could not be had; says what pip said.
    """
    archive.parent.mkdir(parents=True, exist_ok=True)
    what = ["--no-deps", "--no-binary", "celery", "--require-hashes", "--requirement", "/dev/stdin"]
    pip = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", *what, "--dest", archive.parent],
        input=requirement,
        capture_output=True,
        text=True,
        check=False,
    )
    if pip.returncode or not (archive.exists() and has_hash(archive, requirement)):
        raise SourceUnavailable(
            f"The source package of {archive.stem} could not be downloaded, so there is nothing to run. "
            f"Put {archive.name} into {archive.parent} by hand, or look at what pip says:\n{pip.stderr.strip()}"
        )
