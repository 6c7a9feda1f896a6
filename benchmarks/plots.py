"""Bar charts as SVG, for light and dark pages alike: pure, from series alone."""

from __future__ import annotations

from html import escape

from benchmarks.harness import Kind, Measured, Series

WIDTH, LABELS, NUMBERS = 800, 270, 150
ROW, BAR, TOP, BOTTOM = 26, 16, 14, 14
STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #24292f }
  .value { font-variant-numeric: tabular-nums }
  .ours { fill: #0969da } .stock { fill: #8c959f } .peer { fill: #bf8700 } .limit { fill: #d0d7de }
  .spread { stroke: #24292f; stroke-width: 1.5; opacity: .55 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .ours { fill: #4493f8 } .stock { fill: #848d97 } .peer { fill: #d29922 } .limit { fill: #3d444d }
    .spread { stroke: #e6edf3 }
  }
"""


def bar_chart(series: Series, title: str) -> str:
    """Return a bar for each median, the best on top, and over it a line from the least value to the greatest."""
    rows = [each for each in series.found if each.median is not None]
    rows.sort(key=lambda each: each.median or 0.0, reverse=series.more_is_better)
    longest = max((each.spread[1] for each in rows if each.spread), default=1.0) or 1.0
    height = TOP + ROW * len(rows) + BOTTOM
    scale = (WIDTH - LABELS - NUMBERS) / longest
    bars = "\n".join(_row(each, TOP + ROW * number, scale, series.unit) for number, each in enumerate(rows))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'role="img" aria-label="{escape(title)}">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n{bars}\n</svg>\n"
    )


def shown(value: float, unit: str) -> str:
    """Write a value with three or four digits that mean something, and its unit."""
    digits = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 0.05 or not value else 4
    return f"{value:,.{digits}f} {unit}"


def _row(measured: Measured, top: int, scale: float, unit: str) -> str:
    median, (least, most) = measured.median or 0.0, measured.spread or (0.0, 0.0)
    middle, text = top + BAR / 2, top + BAR - 3
    width, first, last = max(1.0, median * scale), LABELS + least * scale, LABELS + max(most, median) * scale
    weight = ' font-weight="600"' if measured.kind is Kind.OURS else ""
    return "\n".join(
        (
            f'<text x="{LABELS - 10}" y="{text}" text-anchor="end"{weight}>{escape(measured.name)}</text>',
            f'<rect class="{measured.kind.value}" x="{LABELS}" y="{top}" width="{width:.1f}" height="{BAR}" rx="2"/>',
            f'<line class="spread" x1="{first:.1f}" x2="{last:.1f}" y1="{middle:.1f}" y2="{middle:.1f}"/>',
            f'<text class="value" x="{last + 8:.1f}" y="{text}">{escape(shown(median, unit))}</text>',
        )
    )
