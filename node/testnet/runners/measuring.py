"""Measures links of a real testnet with counted probes that the nodes send each other.

Knows nodes by their APIs. All links are measured at the same time, as fast as a machine can send without making the
delay that it measures, and no faster than a narrow link carries beside what it has to carry anyway. What the machine
itself needs is taken off, and told: a probe from a node to itself, which takes no link, and where nodes delay packets
what they let go too late. A machine that is late is measured again, and from then on, at a slower pace.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import NamedTuple

from node.impairment.link import LinkSettings
from node.testnet.runners.base import LinkCount, LinkName
from node.testnet.runners.live import LiveNodes
from node.types import to_seconds

__all__ = ["Meter"]

PROBES_PER_SECOND = 2000
"""Of all links together: more make the delay that they measure, where every node shares two processors."""

PROBES_PER_SECOND_LATE = 400
"""The same on a machine that is late at that pace."""

LATE = 0.002
"""Seconds that the machine itself may need for a probe: as much as a link's delay may be off."""

BEHIND = 0.5
"""Seconds that sending may take longer than it should."""

SECONDS_MAX = {PROBES_PER_SECOND: 4.0, PROBES_PER_SECOND_LATE: 7.5}
"""Longest that a measurement may take at each pace; many links, and narrow ones, get fewer probes each."""

PROBES_MIN = 60

INTERVAL_MIN = 0.002
PROBE_BYTES = 128
SHARE_OF_RATE = 0.25
"""Of a narrow link's rate: the rest belongs to what the nodes have to say."""

OVERTIME = 4
"""Times as long as it should that sending may take: what is not sent by then counts as lost."""

PATIENCE = 0.3
"""Seconds beside the longest delay that the last probes have to arrive."""


Settings = Callable[[LinkName], LinkSettings]


class Meter:
    """Measures the links of one testnet, and remembers at which pace its machine keeps up."""

    def __init__(self) -> None:
        self._pace = PROBES_PER_SECOND

    def measure(
        self, nodes: LiveNodes, links: Sequence[LinkName], count: int, settings: Settings, *, in_nodes: bool
    ) -> list[LinkCount]:
        """What arrived of `count` probes over each link, fewer where it is narrow.

        settings: what is asked of it. in_nodes: whether the nodes delay packets, and no kernel.
        """
        plan = _Plan(links, count, settings, self._pace)
        counts, behind = _measure(nodes, plan, in_nodes=in_nodes)
        is_late = behind > BEHIND or median(one.machine for one in counts) > LATE
        if is_late and self._pace > PROBES_PER_SECOND_LATE:
            self._pace = PROBES_PER_SECOND_LATE
            counts, _ = _measure(nodes, _Plan(links, count, settings, self._pace), in_nodes=in_nodes)
        return counts


class _Plan:
    """What each node sends: jobs of a source, the seconds between two probes, and their number, with targets."""

    def __init__(self, links: Sequence[LinkName], count: int, settings: Settings, pace: int) -> None:
        self.links = links
        self.settings = settings
        self.jobs: dict[_Job, list[str]] = {}
        seconds_max = SECONDS_MAX[pace]
        share = int(seconds_max * pace / len(links))
        for link in links:
            interval = _interval(settings(link), len(links) / pace)
            number = max(1, min(count, max(PROBES_MIN, share), int(seconds_max / interval)))
            self.jobs.setdefault(_Job(link[0], interval, number), []).append(link[1])
        self.lasts = max((job.interval * job.number for job in self.jobs), default=0.0)
        self.longest = to_seconds(max((one.delay + one.jitter for one in map(settings, links)), default=0))


class _Job(NamedTuple):
    source: str
    interval: float
    number: int


def _measure(nodes: LiveNodes, plan: _Plan, *, in_nodes: bool) -> tuple[list[LinkCount], float]:
    """The counts, and the seconds by which the slowest node took longer to send than it should."""
    names = dict.fromkeys(name for link in plan.links for name in link)
    ports = nodes.each(lambda name: (nodes.ask(name, "/api/v1/chaos/listen", {}) or {}).get("port"), names)
    jobs = {job: [one for one in (*targets, job.source) if ports[one]] for job, targets in plan.jobs.items()}
    sent = dict(zip(jobs, nodes.map(lambda job: _send(nodes, job, jobs[job], ports), jobs), strict=True))
    time.sleep(plan.lasts)
    waiting = [job for job in jobs if sent[job]]
    deadline = time.monotonic() + plan.lasts * OVERTIME + PATIENCE
    while waiting and time.monotonic() < deadline:
        time.sleep(PATIENCE)
        waiting = [job for job in waiting if _arrived(nodes, sent[job], job.source, job.source).sent is None]
    time.sleep(plan.longest + PATIENCE)
    asked = [(job, target) for job, targets in plan.jobs.items() for target in (*targets, job.source)]
    answers = dict(
        zip(asked, nodes.map(lambda one: _arrived(nodes, sent[one[0]], one[0].source, one[1]), asked), strict=True)
    )
    counts = {}
    for job, target in asked:
        link, found = (job.source, target), answers[job, target].delays
        own = answers[job, job.source]
        machine = median(own.delays) if own.delays else 0.0
        if in_nodes and target != job.source and plan.settings(link).delay:
            machine += (own.sent or {}).get("late", 0.0)
        counts[link] = LinkCount(
            link=link,
            sent=job.number if sent[job] else 0,
            received=len(found),
            delays=tuple(max(0.0, delay - machine) for delay in found),
            machine=machine,
        )
    behind = max(((answers[job, job.source].sent or {}).get("behind", 0.0) for job in plan.jobs), default=0.0)
    return [counts[link] for link in plan.links], behind


def _interval(settings: LinkSettings, interval: float) -> float:
    """Seconds between two probes of a link. interval: of all links alike, for the machine's sake."""
    interval = max(INTERVAL_MIN, interval)
    if settings.rate:
        interval = max(interval, PROBE_BYTES / (SHARE_OF_RATE * settings.rate))
    return interval


def _send(nodes: LiveNodes, job: _Job, targets: Sequence[str], ports: Mapping[str, int | None]) -> str:
    """The name of the measurement that has begun; "" if it has not."""
    body = {
        "targets": [f"{nodes.nodes[one].peer_host}:{ports[one]}" for one in targets],
        "count": job.number,
        "interval": min(1.0, job.interval),
    }
    answer = nodes.ask(job.source, "/api/v1/chaos/probes", body) if targets else None
    return "" if answer is None else str(answer["measurement"])


class _Arrived(NamedTuple):
    """delays: seconds. sent: how it was to send them, told by the node that has sent them all."""

    delays: Sequence[float]
    sent: Mapping[str, float] | None


def _arrived(nodes: LiveNodes, measurement: str, source: str, target: str) -> _Arrived:
    answer = nodes.ask(target, "/api/v1/chaos/arrived", {"measurement": measurement}) if measurement else None
    if answer is None:
        return _Arrived((), None)
    return _Arrived(answer["delays"].get(nodes.nodes[source].peer_host, ()), answer["sent"])
