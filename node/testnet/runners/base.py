"""What it takes to run a scenario: the same requests to containers, to local processes, and to a simulation.

A runner brings nodes up and down, does to them and to their links what a schedule says, and hands out what they say of
themselves. It knows nothing of verdicts. Times are seconds on the runner's clock, which begins at 0 when it is made;
in a simulation it is virtual, and only `sleep_until` moves it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, Protocol, TypeAlias

from node.impairment.link import LinkSettings
from node.testnet.scenario.resolve import LinkFault, NodeFault
from node.testnet.scenario.topology import Topology

__all__ = ["TRACES_BYTES_MAX", "Event", "Fault", "LinkCount", "LinkName", "Plan", "Runner"]

TRACES_BYTES_MAX = 256 << 20
"""Bytes of the traces of one run."""

TRACES_BYTES_MIN = 1 << 20
"""Of one node, however many there are."""

LinkName: TypeAlias = tuple[str, str]
Fault: TypeAlias = LinkFault | NodeFault

Event: TypeAlias = dict[str, Any]
"""One record of a node's history: `node`, `at` (seconds on the runner's clock), `event`, and what belongs to it.

| event | further keys |
|---|---|
| started, stopped | |
| published | message |
| delivered | message, origin (a node's name, or a key's digits where the name is not known) |
| peer_up, peer_down | peer (as origin) |
| member | peer, state (alive, suspect, dead, left) |
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is brought up. links: every pair, before any fault. seed: of every packet's fate.

    has_traces: whether nodes record their connections, for `Runner.traces`.
    """

    topology: Topology
    links: Mapping[LinkName, LinkSettings]
    seed: int
    backend: str = "auto"
    has_traces: bool = False

    @property
    def traces_bytes_max(self) -> int:
        """Bytes of the traces of one node: all of them go through the memory of one process at the end."""
        return max(TRACES_BYTES_MAX // self.topology.nodes, TRACES_BYTES_MIN)

    def tracing(self, directory: PurePath) -> dict[str, Any]:
        """The settings with which a node writes its traces there; none if it need not."""
        return {"qlog_dir": str(directory), "qlog_dir_bytes_max": self.traces_bytes_max} if self.has_traces else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkCount:
    """Counted probes over one link in one direction. delays: seconds, of those that arrived, in no order.

    machine: seconds that the two nodes themselves needed, median, which the delays are without. rate: bits per second
    that a burst of probes came through with, where it was measured.
    """

    link: LinkName
    sent: int
    received: int
    delays: tuple[float, ...] = field(default=(), repr=False)
    machine: float = 0.0
    rate: float | None = None


class Runner(Protocol):
    """See the module. Everything may raise TestnetError."""

    name: str
    backend: str
    reason: str
    """Why it is that backend, in a few words."""

    def missing(self, faults: Sequence[Fault], links: Mapping[LinkName, LinkSettings]) -> list[str]:
        """What the scenario asks for and this runner cannot do here, in words; nothing if all of it can be done."""
        ...

    def up(self, plan: Plan) -> None:
        """Starts every node and applies the links; returns when all of them answer."""
        ...

    def now(self) -> float: ...

    def sleep_until(self, time: float) -> None:
        """Returns at that time, at once if it is past."""
        ...

    def apply(self, fault: Fault, origin: float) -> None:
        """Begins a fault; it ends by itself at `origin` + its end, whatever becomes of this process."""
        ...

    def heal(self) -> None:
        """Ends every fault now. Does nothing when there is none."""
        ...

    def probe(self, links: Sequence[LinkName], count: int) -> list[LinkCount]:
        """Sends so many counted probes over each of the links and waits for what arrives."""
        ...

    def publish(self, node: str, size: int) -> str | None:
        """Lets a node broadcast a message of about that many bytes; its id, or None if the node does not answer."""
        ...

    def scrape(self) -> dict[str, str | None]:
        """What each node exposes for Prometheus; None for one that does not answer."""
        ...

    def stats(self) -> dict[str, dict[str, Any] | None]:
        """What each node says of itself, with the keys of its API; None for one that does not answer."""
        ...

    def status(self, node: str, path: str) -> int:
        """Status with which a node's HTTP API answers; 0 if it does not."""
        ...

    def history(self) -> list[Event]:
        """Everything that happened to the nodes since they were brought up, in order of time."""
        ...

    def members(self) -> dict[str, list[str]]:
        """The nodes that each running node counts as members beside itself, by name."""
        ...

    def logs(self) -> dict[str, list[str]]:
        """What each node wrote since it was brought up."""
        ...

    def traces(self) -> dict[str, dict[str, bytes]]:
        """What each node recorded of its connections, as qlog files by name; nothing unless the plan asked for it."""
        ...

    def digest(self) -> str:
        """Hash of everything that happened, where equal runs are equal; "" elsewhere."""
        ...

    def down(self) -> None:
        """Ends everything that `up` began; harmless when called twice."""
        ...
