"""Measures links of a real testnet with counted probes that the nodes send each other.

Knows nodes by their APIs. All links are measured at the same time, as fast as a machine can send without making the
delay that it measures, and no faster than a narrow link carries beside what it has to carry anyway.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from statistics import median

from node.impairment.link import LinkSettings
from node.testnet.runners.base import LinkCount, LinkName
from node.testnet.runners.live import LiveNodes
from node.types import to_seconds

__all__ = ["measure"]

PROBES_PER_SECOND = 2000
"""Of all links together: more make the delay that they measure, where every node shares two processors."""

PROBES_MAX = 6000
"""Of all links together, so that measuring takes three seconds; many links get fewer probes each."""

PROBES_MIN = 60

INTERVAL_MIN = 0.002
PROBE_BYTES = 128
SHARE_OF_RATE = 0.25
"""Of a narrow link's rate: the rest belongs to what the nodes have to say."""

SECONDS_MAX = 4.0
"""Longest that a measurement may take; narrow links get fewer probes."""

PATIENCE = 0.3
"""Seconds beside the longest delay that the last probes have to arrive."""


def measure(
    nodes: LiveNodes, links: Sequence[LinkName], count: int, settings: Callable[[LinkName], LinkSettings]
) -> list[LinkCount]:
    """What arrived of `count` probes over each link, fewer where it is narrow. settings: what is asked of it now."""
    jobs: dict[tuple[str, float, int], list[str]] = {}
    for link in links:
        interval = _interval(settings(link), len(links))
        number = max(1, min(count, max(PROBES_MIN, PROBES_MAX // len(links)), int(SECONDS_MAX / interval)))
        jobs.setdefault((link[0], interval, number), []).append(link[1])
    sent = dict(zip(jobs, nodes.map(lambda job: _send(nodes, job, jobs[job]), jobs), strict=True))
    longest = max((one.delay + one.jitter for one in map(settings, links)), default=0)
    lasts = max((interval * number for _, interval, number in jobs), default=0.0)
    time.sleep(lasts + to_seconds(longest) + PATIENCE)
    asked = [(job, target) for job, targets in jobs.items() for target in (*targets, job[0])]
    answers = dict(
        zip(asked, nodes.map(lambda one: _arrived(nodes, sent[one[0]], one[0][0], one[1]), asked), strict=True)
    )
    # What a probe needs from a node to itself is the machine's own time and no link's.
    own = {job[0]: median(found) for (job, target), found in answers.items() if target == job[0] and found}
    counts = {}
    for (job, target), delays in answers.items():
        machine = (own.get(job[0], 0.0) + own.get(target, own.get(job[0], 0.0))) / 2
        found = tuple(max(0.0, delay - machine) for delay in delays)
        number = job[2] if sent[job] else 0
        counts[job[0], target] = LinkCount(link=(job[0], target), sent=number, received=len(found), delays=found)
    return [counts[link] for link in links]


def _interval(settings: LinkSettings, links: int) -> float:
    interval = max(INTERVAL_MIN, links / PROBES_PER_SECOND)
    if settings.rate:
        interval = max(interval, PROBE_BYTES / (SHARE_OF_RATE * settings.rate))
    return interval


def _send(nodes: LiveNodes, job: tuple[str, float, int], targets: Sequence[str]) -> str:
    """The name of the measurement that has begun; "" if it has not."""
    source, interval, number = job
    body = {
        "targets": [nodes.nodes[one].address for one in (*targets, source)],
        "count": number,
        "interval": min(1.0, interval),
    }
    answer = nodes.ask(source, "/api/v1/chaos/probes", body)
    return "" if answer is None else str(answer["measurement"])


def _arrived(nodes: LiveNodes, measurement: str, source: str, target: str) -> list[float]:
    answer = nodes.ask(target, "/api/v1/chaos/arrived", {"measurement": measurement}) if measurement else None
    return [] if answer is None else answer["delays"].get(nodes.nodes[source].peer_host, [])
