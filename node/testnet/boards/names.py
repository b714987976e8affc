"""Pieces that the boards share: selectors, windows, colours, and joins that give peers their names."""

from __future__ import annotations

from functools import partial

from node.testnet.boards.spec import Panel, Query, Shape, Threshold

__all__ = [
    "AMBER", "GREEN", "LINK_STATES", "NODES", "NOT_BROADCAST", "NOT_READ", "NOT_SENT", "NO_LINK", "NO_TRIP", "RATE",
    "RED", "SENT_AGAIN", "SIMULATED", "named", "quantile", "rate_by", "stat",
]  # fmt: skip

NODES = 'node=~"$node"'
RATE = "[$__rate_interval]"
GREEN, AMBER, RED = "green", "orange", "red"

LINK_STATES = ((0, "closed", RED), (1, "closing", AMBER), (2, "handshake", AMBER), (3, "established", GREEN))
"""Values of `positron_link_state`, in words and colours."""

SENT_AGAIN = (Threshold(value=0.05, colour=AMBER), Threshold(value=0.2, colour=RED))
"""For shares of packets sent again: from where an alert fires, and what a loss of a fifth makes of a busy link."""

NO_LINK = " 'No data': there is no link over UDP to show, or the setting METRICS_PEERS lists none."
NO_TRIP = " 'No data': no round trip was measured, for want of peers or of anything to send them."
NOT_SENT = " 'No data': nothing was sent over UDP."
NOT_BROADCAST = " 'No data': no broadcast arrived."
NOT_READ = " 'No data': what the network is configured to do could not be read."
SIMULATED = " 'No data' in a simulation, whose nodes share one process and have no sockets."
"""Why a panel may be empty: ends its description."""

stat = partial(Panel, shape=Shape.STAT, width=4, height=4)


def quantile(share: float, metric: str, selector: str = NODES) -> Query:
    """A percentile of a histogram over all nodes that are selected."""
    buckets = f"sum by (le) (rate({metric}_bucket{{{selector}}}{RATE}))"
    return Query(expression=f"histogram_quantile({share:g}, {buckets})", legend=f"p{share * 100:g}")


def rate_by(label: str, metric: str, selector: str = NODES) -> Query:
    """One line for each value of a label."""
    return Query(expression=f"sum by ({label}) (rate({metric}{{{selector}}}{RATE}))", legend=f"{{{{{label}}}}}")


def named(expression: str) -> str:
    """An expression by `node` and `peer`, with the peer's name as label `peer_name`.

    Nodes say their names themselves; one that is not scraped, or was not for a minute, goes by its label `peer`.
    """
    name = f"({expression}) * on (peer) group_left (peer_name) peer:positron_node_info:name"
    return f'{name} or on (node, peer) label_replace({expression}, "peer_name", "$1", "peer", "(.+)")'
