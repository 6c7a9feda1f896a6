"""Reads a file of variables, with ``NAME=value`` on each line."""

from __future__ import annotations

import re
from pathlib import Path

from shared.errors import InvalidSettings

QUOTES = ("'", '"')
QUOTED = re.compile(r"""\s*(["'])(.*?)\1\s*(?:\s#.*)?""")
COMMENT = re.compile(r"\s#.*")


def read_env_file(path: Path) -> dict[str, str]:
    """Return the variables in a file by name; there are none where there is no file.

    A value is taken as it stands between its quotes; one without goes as far as a ``#`` after a blank.

    Raises:
        InvalidSettings: The file can't be read, or a line is not that of a variable; shows nothing of the line.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise InvalidSettings(f"The file {str(path)!r} can't be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise InvalidSettings(f"The file {str(path)!r} can't be read: it is not UTF-8.") from None
    return dict(
        _variable(line, f"{path}, line {number}")
        for number, line in enumerate(lines, 1)
        if line.strip() and not line.lstrip().startswith("#")
    )


def _variable(line: str, where: str) -> tuple[str, str]:
    before, equals, after = line.partition("=")
    name = before.strip().removeprefix("export ").lstrip()
    quoted = QUOTED.fullmatch(after)
    value = quoted[2] if quoted else COMMENT.sub("", after).strip()
    if not equals or not name.isidentifier() or (quoted is None and value.startswith(QUOTES)):
        raise InvalidSettings(f"{where}: write NAME=value, with quotes around the whole value or with none.")
    return name, value
