"""Where RabbitMQ lies on this machine, and a leaner view of it that starts in half the time."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from services.core.local.errors import NotInstalled

SCRIPTS = (
    "/usr/lib/rabbitmq/bin/rabbitmq-server",
    "/opt/homebrew/opt/rabbitmq/sbin/rabbitmq-server",
    "/usr/local/opt/rabbitmq/sbin/rabbitmq-server",
    "/opt/rabbitmq/sbin/rabbitmq-server",
)
"""RabbitMQ's own start script in Debian and Fedora, Homebrew, and the official image.

What Debian has on the path is a wrapper that changes to the user ``rabbitmq`` and refuses all others.
"""

APPLICATIONS = re.compile(r"\{applications,\s*\[(.*?)\]", re.DOTALL)


def find_rabbitmq() -> Path:
    """Find the folder that holds RabbitMQ's ``sbin`` and ``plugins``.

    Raises:
        NotInstalled: There is none in the usual places or on the path.
    """
    for script in (*SCRIPTS, shutil.which("rabbitmq-server")):
        tree = Path(script or "/").resolve().parent.parent
        if (tree / "sbin" / "rabbitmq-env").exists():
            return tree
    raise NotInstalled("rabbitmq-server")


def find_erlang_program(name: str) -> Path:
    """Find one of the programs that come with Erlang, such as ``epmd``.

    Raises:
        NotInstalled: Erlang is not on the path, or lacks it.
    """
    if on_path := shutil.which(name):
        return Path(on_path)
    erlang = Path(shutil.which("erl") or "/").resolve().parent.parent
    for program in sorted(erlang.glob(f"erts-*/bin/{name}"), reverse=True):
        return program
    raise NotInstalled(f"{name} (a part of Erlang)")


def link_lean_tree(tree: Path, target: Path, plugins: Iterable[str]) -> Path:
    """Link a RabbitMQ installation below ``target``, without the plugins that stay off.

    Erlang looks for each of a thousand modules in every plugin's folder, enabled or not: with RabbitMQ 3.10 that
    is half of the time that a node takes to start.

    Returns:
        The new tree, or the given one where its plugins are not folders, or where the path of ``target`` holds a
        space (RabbitMQ's scripts do not quote it).
    """
    folders = {folder.name.partition("-")[0]: folder for folder in tree.glob("plugins/*") if folder.is_dir()}
    if "rabbit" not in folders or " " in str(target):
        return tree
    needed = _with_dependencies(folders, ["rabbit", *plugins])
    shutil.rmtree(target, ignore_errors=True)
    (target / "plugins").mkdir(parents=True)
    for part in tree.iterdir():
        if part.name != "plugins":
            (target / part.name).symlink_to(part)
    for name, folder in folders.items():
        if name in needed or not name.startswith("rabbitmq_"):
            (target / "plugins" / folder.name).symlink_to(folder)
    return target


def _with_dependencies(folders: dict[str, Path], names: Iterable[str]) -> set[str]:
    needed: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in folders and name not in needed:
            needed.add(name)
            described = (folders[name] / "ebin" / f"{name}.app").read_text(encoding="utf-8")
            listed = APPLICATIONS.search(described)
            waiting.extend(re.findall(r"\w+", listed.group(1)) if listed else [])
    return needed
