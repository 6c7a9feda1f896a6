"""The page of figures says what was measured: what holds, what loses, and what failed."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from benchmarks.comparisons import COMPARISONS
from benchmarks.gates import GATES
from benchmarks.harness import Failed, Kind, Measured, Series, Way, interleave
from benchmarks.pages import PARTS
from benchmarks.plots import bar_chart, shown
from benchmarks.report import page_of, write
from benchmarks.results import Results, load, store


def series(key="drain-redis", *, more_is_better=True, **medians):
    """A series with one value for each way, which begins with its kind: ``ours_threads=5``."""
    found = [
        Measured(name.partition("_")[2], Kind(name.partition("_")[0]), [float(value)])
        for name, value in medians.items()
    ]
    return Series(key, "tasks/s", more_is_better, found, rounds=1, taken="2026-11-21 12:00 UTC")


def row(page, beginning):
    """The cells of the one row of a page that begins so."""
    (line,) = [line for line in page.splitlines() if line.startswith(f"| {beginning}")]
    return [cell.strip() for cell in line.strip("|").split("|")]


def results(*found):
    return Results({each.key: each for each in found}, {"memory": "4 GiB"})


@pytest.mark.parametrize(("ours", "held"), [(3000, "yes"), (1900, "**no**")])
def test_a_gate_that_does_not_hold_is_shown_so(ours, held):
    page = page_of(results(series(ours_threads=ours, stock_solo=1000, stock_threads=900)))
    cells = row(page, "drain no-ops, Redis, 2 processes | ÷ best stock pool")
    assert cells[2:5] == [f"{ours / 1000:.2f} ×", "at least 2.00 ×", held]


@pytest.mark.parametrize(
    ("value", "written"),
    [(0, "0.00 s"), (0.001523, "0.0015 s"), (0.1, "0.10 s"), (3.256, "3.26 s"), (31.6, "31.6 s"), (5488.4, "5,488 s")],
)
def test_a_value_has_the_digits_that_mean_something(value, written):
    assert shown(value, "s") == written


def test_what_was_not_measured_holds_nothing():
    cells = row(page_of(results(series(ours_threads=1))), "chord of 10,000 | as fast as the best stock pool")
    assert cells[2:] == ["not measured", "at least 3.00 ×", "–", "at least 6.00 ×", "–"]


def test_of_times_the_shorter_one_is_the_better():
    page = page_of(results(series("chord", more_is_better=False, ours_threads=2, stock_solo=8, stock_threads=5)))
    assert row(page, "chord of 10,000 | as fast as the best stock pool")[2:5] == ["2.50 ×", "at least 3.00 ×", "**no**"]


def test_who_is_faster_stands_above_the_fleet():
    page = page_of(results(series(ours_threads=1000, peer_Huey=2000, stock_solo=500)))
    assert page.index("| Huey") < page.index("| **threads**") < page.index("| solo")
    assert row(page, "Huey")[-1] == "0.50 ×"


def test_a_way_that_failed_is_shown_with_its_reason():
    found = series(ours_threads=1000)
    found.found.append(Measured("RQ", Kind.PEER, [5.0], failed='It ended: "/srv/some/rq/x.py" | rq'))
    assert row(page_of(results(found)), "RQ") == ["RQ", "failed", 'It ended: "…/x.py" / rq', "–"]


def test_others_are_compared_with_the_way_that_a_series_names():
    found = series("urgency", more_is_better=False, ours_idle=1, ours_busy=10, stock_busy=30)
    found.found[2].name = "Celery"
    found.beside = "busy"
    assert row(page_of(results(found)), "Celery")[-1] == "3.00 ×"
    found.beside = ""
    assert row(page_of(results(found)), "Celery")[-1] == "–"


def test_a_comparison_that_failed_as_a_whole_is_shown_with_its_reason():
    page = page_of(Results(failed={"campaign": "StartFailed: no memory"}))
    assert "## Campaigns" in page
    assert "**`campaign` failed when it was run last**: StartFailed: no memory" in page


def test_a_failure_drops_out_and_the_others_go_on():
    def fail():
        raise Failed("It took longer than 9 s.")

    told: list[str] = []
    good, bad = interleave([Way("good", Kind.OURS, lambda: 7.0), Way("bad", Kind.PEER, fail)], 3, told.append)
    assert len(told) == 4
    assert (good.values, good.failed) == ([7.0, 7.0, 7.0], None)
    assert (bad.values, bad.failed, bad.median) == ([], "It took longer than 9 s.", None)


def test_what_is_kept_comes_back(tmp_path):
    kept = results(series(ours_threads=1.5, peer_Huey=2))
    kept.series["drain-redis"].facts["loss"] = 0.25
    kept.failed["chord"] = "StartFailed: no memory"
    store(kept, tmp_path / "results.json")
    assert load(tmp_path / "results.json") == kept
    assert load(tmp_path / "none.json") == Results()


def test_a_chart_is_well_formed_and_has_a_bar_for_each_that_was_measured():
    found = series(ours_threads=10, peer_Huey=20)
    found.found += [Measured("a <b> & c", Kind.STOCK, [5.0, 30.0]), Measured("gone", Kind.PEER, failed="why")]
    chart = ET.fromstring(bar_chart(found, "Rates & more"))
    bars = [each.get("class") for each in chart.iter("{http://www.w3.org/2000/svg}rect")]
    assert bars == ["peer", "stock", "ours"]


def test_pictures_lie_where_the_page_looks_for_them(tmp_path):
    write(results(series(ours_threads=10, peer_Huey=20)), tmp_path / "performance.md")
    assert "](pictures/performance-drain-redis.svg)" in (tmp_path / "performance.md").read_text()
    assert [path.name for path in (tmp_path / "pictures").iterdir()] == ["performance-drain-redis.svg"]


def test_each_comparison_has_its_part_of_the_page():
    named = {name for part in PARTS for name in part.name.split(" --only ")}
    assert named == set(COMPARISONS)


def test_each_gate_has_a_gate_or_a_stretch_and_the_stretch_is_the_harder_one():
    for gate in GATES:
        assert gate.gate is not None or gate.stretch is not None
        if gate.gate is not None and gate.stretch is not None:
            assert (gate.stretch < gate.gate) is gate.at_most
