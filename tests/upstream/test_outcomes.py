from __future__ import annotations

from tests.upstream.outcomes import Comparison, Outcome, best

PASSED, FAILED, NOT_RUN = Outcome.PASSED, Outcome.FAILED, Outcome.NOT_RUN


def test_what_passes_on_one_broker_alone_is_a_regression_unless_it_is_excused():
    one = {"a": PASSED, "b": PASSED, "c": PASSED, "d": FAILED, "e": PASSED}
    three = {"a": PASSED, "b": FAILED, "c": FAILED, "d": FAILED, "e": NOT_RUN}

    comparison = Comparison(one, three, premises={"c": "needs one worker", "a": "no longer"})

    assert comparison.regressions == ["b", "e"]
    assert comparison.excused == ["c"]


def test_a_test_is_judged_by_the_best_of_its_tries():
    assert best([{"a": FAILED, "b": PASSED}, {"a": PASSED}]) == {"a": PASSED, "b": PASSED}
