"""Renders a node's readings in the Prometheus text format; the only module that knows prometheus_client.

Nothing is counted here: the packet path bumps plain integers, and this collector reads them when somebody scrapes.
Each node has its own registry, so that several nodes in one process do not mix.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric as Family
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from node.metrics.names import CATALOGUE, Kind, Metric
from node.metrics.readings import Observation, Reading, readings

__all__ = ["CONTENT_TYPE", "NodeCollector"]

CONTENT_TYPE: str = CONTENT_TYPE_LATEST


class NodeCollector(Collector):
    """Exposes one node. observe: called once per scrape, in the thread of the event loop."""

    def __init__(self, observe: Callable[[], Observation]) -> None:
        self._observe = observe
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def render(self) -> bytes:
        """The whole exposition, in the format that CONTENT_TYPE names."""
        return generate_latest(self._registry)

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
