"""Arguments are shown as Celery shows them, whatever they are."""

from __future__ import annotations

from celery.utils.saferepr import saferepr
from hypothesis import example, given
from hypothesis import strategies as st

from shared.prepared.brief import brief

LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30) | st.binary(max_size=5)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=6), inner, max_size=3)
        | st.sets(st.integers(), max_size=3)
    ),
    max_leaves=12,
)


@given(VALUES, st.sampled_from([20, 60, 1024]), st.sampled_from([1, 2, 3]))
@example(("it's", 'a "quote"', "back\\slash", "line\n"), 1024, 3)
@example([[[["deep"]]]], 1024, 3)
@example(("x" * 2000,), 1024, 3)
def test_it_is_what_celery_shows(value, most, levels):
    assert brief(value, most, levels) == saferepr(value, maxlen=most, maxlevels=levels)
