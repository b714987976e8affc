"""What others say about others, weighed by how much they are trusted: a random walk with restart from this node.

The walk goes from this node to the nodes that it has good evidence of, from there to whom they praise, and once more;
at each step it restarts with probability RESTART. Whatever lies behind one node can therefore have no more, all of it
together, than RESTART leaves of what this node gives to that one (after SybilGuard's attack edges). Knows nothing of
signatures and time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from node.types import NodeId

__all__ = ["DEPTH_MAX", "RESTART", "Opinion", "walk"]

RESTART = 0.5
DEPTH_MAX = 3
"""Steps of the walk, the one to this node's own acquaintances included."""


@dataclass(frozen=True, slots=True)
class Opinion:
    """How much of the walk praises, and how much doubts, each node."""

    praise: dict[NodeId, float] = field(default_factory=dict)
    doubt: dict[NodeId, float] = field(default_factory=dict)


def walk(
    own: Iterable[tuple[NodeId, float]],
    said: Mapping[NodeId, Iterable[tuple[NodeId, float]]],
    *,
    blocked: Mapping[NodeId, object],
) -> Opinion:
    """What the others say. own: this node's edges, 0 to 1. said: subjects and scores, -1 to 1, by issuer.

    blocked: nodes whose word counts nothing.
    """
    opinion = Opinion()
    mass = {node_id: weight * (1 - RESTART) for node_id, weight in own if weight > 0}
    for _ in range(DEPTH_MAX - 1):
        following: dict[NodeId, float] = {}
        for issuer, arrived in mass.items():
            if issuer not in blocked:
                _spread(arrived * (1 - RESTART), said.get(issuer, ()), opinion, following)
        mass = following
    return opinion


def _spread(
    mass: float, said: Iterable[tuple[NodeId, float]], opinion: Opinion, following: dict[NodeId, float]
) -> None:
    """Divides what arrived at an issuer among its subjects; who praises many gives each of them less."""
    said = list(said)
    share = mass / max(1.0, sum(abs(score) for _, score in said))
    for subject, score in said:
        flow = share * abs(score)
        if score > 0:
            opinion.praise[subject] = opinion.praise.get(subject, 0.0) + flow
            following[subject] = following.get(subject, 0.0) + flow
        else:
            opinion.doubt[subject] = opinion.doubt.get(subject, 0.0) + flow
