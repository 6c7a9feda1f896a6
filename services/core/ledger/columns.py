"""Column types that mean the same on SQLite and on PostgreSQL."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ColumnElement,
    DateTime,
    Dialect,
    Enum,
    Integer,
    Text,
    false,
    or_,
)
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.types import TypeDecorator

from services.core.ledger.states import Lifecycle, State

BIG_KEY = BigInteger().with_variant(Integer, "sqlite")
"""A key that the database counts up; SQLite does so for ``INTEGER`` only."""

STATE = Enum(State, native_enum=False, length=20, values_callable=lambda states: [s.value for s in states])


class UtcDateTime(TypeDecorator[datetime]):
    """An instant; goes in with any time zone and always comes out in UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Turn an instant into UTC; refuse a wall-clock time, which names no instant."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Give an instant in UTC; SQLite keeps no time zone, PostgreSQL answers in the session's."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class PlainText(TypeDecorator[str]):
    """Text of any origin; what a database cannot hold is replaced, so that no input stops a record."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Replace NUL, which PostgreSQL refuses, and lone surrogates, which UTF-8 cannot express."""
        if value is None:
            return None
        return value.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode("utf-8")


def states_of(lifecycle: Lifecycle, column: str) -> CheckConstraint:
    """Confine a column to the states of a lifecycle."""
    words = ", ".join(f"'{state}'" for state in lifecycle.states)
    return CheckConstraint(f"{column} IN ({words})", name=column)


def may_become(column: InstrumentedAttribute[State], lifecycle: Lifecycle, target: State) -> ColumnElement[bool]:
    """Say in SQL that a row is in a state from which it may move to ``target``."""
    return or_(false(), *(column == source for source in sorted(lifecycle.sources(target))))
