"""The comparisons, by the names that ``--only`` takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from benchmarks.bench import Bench
from benchmarks.comparisons import campaigns, chords, costs, depth, draining, images, publishing, start, urgency
from benchmarks.harness import Series

COMPARISONS: dict[str, Callable[[Bench], Iterator[Series]]] = {
    "drain-redis": draining.drain_redis,
    "drain-rabbitmq": draining.drain_rabbitmq,
    "publish": publishing.publish,
    "bulk": publishing.bulk,
    "group": publishing.groups,
    "chord": chords.chords,
    "start": start.start,
    "campaign": campaigns.campaigns,
    "images": images.images,
    "urgency": urgency.urgency,
    "depth": depth.depth,
    "costs": costs.costs,
}
