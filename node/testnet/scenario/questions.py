"""Whether a probe can be asked at all: expressions and patterns that can be read, metrics and statistics that exist.

A question about something that no node has would be answered with `no data` for ever, and a run of a minute would tell
what can be known before it begins.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from node.metrics.names import CATALOGUE, Kind
from node.testnet.metrics.promql import BadQuery, Query
from node.testnet.scenario.scenario import ProbeKind
from node.testnet.scenario.wording import nearest

__all__ = ["wrong_question"]

OPEN_PARTS = ("connections", "links", "transport", "gossip_stats.hops", "peer_stats.members")
"""Parts of the statistics whose keys depend on what happens, or on the system."""


def wrong_question(kind: ProbeKind, subject: str) -> str:
    """What is wrong with what a probe asks for; "" if it can be asked."""
    try:
        if kind is ProbeKind.PROM:
            return _unknown_metric(Query(subject))
        if kind is ProbeKind.LOG:
            re.compile(subject)
    except (BadQuery, re.error) as error:
        return str(error)
    return _unknown_state(subject) if kind is ProbeKind.STATE else ""


def _unknown_metric(query: Query) -> str:
    known = _metrics()
    for name in query.metrics():
        if name not in known:
            return f"no node has the metric {name}; {nearest(name, known)}docs/METRICS.md has all of them"
    return ""


def _unknown_state(path: str) -> str:
    if any(path == part or path.startswith(f"{part}.") for part in OPEN_PARTS) or path in (known := _states()):
        return ""
    return f"no node has that number; {nearest(path, known)}allowed is a number of `positron stats`, such as {known[0]}"


@cache
def _metrics() -> list[str]:
    endings = {Kind.HISTOGRAM: ("_bucket", "_sum", "_count")}
    # `up` is what a scrape itself leaves, as in Prometheus.
    return ["up"] + [one.name + ending for one in CATALOGUE.values() for ending in endings.get(one.kind, ("",))]


@cache
def _states() -> list[str]:
    """The dotted path of every number that a node tells, as one that has just begun tells them."""
    from node.node.report import node_report
    from node.sim.network import Network, NetworkSettings

    network = Network(NetworkSettings(nodes=1))
    network.start(0)
    return list(_paths(node_report(network.nodes[0].machine.snapshot(1), wall_offset=0, socket=None), ""))


def _paths(values: Mapping[str, Any], above: str) -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _paths(value, f"{above}{name}.")
        elif isinstance(value, int | float):
            yield above + name
