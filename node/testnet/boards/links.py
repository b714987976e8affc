"""The board *Link matrix*: every link of the testnet at a glance, senders in rows and receivers in columns."""

from __future__ import annotations

from node.testnet.boards.names import AMBER, GREEN, LINK_STATES, NO_LINK, NODES, RED, SENT_AGAIN, named
from node.testnet.boards.spec import Board, Panel, Query, Shape, Threshold

__all__ = ["LINKS"]


def _matrix(expression: str) -> tuple[Query, ...]:
    return (Query(expression=f"max by (node, peer_name) ({named(expression)})", legend="{{node}} > {{peer_name}}"),)


LINKS = Board(
    uid="links",
    title="Link matrix",
    description="Which links are bad, and is it one link, one node or one direction?",
    panels=(
        Panel(
            number=1,
            title="Smoothed RTT",
            description="Round trip times, link by link. One colour on a uniform network; a row and a column that "
            "stand out are one node, a block is a region. A cell leads to its link." + NO_LINK,
            unit="s",
            queries=_matrix(f"positron_link_rtt_smoothed_seconds{{{NODES}}}"),
            shape=Shape.MATRIX,
            height=10,
            thresholds=(Threshold(value=0.1, colour=AMBER), Threshold(value=0.3, colour=RED)),
            leads_to="link",
        ),
        Panel(
            number=2,
            title="Retransmission ratio",
            description="Packets that carried data again, of those sent on the link in the last ten seconds. Nothing "
            "on a clean network; a row alone is loss of what that node sends, a row and its column is loss both ways."
            + NO_LINK,
            unit="percentunit",
            queries=_matrix(f"link:positron_retransmission:ratio_rate10s{{{NODES}}}"),
            shape=Shape.MATRIX,
            height=10,
            decimals=1,
            thresholds=SENT_AGAIN,
            leads_to="link",
        ),
        Panel(
            number=3,
            title="Timeouts in a row",
            description="Expiries of the retransmission timer without an answer between them. Zero; from three on the "
            "link is as good as cut." + NO_LINK,
            unit="short",
            queries=_matrix(f"positron_link_rto_backoff{{{NODES}}}"),
            shape=Shape.MATRIX,
            height=10,
            decimals=0,
            thresholds=(Threshold(value=1, colour=AMBER), Threshold(value=3, colour=RED)),
            leads_to="link",
        ),
        Panel(
            number=4,
            title="State",
            description="State of each link. Established everywhere in a full mesh; testnets of more than a few dozen "
            "nodes are no full mesh, so empty cells are normal there." + NO_LINK,
            unit="short",
            queries=_matrix(f"positron_link_state{{{NODES}}}"),
            shape=Shape.MATRIX,
            height=10,
            thresholds=(Threshold(value=3, colour=GREEN),),
            words=LINK_STATES,
            leads_to="link",
        ),
    ),
)
