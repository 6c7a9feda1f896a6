"""What is known of one chord, and what its members' outcomes make of it."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, NamedTuple, Self, TypeAlias

from celery.canvas import Signature
from celery.result import GroupResult, ResultBase
from celery.utils.functional import _regen
from kombu.utils.json import dumps, loads

Tree: TypeAlias = "str | list[Tree]"
"""Task ids in the form of the results: that of a member, or a list for one that is a group."""
ADDED = inf
"""The place of a member that was added to the header later."""
UNKNOWN = -1.0
"""The place of a member that did not report by itself."""


class Member(NamedTuple):
    """A member of a header; in Celery two may bear the same task id, at different places."""

    task_id: str
    place: float


def member_of(name: bytes, kept: bytes) -> tuple[Member, bytes]:
    """Return a member and its outcome from what is kept."""
    place, _, outcome = kept.partition(b" ")
    return Member(name.decode().partition(" ")[0], float(place)), outcome


@dataclass(frozen=True, slots=True)
class Record:
    """A chord whose body was not published yet."""

    id: str
    """The id of its header's group."""
    body: str
    """The signature of the body, as JSON."""
    members: str
    """The tree of the members' task ids as JSON; empty for a header that is a generator."""
    seconds: float
    """How long after the publishing of its header its deadline is."""
    asked: bool
    """Whether the caller chose it."""
    size: int | None = None
    """How many members have to report; unknown until the last one is about to be published."""
    deadline: float = 0.0
    """In seconds since the epoch, by the clock of shared state."""
    life: int = 0
    """How often it was reopened."""
    pause: float = 0.0
    """How long the watch has left it alone since it last heard of a member."""

    @classmethod
    def of(cls, chord: str, header: Sequence[ResultBase], body: Signature, seconds: float, *, asked: bool) -> Self:
        """Make the record of a chord that is about to be published."""
        # A generator is published while it runs, so that a long header never lies in memory as a whole.
        tree = "" if isinstance(header, _regen) else dumps([tree_of(result) for result in header])
        return cls(chord, dumps(body), tree, seconds, asked)

    @classmethod
    def decode(cls, chord: str, fields: Mapping[bytes, bytes]) -> Self | None:
        """Return it from what is kept; ``None`` when nothing is, or its body is gone."""
        kept = {name.decode(): value.decode() for name, value in fields.items()}
        if "body" not in kept:
            return None
        size = int(kept["size"]) + int(kept.get("more", 0)) if "size" in kept else None
        return cls(
            chord,
            kept["body"],
            kept["members"],
            float(kept["seconds"]),
            kept["asked"] == "1",
            size,
            float(kept["deadline"]),
            int(kept["life"]),
            float(kept.get("pause", 0)),
        )

    @property
    def tree(self) -> list[Tree] | None:
        """The task ids of the members; ``None`` where they are not known."""
        return loads(self.members) if self.members else None

    @property
    def task_ids(self) -> list[str]:
        """The task ids of the members that are known."""
        return list(leaves(self.tree or []))

    def body_of(self, app: Any) -> Signature:
        """Return the signature of the body."""
        return Signature.from_dict(loads(self.body), app=app)


def tree_of(result: ResultBase) -> Tree:
    """Return the task ids of a result that is about to be."""
    if isinstance(result, GroupResult):
        return [tree_of(each) for each in result.results]
    return str(result.id)


def leaves(tree: str | Sequence[Tree]) -> Iterator[str]:
    """Yield the task ids of a tree, in order."""
    if isinstance(tree, str):
        yield tree
    else:
        for branch in tree:
            yield from leaves(branch)


def in_order(tree: Sequence[Tree] | None, outcomes: Mapping[Member, Any]) -> list[Any]:
    """Return what members gave in the form of their results; those that were added later come last.

    Args:
        tree: The task ids; ``None`` where they are not known.
        outcomes: What each member gave.
    """
    placed = sorted(outcomes, key=lambda member: member.place)
    left: defaultdict[str, deque[Any]] = defaultdict(deque)
    for member in placed:
        left[member.task_id].append(outcomes[member])

    def taken(branch: Tree) -> Any:
        return left[branch].popleft() if isinstance(branch, str) else [taken(each) for each in branch]

    if tree is None or any(wanted > len(left[each]) for each, wanted in Counter(leaves(tree)).items()):
        return [outcomes[member] for member in placed]
    return [*(taken(branch) for branch in tree), *(value for member in placed for value in _rest(left, member))]


def _rest(left: Mapping[str, deque[Any]], member: Member) -> Iterator[Any]:
    while left[member.task_id]:
        yield left[member.task_id].popleft()


def ends_of(sig: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the tasks of a canvas that end last, each of which may be a member of a chord around it."""
    kind, inner = sig.get("subtask_type"), sig.get("kwargs") or {}
    if kind == "chain" and inner.get("tasks"):
        yield from ends_of(inner["tasks"][-1])
    elif kind == "group":
        for task in inner.get("tasks") or ():
            yield from ends_of(task)
    elif kind == "chord" and inner.get("body") is not None:
        yield from ends_of(inner["body"])
    elif kind is None:
        yield sig
