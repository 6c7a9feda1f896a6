"""Write ``docs/performance.md`` and its pictures from what was measured: pure but for the writing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmarks.advice import advice
from benchmarks.gates import GATES, Found, Gate
from benchmarks.harness import Kind, Measured, Series
from benchmarks.pages import PARTS, Part
from benchmarks.plots import bar_chart, shown
from benchmarks.processes import ROOT
from benchmarks.results import Results

PAGE = ROOT / "docs/performance.md"
PICTURES = "pictures"
FOLDERS = re.compile(r"(?<![\w.:/])/(?:[^\s/\"']+/)+")
"""The folders of an absolute path, none of a URL."""
INTRODUCTION = """\
# Performance, side by side

How fast Switchyard is, beside stock Celery, its peers, and the brokers' own clients. All figures are of `make bench`,
which anybody can repeat: each way is measured in turn, round by round, on the same servers, and medians count. What
loses is shown as losing. [Reliability, side by side](reliability.md) has what the speed may not cost.

Switchyard runs with every promise on: late acknowledgement, leases, confirms, metrics. The peers have their best
documented settings, each with its source in `benchmarks/peers`. Redis has the fleet's configuration (append-only file,
synced before each answer) for all of them; the servers' files lie in memory, so that the figures show the software and
not a disk.
"""
REPEAT = """\
## How to repeat it

```sh
make bench                                     # all of it, on a machine that does nothing else
python -m benchmarks --only drain-redis        # one comparison; the others keep their figures
python -m benchmarks --only chord --rounds 5
python -m benchmarks --quick                   # a tenth of the work, to see that it runs; writes no page
python -m benchmarks --report                  # this page anew, from var/benchmarks/results.json
```

`benchmarks/peers/install` makes the peers' environments below `var/benchmarks`, pinned with hashes in
`benchmarks/peers`; they are no requirements of Switchyard.
"""


def write(results: Results, page: Path = PAGE) -> None:
    """Write the page, and a picture of each series beside it."""
    pictures = page.parent / PICTURES
    pictures.mkdir(parents=True, exist_ok=True)
    page.write_text(page_of(results), encoding="utf-8")
    for part in PARTS:
        for key, title in part.series:
            if has_chart(results.series.get(key)):
                (pictures / f"performance-{key}.svg").write_text(
                    bar_chart(results.series[key], title), encoding="utf-8"
                )


def page_of(results: Results) -> str:
    """Return the page."""
    parts = [
        INTRODUCTION,
        *([_gates(results.series)] if results.series else []),
        *([_machine(results.machine)] if results.machine else []),
        *(_part(part, results) for part in PARTS if _is_known(part, results)),
        advice(results.series),
        REPEAT,
    ]
    return "\n".join(part for part in parts if part)


def has_chart(series: Series | None) -> bool:
    """Tell whether a picture says more than the table."""
    return series is not None and sum(each.median is not None for each in series.found) > 1


def _gates(found: Found) -> str:
    lines = [
        "## What was promised",
        "",
        "| work | measured | value | gate | held | stretch | held |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *(_gate(gate, found) for gate in GATES),
    ]
    return "\n".join(lines) + "\n"


def _gate(gate: Gate, found: Found) -> str:
    value = gate.value(found)
    cells = [
        gate.work,
        gate.measure,
        "not measured" if value is None else _with_unit(value, gate.unit),
        _limit(gate, gate.gate),
        _held(gate.holds(found, gate.gate), "**no**"),
        _limit(gate, gate.stretch),
        _held(gate.holds(found, gate.stretch), "no"),
    ]
    return f"| {' | '.join(cells)} |"


def _with_unit(value: float, unit: str) -> str:
    return f"{value:.1%}" if unit == "share" else shown(value, unit)


def _limit(gate: Gate, limit: float | None) -> str:
    if limit is None:
        return "–"
    return f"{'at most' if gate.at_most else 'at least'} {_with_unit(limit, gate.unit)}"


def _held(held: bool | None, no: str) -> str:
    return "–" if held is None else "yes" if held else no


def _machine(machine: Mapping[str, object]) -> str:
    lines = [
        "## The machine",
        "",
        "| | |",
        "| --- | --- |",
        *(f"| {name} | {value} |" for name, value in machine.items()),
    ]
    return "\n".join(lines) + "\n"


def _names(part: Part) -> list[str]:
    return part.name.split(" --only ")


def _is_known(part: Part, results: Results) -> bool:
    return any(key in results.series for key, _ in part.series) or any(name in results.failed for name in _names(part))


def _part(part: Part, results: Results) -> str:
    found = results.series
    lines = [f"## {part.heading}", "", part.about, "", "```sh", f"python -m benchmarks --only {part.name}", "```", ""]
    for name in _names(part):
        if name in results.failed:
            lines += [f"**`{name}` failed when it was run last**: {_reason(results.failed[name])}", ""]
    for key, title in part.series:
        if key in found:
            lines += _series(found[key], title, alone=len(part.series) == 1)
    return "\n".join(lines)


def _series(series: Series, title: str, *, alone: bool) -> Iterator[str]:
    if not alone:
        yield from (f"### {title}", "")
    ours = series.reference()
    times = f"{series.beside or 'the best of Switchyard'}, as many times as good" if ours else ""
    yield f"| {title if alone else 'way'} | median | spread of {series.rounds} rounds | {times} |"
    yield "| --- | --- | --- | --- |"
    yield from (_row(each, series, ours) for each in _ranked(series))
    yield ""
    if has_chart(series):
        yield from (f"![{title}: a bar for each way.]({PICTURES}/performance-{series.key}.svg)", "")
    for name, value in series.facts.items():
        yield from (f"{name}: {_fact(value)}.", "")
    about = f"{series.amount:,} each round, " if series.amount else ""
    yield from (f"*{about}taken {series.taken}{', quick: a tenth of the work' if series.quick else ''}.*", "")


def _fact(value: object) -> str:
    return f"{value:,.3g}" if isinstance(value, float) else str(value)


def _ranked(series: Series) -> list[Measured]:
    def place(measured: Measured) -> tuple[bool, float]:
        median = measured.median
        return (median is None, 0.0 if median is None else -median if series.more_is_better else median)

    return sorted(series.found, key=place)


def _reason(text: str) -> str:
    """Fit a reason into a cell, without the folders of this machine."""
    return FOLDERS.sub("…/", text).replace("|", "/")


def _row(measured: Measured, series: Series, ours: Measured | None) -> str:
    name = f"**{measured.name}**" if measured.kind is Kind.OURS else measured.name
    median = measured.median
    if median is None:
        return f"| {name} | failed | {_reason(measured.failed or 'not measured')} | – |"
    least, most = measured.spread or (median, median)
    beside = "–"
    if ours is not None and ours.median and measured.kind is not Kind.OURS:
        beside = f"{(ours.median / median) if series.more_is_better else (median / ours.median):.2f} ×"
    spread = f"{shown(least, '').strip()} … {shown(most, '').strip()}"
    return f"| {name} | {shown(median, series.unit)} | {spread} | {beside} |"
