"""What a testnet looks like: one row per node, from its container and from its own statistics.

Knows the fields of the API's answers; one that is missing shows as `-`, so that a node of another version does not
break the table. Input is containers and parsed JSON, output is records and lines.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from node.cli.tables import duration, ratio, table
from node.testnet.runners.docker import NodeContainer
from node.testnet.wholeness import living_members

__all__ = ["NodeStatus", "node_status", "status_lines", "status_of", "status_record"]

_HEADER = (
    "NODE",
    "STATE",
    "MEMBERS",
    "PEERS",
    "RTT",
    "RTO COMPUTED",
    "RTO EFFECTIVE",
    "SENT",
    "RETRANSMITTED",
    "LOST",
    "DELIVERED",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeStatus:
    """One node at one instant; None where it gave no answer, or has not measured yet.

    state: of the container, with its health, or of the process. members: others that it counts as alive. active_peers,
    known_peers: by its own account. rtt, rto_computed, rto_effective: means over its UDP links, in seconds. sent,
    retransmitted, lost: packets of those links since they began. delivered: broadcasts of others that reached its
    application.
    """

    name: str
    state: str
    members: int | None = None
    active_peers: int | None = None
    known_peers: int | None = None
    rtt: float | None = None
    rto_computed: float | None = None
    rto_effective: float | None = None
    sent: int | None = None
    retransmitted: int | None = None
    lost: int | None = None
    delivered: int | None = None


def status_of(nodes: Sequence[NodeContainer], answers: Mapping[str, dict[str, Any] | None]) -> list[NodeStatus]:
    """The status of each node, in the given order."""
    return [node_status(node.name, _state(node), answers.get(node.name)) for node in nodes]


def status_lines(statuses: Sequence[NodeStatus]) -> list[str]:
    """A table with one line per node."""
    rows = [
        (
            status.name,
            status.state,
            "-" if status.members is None else f"{status.members} of {len(statuses) - 1}",
            _count(status.active_peers),
            duration(status.rtt),
            duration(status.rto_computed),
            duration(status.rto_effective),
            _count(status.sent),
            ratio(status.retransmitted, status.sent),
            ratio(status.lost, status.sent),
            _count(status.delivered),
        )
        for status in statuses
    ]
    return table(_HEADER, rows, numbers=range(2, len(_HEADER)))


def status_record(status: NodeStatus) -> dict[str, Any]:
    """The same for a program: one JSON object."""
    return asdict(status)


def node_status(name: str, state: str, answer: dict[str, Any] | None) -> NodeStatus:
    """The status of one node. answer: its statistics, None if it gave none."""
    if answer is None:
        return NodeStatus(name=name, state=state)
    gossip = answer.get("gossip_stats")
    links = [link for link in answer.get("links") or () if isinstance(link, dict) and link.get("transport") == "udp"]
    return NodeStatus(
        name=name,
        state=state,
        members=living_members(answer),
        active_peers=_integer(answer.get("active_peers")),
        known_peers=_integer(answer.get("known_peers")),
        rtt=_mean(link.get("rtt") for link in links),
        rto_computed=_mean(link.get("rto_computed") for link in links),
        rto_effective=_mean(link.get("rto_effective") for link in links),
        sent=_sum(link.get("packets_sent") for link in links),
        retransmitted=_sum(link.get("retransmissions") for link in links),
        lost=_sum(link.get("packets_lost") for link in links),
        delivered=_integer(gossip.get("delivered")) if isinstance(gossip, dict) else None,
    )


def _state(node: NodeContainer) -> str:
    return node.health or (f"exited ({node.exit_code})" if node.state == "exited" else node.state)


def _integer(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _mean(values: Iterable[object]) -> float | None:
    measured = [value for value in values if isinstance(value, int | float)]
    return sum(measured) / len(measured) if measured else None


def _sum(values: Iterable[object]) -> int:
    return sum(value for value in values if isinstance(value, int))


def _count(value: int | None) -> str:
    return "-" if value is None else str(value)
