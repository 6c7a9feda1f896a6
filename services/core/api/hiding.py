"""What is hidden from those who may see that something is there, and not what it says."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from fastapi.encoders import jsonable_encoder

from services.core.api.roles import ROLES, Act
from services.core.usecases.api_keys import KeyEntry

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

CONTENTS = frozenset({"args", "kwargs", "result", "exception", "traceback"})
"""Of tasks: may hold addresses and secrets."""


def plain(caller: KeyEntry, record: DataclassInstance) -> dict[str, Any]:
    """Return a record as plain data, without what tasks were given and said unless the caller may read that."""
    told: dict[str, Any] = jsonable_encoder(asdict(record))
    return told if caller.role in ROLES[Act.READ_TASK] else _hidden(told)


def _hidden(told: Any) -> Any:
    if isinstance(told, dict):
        return {name: None if name in CONTENTS else _hidden(value) for name, value in told.items()}
    return [_hidden(each) for each in told] if isinstance(told, list) else told
