"""A node's readings for programs that already serve metrics of their own through prometheus_client, its only importer.

Nothing is counted here: the packet path bumps plain integers, and this collector reads them when somebody scrapes.
A node's own endpoint does without (`text.py`), because the library's renderer holds the event loop for milliseconds.

    prometheus_client.REGISTRY.register(NodeCollector(node.observe))
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector

from node.metrics.names import CATALOGUE, Kind, Metric
from node.metrics.readings import Observation, Reading, readings

__all__ = ["NodeCollector"]


class NodeCollector(Collector):
    """Exposes one node. observe: called once per scrape; a scrape must come from the thread of the event loop."""

    def __init__(self, observe: Callable[[], Observation]) -> None:
        self._observe = observe

    def collect(self) -> Iterator[Family]:
        seen = self._observe()
        families: dict[str, Family] = {}
        for reading in readings(seen):
            metric = CATALOGUE[reading.name]
            family = families.get(reading.name)
            if family is None:
                family = families[reading.name] = _family(metric)
            labels = {"node": seen.snapshot.name}
            labels.update(zip((label.name for label in metric.labels), reading.labels, strict=True))
            _add(family, metric, labels, reading)
        yield from families.values()

    def describe(self) -> list[Family]:
        """Nothing: registering must not read a node that has not started."""
        return []


def _family(metric: Metric) -> Family:
    return Family(metric.name.removesuffix("_total"), metric.help, str(metric.kind))


def _add(family: Family, metric: Metric, labels: dict[str, str], reading: Reading) -> None:
    if metric.kind is not Kind.HISTOGRAM:
        family.add_sample(metric.name, labels, reading.value)
        return
    assert reading.counts is not None, f"{metric.name} is a histogram without buckets"
    running = 0
    for bound, count in zip((*metric.bounds, float("inf")), reading.counts, strict=True):
        running += count
        family.add_sample(metric.name + "_bucket", {**labels, "le": _limit(bound)}, running)
    family.add_sample(metric.name + "_count", labels, running)
    family.add_sample(metric.name + "_sum", labels, reading.value)


def _limit(bound: float) -> str:
    return "+Inf" if math.isinf(bound) else repr(float(bound))
