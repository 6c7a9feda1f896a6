"""Counts by state, made by the database."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from services.core.ledger.states import Lifecycle, State


def count_by_state(
    session: Session, column: InstrumentedAttribute[State], lifecycle: Lifecycle, condition: ColumnElement[bool]
) -> dict[State, int]:
    """Count the rows that meet a condition by their state; a state without rows counts 0."""
    counts = dict.fromkeys(lifecycle.states, 0)
    counts.update(session.execute(select(column, func.count()).where(condition).group_by(column)).all())
    return counts


def count_by_owner(
    session: Session,
    owner: InstrumentedAttribute[str],
    owners: Sequence[str],
    column: InstrumentedAttribute[State],
    lifecycle: Lifecycle,
) -> dict[str, dict[State, int]]:
    """Count the rows of several owners by their state, in one query; a state without rows counts 0."""
    counts = {name: dict.fromkeys(lifecycle.states, 0) for name in owners}
    query = select(owner, column, func.count()).where(owner.in_(owners)).group_by(owner, column)
    for name, state, number in session.execute(query).all():
        counts[name][state] = number
    return counts
