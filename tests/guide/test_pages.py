"""Every page of the guide is followed as it stands: what it writes, what it runs, and what that prints."""

from __future__ import annotations

import pytest

from tests.guide.leftovers import refuse_leftovers
from tests.guide.pages import pages

SECONDS = 400
"""A page starts ten workers and more, each of which takes ten seconds where others work as well."""
_, *PAGES = pages()
RECIPES = {
    "recipe-email": pytest.mark.concept("the e-mail system"),
    "recipe-files": pytest.mark.concept("the file workflow"),
}


@pytest.mark.timeout(SECONDS)
@pytest.mark.parametrize("page", [pytest.param(page, id=page.stem, marks=RECIPES.get(page.stem, ())) for page in PAGES])
def test_page(fleet, page):
    with fleet.reader(page) as reader:
        reader.follow()
    refuse_leftovers()
