"""Canvases as trees of names, what Celery makes of them, and what their result is.

A name is a task, which says what was done to what: ``b(a(x))``.  The other nodes are ``Chain``, ``Group`` and
``Chord``.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

from celery import Signature, chain, chord, group

from tests.fixtures.canvas import Deal
from tests.fleet.canvas_tasks import app, shown


class Chain(NamedTuple):
    steps: tuple[Tree, ...]


class Group(NamedTuple):
    members: tuple[Tree, ...]


class Chord(NamedTuple):
    header: tuple[Tree, ...]
    body: Tree


Tree: TypeAlias = "str | Chain | Group | Chord"

EMPTY = Group(())

CONTENTS: dict[str, Tree] = {
    "task": "a",
    "chain": Chain(("a", "b")),
    "group": Group(("a", "b")),
    "chord": Chord(("a", "b"), "c"),
    "empty group": EMPTY,
    "group of one": Group(("a",)),
    "chain of one": Chain(("a",)),
    "empty chord": Chord((), "c"),
    "chord of one": Chord(("a",), "c"),
    "group of chains": Group((Chain(("a", "b")), Chain(("c", "d")))),
}
"""What may stand in a place of a canvas."""


def first_step(tree: Tree) -> Tree:
    return Chain((tree, "y", "z"))


def middle_step(tree: Tree) -> Tree:
    return Chain(("x", tree, "z"))


def last_step(tree: Tree) -> Tree:
    return Chain(("x", "y", tree))


def member(tree: Tree) -> Tree:
    return Group(("x", tree, "y"))


def header_member(tree: Tree) -> Tree:
    return Chord(("x", tree), "z")


def whole_header(tree: Tree) -> Tree:
    return Chord((tree,), "z")


def body(tree: Tree) -> Tree:
    return Chord(("x", "y"), tree)


PLACES = (first_step, middle_step, last_step, member, header_member, whole_header, body)
"""The places of a canvas that something may stand in."""


def canvas(tree: Tree, deal: Deal) -> Signature:
    """Build the canvas, with its tasks dealt out."""
    match tree:
        case Chain(steps):
            return chain(*(canvas(step, deal) for step in steps))
        case Group(members):
            return group([canvas(member, deal) for member in members], app=app)
        case Chord(header, body):
            return chord([canvas(member, deal) for member in header], canvas(body, deal), app=app)
        case name:
            return deal.step(name)


def result(tree: Tree, *given: Any) -> Any:
    """Say what the canvas returns when it is called with arguments."""
    match tree:
        case Chain(steps):
            for step in effective(steps):
                given = (result_inside(step, *given),)
            return given[0]
        case Group(members):
            return [result(member, *given) for member in flat(members)]
        case Chord(header, body):
            return result_inside(body, [result(member, *given) for member in turned(header)])
        case name:
            return shown(str(name), given)


def result_inside(tree: Tree, *given: Any) -> Any:
    """The same for what is a part of a chain or the body of a chord, where Celery turns the groups inside a group."""
    return result(Group(turned(tree.members)) if isinstance(tree, Group) else tree, *given)


def effective(steps: tuple[Tree, ...]) -> list[Tree]:
    """What Celery makes of the steps of a chain: a group of one is its member, an empty group is no step."""
    unrolled: list[Tree] = []
    for step in steps:
        inner = step
        while isinstance(inner, Group) and len(inner.members) == 1:
            inner = inner.members[0]
        unrolled += effective(inner.steps) if isinstance(inner, Chain) else [inner]
    return [step for step in unrolled if step != EMPTY] or unrolled[:1]


def flat(members: tuple[Tree, ...]) -> list[Tree]:
    """A group in a group is as many members."""
    return [each for member in members for each in (flat(member.members) if isinstance(member, Group) else [member])]


def turned(members: tuple[Tree, ...]) -> tuple[Tree, ...]:
    """The same as Celery does it in a header: the members of a group in a group come turned round."""
    waiting, ready = list(members), []
    while waiting:
        member = waiting.pop(0)
        if isinstance(member, Group):
            waiting = [*reversed(member.members), *waiting]
        else:
            ready.append(member)
    return tuple(ready)
