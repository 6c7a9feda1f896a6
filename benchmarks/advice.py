"""Which pool and settings suit which work, as far as the figures say: pure, from results alone."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.gates import Found
from benchmarks.harness import Kind, Series
from benchmarks.plots import shown

HEADING = "## Which pool and settings suit which work\n"
URGENT = "Switchyard, threads, urgent queue"
ALWAYS = """\
- **Work that computes** (images, documents): prefork, as many children as cores. Only there can a task be killed at its
  time limit, a child be replaced that has had too much memory, and two tasks of one worker compute at once.
- **Work that waits for others** (mail, HTTP): threads; some hundred at once: gevent. Such a worker has one core.
"""


def advice(found: Found) -> str:
    """Return the section of the page."""
    return "\n".join([HEADING, *_from_figures(found), ALWAYS])


def _from_figures(found: Found) -> Iterator[str]:
    for key, broker in (("drain-redis", "Redis"), ("drain-rabbitmq", "RabbitMQ")):
        if key in found:
            yield from _of_drain(found[key], broker)
    if "bulk-redis" in found and "publish-redis" in found:
        yield from _of_bulk(found)


def _of_drain(series: Series, broker: str) -> Iterator[str]:
    bulk = [each for each in series.found if each.kind is Kind.OURS and each.name != URGENT and each.median is not None]
    if len(bulk) > 1:
        ranked = sorted(bulk, key=lambda each: -(each.median or 0.0))
        rates = ", ".join(f"{each.name.removeprefix('Switchyard, ')} {each.median:,.0f}/s" for each in ranked)
        best = ranked[0].name.removeprefix("Switchyard, ")
        yield f"- **Many short tasks, {broker}**: {best}. By pool, two workers: {rates}."
    urgent, threads = series.named(URGENT), series.named("Switchyard, threads")
    if urgent and threads and urgent.median and threads.median:
        yield (
            f"- **Urgent work, {broker}**: prefetch 1, the default of a row, so that what is urgent overtakes "
            f"what waits. With threads that is {urgent.median:,.0f}/s, and {threads.median:,.0f}/s with `prefetch=64`, "
            "which a row of the queue table can ask for where nothing is urgent."
        )


def _of_bulk(found: Found) -> Iterator[str]:
    bulk, one = found["bulk-redis"].best(Kind.OURS), found["publish-redis"].best(Kind.OURS)
    if bulk and one and bulk.median and one.median:
        yield (
            "- **More than some dozen messages at once**: `publish_many`, a group or a map: "
            f"{shown(bulk.median, 'messages/s')} instead of {shown(one.median, 'messages/s')}, on Redis."
        )
