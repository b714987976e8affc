"""The board *Testnet overview*: every panel with its queries, unit and what it looks like when all is well.

Only metrics of `node/metrics/names.py`, rules of `node/testnet/metrics/rules.yml` and `up` may be queried; tests hold
it to that. `$node` is the board's choice of nodes; `$__rate_interval` is four scrapes or one step, whichever is longer.
"""

from __future__ import annotations

from node.testnet.boards.names import (
    AMBER,
    GREEN,
    NO_LINK,
    NO_TRIP,
    NODES,
    NOT_READ,
    NOT_SENT,
    RATE,
    RED,
    SENT_AGAIN,
    quantile,
    stat,
)
from node.testnet.boards.spec import Board, Panel, Query, Threshold

__all__ = ["OVERVIEW"]

_OVERVIEW_STATS = (
    stat(
        number=1,
        title="Nodes up",
        description="Nodes that answered the latest scrape, the seed included, beside the nodes that are known. Both "
        "are the same unless a node was killed, paused or is starting.",
        unit="short",
        queries=(
            Query(expression='sum(up{job="positron"})', legend="up"),
            Query(expression='count(up{job="positron"})', legend="known"),
        ),
        decimals=0,
    ),
    stat(
        number=2,
        title="Links established",
        description="Encrypted UDP connections with a proven peer, each counted at both of its ends, beside those of "
        "a full mesh. Small testnets are a full mesh, so both are the same a few seconds after the start.",
        unit="short",
        queries=(
            Query(expression='sum(positron_links{transport="udp", state="established"})', legend="established"),
            Query(expression="count(positron_node_info) * (count(positron_node_info) - 1)", legend="full mesh"),
        ),
        decimals=0,
    ),
    stat(
        number=3,
        title="RTT p99",
        description="99 of 100 round trips of the last 10 seconds were shorter. Twice the configured delay, plus a "
        "little; below a millisecond or two without an impairment." + NO_TRIP,
        unit="s",
        queries=(Query(expression="testnet:positron_rtt_seconds:p99_rate10s", legend="p99"),),
    ),
    stat(
        number=4,
        title="Retransmission ratio",
        description="Packets that carried data again, of all packets sent in the last 10 seconds. Zero on a clean "
        "network; under loss it stays below the configured loss, since heartbeats and acknowledgements are never "
        "sent again." + NOT_SENT,
        unit="percentunit",
        queries=(Query(expression="testnet:positron_retransmission:ratio_rate10s", legend="retransmitted"),),
        decimals=1,
        thresholds=SENT_AGAIN,
    ),
    stat(
        number=5,
        title="Configured loss",
        description="The largest packet loss that is applied to what a node sends, or with the backend nft to what "
        "it is sent, read back from its kernel. Zero means that no loss is applied, not that it is unknown." + NOT_READ,
        unit="percentunit",
        queries=(Query(expression="max(positron_impairment_loss_ratio)", legend="loss"),),
        decimals=1,
        thresholds=(Threshold(value=0.0001, colour=AMBER),),
    ),
    stat(
        number=6,
        title="Broadcasts delivered",
        description="Deliveries of the last minute, of those that would be if every other node that was there all "
        "along got each broadcast once. 100 % at any loss, and an alert fires below 99 %; 'No data' if nobody has "
        "broadcast anything, or the testnet is younger than 15 seconds.",
        unit="percentunit",
        queries=(Query(expression="testnet:positron_gossip_delivery:ratio_increase60s", legend="delivered"),),
        decimals=1,
        thresholds=(Threshold(value=0, colour=RED), Threshold(value=0.99, colour=GREEN)),
    ),
)

_OVERVIEW_SERIES = (
    Panel(
        number=7,
        title="Round trip time",
        description="Percentiles over all round trips that the chosen nodes measured, none of a packet sent again. "
        "Twice the configured delay plus up to a few milliseconds; the distance of p99 from p50 is jitter, or a busy "
        "machine." + NO_TRIP,
        unit="s",
        queries=(*(quantile(share, "positron_rtt_seconds") for share in (0.5, 0.9, 0.99)),),
    ),
    Panel(
        number=8,
        title="Retransmission timeout and smoothed RTT",
        description="Over the links of the chosen nodes. Computed: smoothed RTT + 4 deviations + longest delay of an "
        "acknowledgement. Effective: the same within its limits, doubled with each expiry; what the timer really "
        "uses. Both follow the smoothed RTT at a distance; an effective timeout far above the computed one is a link "
        "in trouble." + NO_LINK,
        unit="s",
        queries=(
            Query(expression=f"avg(positron_link_rtt_smoothed_seconds{{{NODES}}})", legend="smoothed RTT, mean"),
            Query(expression=f"avg(positron_link_rto_computed_seconds{{{NODES}}})", legend="computed RTO, mean"),
            Query(expression=f"max(positron_link_rto_computed_seconds{{{NODES}}})", legend="computed RTO, max"),
            Query(expression=f"avg(positron_link_rto_effective_seconds{{{NODES}}})", legend="effective RTO, mean"),
            Query(expression=f"max(positron_link_rto_effective_seconds{{{NODES}}})", legend="effective RTO, max"),
        ),
    ),
    Panel(
        number=9,
        title="Retransmission ratio by node",
        description="Packets that carried data again, of all UDP packets that the node sent; dashed, the loss that "
        "is configured for what it sends (with the backend nft: for what it is sent). Zero without loss. "
        "Under loss a busy node comes near the dashed line; an "
        "idle one stays far below, since heartbeats and acknowledgements are never sent again." + NOT_SENT,
        unit="percentunit",
        leads_to="node",
        queries=(
            Query(
                expression=f"sum by (node) (rate(positron_retransmitted_packets_total{{{NODES}}}{RATE}))"
                f' / sum by (node) (rate(positron_sent_packets_total{{{NODES}, transport="udp"}}{RATE}))',
                legend="{{node}}",
            ),
            Query(
                expression=f"max by (node) (positron_impairment_loss_ratio{{{NODES}}})",
                legend="{{node}} configured loss",
                is_reference=True,
            ),
        ),
    ),
    Panel(
        number=10,
        title="Packets lost, by what told",
        description="Packets that the chosen nodes declared lost. Reordering threshold: three later packets were "
        "acknowledged. Time threshold: a later one was, 9/8 of a round trip ago. PTO expired: nothing came back at "
        "all. Nothing on a clean network; the last one alone means that whole links are silent." + NOT_SENT,
        unit="pps",
        queries=(
            Query(
                expression=f"sum by (trigger) (rate(positron_lost_packets_total{{{NODES}}}{RATE}))",
                legend="{{trigger}}",
            ),
        ),
    ),
    Panel(
        number=11,
        title="Packets dropped on arrival, by reason",
        description="Packets that arrived at the chosen nodes and were thrown away. Zero but for single ones of "
        "unknown connections, or unexpected ones, when nodes start, restart or leave. Anything steady is a stranger, "
        "a wrong network id or a defect.",
        unit="pps",
        queries=(
            Query(
                expression=f"sum by (reason) (rate(positron_dropped_packets_total{{{NODES}}}{RATE}))",
                legend="{{reason}}",
            ),
        ),
    ),
    Panel(
        number=12,
        title="Broadcasts",
        description="Deliveries to applications, dashed what they should be (broadcasts times other nodes), and "
        "copies that arrived again. Delivered follows expected within a second or two at any loss; duplicates are "
        "the price of that and stay below the deliveries times the links of a node.",
        unit="cps",
        queries=(
            Query(
                expression=f"sum(rate(positron_gossip_delivered_messages_total{{{NODES}}}{RATE}))", legend="delivered"
            ),
            Query(
                expression=f"sum(rate(positron_gossip_published_messages_total{RATE}))"
                f" * (count(positron_node_info) - 1)",
                legend="expected",
                is_reference=True,
            ),
            Query(
                expression=f"sum(rate(positron_gossip_duplicate_messages_total{{{NODES}}}{RATE}))",
                legend="duplicates",
            ),
        ),
    ),
)

OVERVIEW = Board(
    uid="overview",
    title="Testnet overview",
    description="Is the testnet whole, what does its network do to it, and what does it do about that?",
    panels=_OVERVIEW_STATS + _OVERVIEW_SERIES,
)
