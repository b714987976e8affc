"""The board *Gossip*: does everybody get everything, how fast, and at what price?"""

from __future__ import annotations

from node.testnet.boards.names import NODES, NOT_BROADCAST, RATE, quantile, rate_by
from node.testnet.boards.spec import Board, Panel, Query, Shape

__all__ = ["GOSSIP"]


def _total(metric: str) -> str:
    return f"sum(rate(positron_gossip_{metric}_total{{{NODES}}}{RATE}))"


def _of_nodes(word: str, metric: str) -> Query:
    return Query(expression=f"{word}({metric}{{{NODES}}})", legend=word)


GOSSIP = Board(
    uid="gossip",
    title="Gossip",
    description="Does every message reach every node once, how fast, and at what price?",
    panels=(
        Panel(
            number=1,
            title="Broadcasts",
            description="Published, delivered, and dashed what should be delivered: each message at every other node. "
            "Delivered follows expected within a second or two, at any loss.",
            unit="cps",
            queries=(
                Query(expression=_total("published_messages"), legend="published"),
                Query(expression=_total("delivered_messages"), legend="delivered"),
                Query(
                    expression=f"sum(rate(positron_gossip_published_messages_total{RATE}))"
                    " * (count(positron_node_info) - 1)",
                    legend="expected",
                    is_reference=True,
                ),
            ),
        ),
        Panel(
            number=2,
            title="Copies for each delivery",
            description="Copies that arrived again, for each one that was delivered. Up to six in a large mesh, and "
            "about one in a small one; rising under loss, since links send again what was not acknowledged."
            + NOT_BROADCAST,
            unit="short",
            queries=(
                Query(
                    expression=f"{_total('duplicate_messages')} / {_total('delivered_messages')}", legend="duplicates"
                ),
            ),
        ),
        Panel(
            number=3,
            title="Propagation",
            description="Time from publishing to delivery. A few one-way delays of the network; the median stays put "
            "under loss while p99 grows by a retransmission timeout." + NOT_BROADCAST,
            unit="s",
            queries=tuple(quantile(share, "positron_gossip_propagation_seconds") for share in (0.5, 0.9, 0.99)),
        ),
        Panel(
            number=4,
            title="Propagation, all of it",
            description="How many deliveries took how long. One bright band; a second one above it is a part of the "
            "network that is reached over repairs.",
            unit="s",
            queries=(
                Query(
                    expression=f"sum by (le) (increase(positron_gossip_propagation_seconds_bucket{{{NODES}}}{RATE}))",
                    legend="{{le}}",
                ),
            ),
            shape=Shape.HEATMAP,
        ),
        Panel(
            number=5,
            title="Links travelled",
            description="Links that delivered messages had travelled. One in a full mesh, two to five in a larger one."
            + NOT_BROADCAST,
            unit="short",
            queries=tuple(quantile(share, "positron_gossip_hops") for share in (0.5, 0.99)),
        ),
        Panel(
            number=6,
            title="Mesh",
            description="Peers in the mesh of each node. All the others up to 13 nodes, else between 6 and 12; a least "
            "of zero is a node on its own.",
            unit="short",
            queries=tuple(_of_nodes(word, "positron_gossip_mesh_peers") for word in ("min", "avg", "max")),
        ),
        Panel(
            number=7,
            title="Repairs, by path",
            description="Messages that came because a node asked for them: told of by a peer, or found by comparing "
            "digests. Next to nothing on a clean network; a burst after a partition is the other part catching up.",
            unit="cps",
            queries=(rate_by("path", "positron_gossip_repaired_messages_total"),),
        ),
        Panel(
            number=8,
            title="Refused, by reason",
            description="Messages that were not accepted. Nothing but replays and stale ones after restarts; a bad "
            "signature is an attack or a defect.",
            unit="cps",
            queries=(rate_by("reason", "positron_gossip_rejected_messages_total"),),
        ),
        Panel(
            number=9,
            title="Grafts and prunes",
            description="Peers put into and out of meshes. A burst when nodes join, then almost nothing.",
            unit="cps",
            queries=(
                Query(expression=_total("grafts"), legend="grafts"),
                Query(expression=_total("prunes"), legend="prunes"),
            ),
        ),
        Panel(
            number=10,
            title="Members",
            description="What nodes think of each other, all views added up. All alive; n nodes that see each other "
            "add up to n times n - 1.",
            unit="short",
            queries=(Query(expression=f"sum by (state) (positron_members{{{NODES}}})", legend="{{state}}"),),
        ),
        Panel(
            number=11,
            title="Suspicion",
            description="Accusations, refutations and deaths. A killed node costs one death at each other node; a "
            "refutation is a node that was only slow.",
            unit="cps",
            queries=(
                Query(
                    expression=f"sum(rate(positron_member_accusations_total{{{NODES}}}{RATE}))", legend="accusations"
                ),
                Query(
                    expression=f"sum(rate(positron_member_refutations_total{{{NODES}}}{RATE}))", legend="refutations"
                ),
                Query(expression=f"sum(rate(positron_member_deaths_total{{{NODES}}}{RATE}))", legend="deaths"),
            ),
        ),
        Panel(
            number=12,
            title="Trust",
            description="Nodes by how far they are trusted, all views added up. Strangers in the middle; those that "
            "bring messages first rise slowly, and whoever is caught falls at once.",
            unit="short",
            queries=(Query(expression=f"sum by (band) (positron_trust_peers{{{NODES}}})", legend="{{band}}"),),
        ),
    ),
)
