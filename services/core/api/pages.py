"""Lists, page by page."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query
from fastapi.encoders import jsonable_encoder

from services.core.usecases.records import Page

MOST = 1000
LARGEST_NUMBER = 2**63 - 1
"""The largest that a column holds."""
Limit = Annotated[int, Query(ge=1, le=MOST, description="How many entries at most.")]
After = Annotated[
    str | None, Query(max_length=64, description="Where the page before ended: its `after`.", examples=[None])
]


def page(found: Page[Any, Any]) -> dict[str, Any]:
    """Return a page as plain data: ``entries``, and in ``after`` what asks for the next page, if there is one."""
    return {"entries": jsonable_encoder(found.entries), "after": found.after}
