"""What is known of a testnet after each look at it: its nodes and links, and how each fared in the last ten seconds.

Takes the time and what the nodes answered; knows no clock, process or terminal. Every share, rate and percentile is of
the last WINDOW seconds, so that a fault shows while it lasts and no longer than that after it; of the time between two
looks where that is more, and of that since the first look where it is less.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from node.cli.tables import spark_line
from node.cli.window import WINDOW, Record, forget_old
from node.impairment.link import expected_loss
from node.metrics.quantiles import Bucket, between, quantile
from node.testnet.runners.asked import asked_of, faults_on

__all__ = ["WINDOW", "Look", "Record", "Watched"]

LOOKS_MAX = 128
"""Looks that are kept: those of WINDOW seconds, ten a second."""

SPARK_WIDTH = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Everything at one instant, by the name of the node. at: seconds, later than at the look before.

    states: by the keeper's account. stats, chaos: answers of the nodes, None for one that gave none. faults: steps of
    the keeper's faults.
    """

    at: float
    states: Mapping[str, str]
    stats: Mapping[str, Record | None]
    chaos: Mapping[str, Record | None]
    faults: Mapping[str, Sequence[str]]


class Watched:
    """See the module. hosts: address of each node, by name; of these nodes and no others anything is shown."""

    def __init__(self, hosts: Mapping[str, str]) -> None:
        self._hosts = hosts
        self._nodes = {name: _Node() for name in hosts}
        self._look = Look(at=0.0, states={}, stats={}, chaos={}, faults={})

    def take(self, look: Look) -> None:
        """One more look."""
        self._look = look
        for name, node in self._nodes.items():
            answer = look.stats.get(name)
            if answer is not None:
                node.take(look.at, answer)

    def nodes(self) -> list[Record]:
        """One record for each node; None for what is not known."""
        faults = self._faults_of_links()
        return [self._node(name, node, faults[name]) for name, node in self._nodes.items()]

    def links(self) -> list[Record]:
        """One record for each link over UDP that a node has, in each direction."""
        return [
            self._link(name, other, link)
            for name, node in self._nodes.items()
            if self._answer(name) is not None
            for other, link in node.links.items()
            if other in self._nodes
        ]

    def _answer(self, name: str) -> Record | None:
        return self._look.stats.get(name) if self._look.states.get(name) == "running" else None

    def _faults_of_links(self) -> dict[str, list[str]]:
        """Steps of the faults on links, at the node that they are about.

        That is who has one on all links, those of one way at least; without such a node it is everybody who sends over
        one of them.
        """
        answers = {name: answer for name, answer in self._look.chaos.items() if answer is not None}
        links: dict[str, dict[tuple[str, str], None]] = {}
        for name, answer in answers.items():
            for other in self._nodes:
                for step in faults_on(answer, self._hosts[other]) if other != name else ():
                    links.setdefault(step, {})[name, other] = None
        found: dict[str, list[str]] = {name: [] for name in self._nodes}
        for step, ends in links.items():
            about = [
                name
                for name in self._nodes
                if all((name, other) in ends for other in self._nodes if other != name)
                or all((other, name) in ends for other in answers if other != name)
            ]
            for name in about or dict.fromkeys(sender for sender, _ in ends):
                found[name].append(step)
        return found

    def _node(self, name: str, node: _Node, faults: Sequence[str]) -> Record:
        answer = self._answer(name)
        links = [] if answer is None else list(node.links.values())
        afflictions = (self._look.chaos.get(name) or {}).get("afflictions", ())
        return {
            "name": name,
            "state": self._look.states.get(name, "unknown"),
            "peers": None if answer is None else answer["active_peers"],
            "rtt_p50": _quantile(links, 0.5),
            "rtt_p99": _quantile(links, 0.99),
            "rto": max((link.looks[-1].rto for link in links), default=None),
            "retransmitted": _share(links, "retransmitted"),
            "gossip_rate": None if answer is None else node.delivery_rate(),
            "lag": None if answer is None else node.lag(),
            "faults": [*self._look.faults.get(name, ()), *faults, *(one["step"] for one in afflictions)],
            "spark": spark_line(node.rtts),
        }

    def _link(self, name: str, other: str, link: _Link) -> Record:
        answer, host = self._look.chaos.get(name), self._hosts[other]
        return {
            "from": name,
            "to": other,
            "rtt_p50": _quantile([link], 0.5),
            "rtt_p99": _quantile([link], 0.99),
            "rto": link.looks[-1].rto,
            "retransmitted": _share([link], "retransmitted"),
            "loss_asked": None if answer is None else expected_loss(asked_of(answer, host)),
            "loss_seen": _share([link], "lost"),
            "faults": [] if answer is None else faults_on(answer, host),
            "spark": spark_line(link.rtts),
        }


class _LinkLook(NamedTuple):
    """A link at one look: packets and round trips since it began, and durations in seconds."""

    at: float
    sent: int
    retransmitted: int
    lost: int
    trips: Sequence[Bucket]
    rtt: float | None
    rto: float


class _NodeLook(NamedTuple):
    """A node at one look: broadcasts delivered, and how late so many timers fired in all, since it began."""

    at: float
    delivered: int
    lag: float
    timers: int


@dataclass(slots=True)
class _Link:
    looks: deque[_LinkLook] = field(default_factory=lambda: deque(maxlen=LOOKS_MAX))
    rtts: deque[float] = field(default_factory=lambda: deque(maxlen=SPARK_WIDTH))

    def take(self, look: _LinkLook) -> None:
        if self.looks and look.sent < self.looks[-1].sent:
            self.looks.clear()  # another connection, which counts anew
        self.looks.append(look)
        forget_old(self.looks)
        if look.rtt is not None:
            self.rtts.append(look.rtt)

    def trips(self) -> Sequence[Bucket]:
        """Round trips of the window; those since the link began where there were none."""
        return between(self.looks[0].trips, self.looks[-1].trips) or self.looks[-1].trips


@dataclass(slots=True)
class _Node:
    links: dict[str, _Link] = field(default_factory=dict)
    looks: deque[_NodeLook] = field(default_factory=lambda: deque(maxlen=LOOKS_MAX))
    rtts: deque[float] = field(default_factory=lambda: deque(maxlen=SPARK_WIDTH))

    def take(self, at: float, answer: Record) -> None:
        runtime = answer["runtime"]
        lag, timers = runtime["loop_lag_seconds"], runtime["loop_lag_samples"]
        look = _NodeLook(at, answer["gossip_stats"]["delivered"], lag, timers)
        if self.looks and (look.delivered < self.looks[-1].delivered or timers < self.looks[-1].timers):
            self.looks.clear()  # another process, which counts anew
        self.looks.append(look)
        forget_old(self.looks)
        reports = _best_links(answer["links"])
        self.links = {name: self.links.get(name, _Link()) for name in reports}
        for name, report in reports.items():
            self.links[name].take(_link_look(at, report))
        latest = [report["rtt_latest"] for report in reports.values() if report["rtt_latest"] is not None]
        if latest:
            self.rtts.append(sorted(latest)[len(latest) // 2])

    def delivery_rate(self) -> float | None:
        """Broadcasts delivered each second."""
        first, last = self.looks[0], self.looks[-1]
        return (last.delivered - first.delivered) / (last.at - first.at) if last.at > first.at else None

    def lag(self) -> float | None:
        """Mean lateness of the event loop."""
        first, last = self.looks[0], self.looks[-1]
        return (last.lag - first.lag) / (last.timers - first.timers) if last.timers > first.timers else None


def _best_links(reports: Sequence[Record]) -> dict[str, Record]:
    """The UDP link with each peer; where there are two for a while, the established and the newer one."""
    found: dict[str, Record] = {}
    for report in sorted(reports, key=lambda one: (one["state"] == "established", one["established_at"] or 0.0)):
        if report["transport"] == "udp" and report["name"]:
            found[report["name"]] = report
    return found


def _link_look(at: float, report: Record) -> _LinkLook:
    sent, again, lost = report["packets_sent"], report["retransmissions"], report["packets_lost"]
    trips = [(above, up_to, number) for above, up_to, number in report.get("rtt_buckets", ())]
    return _LinkLook(at, sent, again, lost, trips, report["rtt_latest"], report["rto"])


def _quantile(links: Sequence[_Link], share: float) -> float | None:
    return quantile(share, [bucket for link in links for bucket in link.trips()])


def _share(links: Sequence[_Link], name: str) -> float | None:
    """Share of the packets sent over the links; None if there were none."""
    sent = sum(link.looks[-1].sent - link.looks[0].sent for link in links)
    part = sum(getattr(link.looks[-1], name) - getattr(link.looks[0], name) for link in links)
    return min(1.0, part / sent) if sent else None
