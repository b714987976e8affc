"""The board *Chaos timeline*: what was done to the network, and how each layer answered, on one axis of time."""

from __future__ import annotations

from node.testnet.boards.names import AMBER, NO_LINK, NO_TRIP, NODES, NOT_READ, NOT_SENT, RATE, SENT_AGAIN
from node.testnet.boards.spec import Board, Panel, Query, Shape

__all__ = ["CHAOS"]

ACTIVE = ((1, "active", AMBER),)
"""The value of `positron_chaos_active`; the series is absent otherwise."""


def _expected_loss() -> str:
    """1 - (1 - a)(1 - b) for the loss a on the way out and b on the way in; a node without the latter has b = 0.

    Both are means over its links, of which those that lose nothing on the way in have no series for that way.
    """
    out, into = (f'(positron_impairment_asked_loss_ratio{{{NODES}, dir="{way}"}})' for way in ("egress", "ingress"))
    mean = f"avg by (node) {out}"
    return f"1 - (1 - {mean}) * (1 - (sum by (node) {into} / count by (node) {out} or 0 * {mean}))"


CHAOS = Board(
    uid="chaos",
    title="Chaos timeline",
    description="What was done to the network, did it take effect, who felt it, and when was all well again?",
    panels=(
        Panel(
            number=1,
            title="Faults",
            description="Each fault of a chaos run while it is active, by its step in the scenario and its kind; the "
            "same stretches are shaded in every panel below. 'No data' means that no fault was active.",
            unit="short",
            shape=Shape.STATES,
            width=24,
            height=5,
            words=ACTIVE,
            queries=(
                Query(
                    expression=f"max by (step, kind) (positron_chaos_active{{{NODES}}})", legend="{{step}}: {{kind}}"
                ),
            ),
        ),
        Panel(
            number=2,
            title="Loss, asked and applied",
            width=8,
            description="The largest loss on what each node sends, as it is in force; dashed, what was asked for. "
            "The two lie on each other: anything else is an impairment that did not take effect. Asked is only known "
            "where a scenario is in control. With the backend nft, receivers drop: the loss of what each node is sent."
            + NOT_READ,
            unit="percentunit",
            queries=(
                Query(
                    expression=f"max by (node) (positron_impairment_loss_ratio{{{NODES}}})", legend="{{node}} applied"
                ),
                Query(
                    expression=f"max by (node) (positron_impairment_asked_loss_ratio{{{NODES}}})",
                    legend="{{node}} asked",
                    is_reference=True,
                ),
            ),
        ),
        Panel(
            number=3,
            title="Delay, asked and applied",
            width=8,
            description="The longest delay of what each node sends, as it is in force; dashed, what was asked for. "
            "The two lie on each other. Asked is only known where a scenario is in control." + NOT_READ,
            unit="s",
            queries=(
                Query(
                    expression=f"max by (node) (positron_impairment_delay_seconds{{{NODES}}})",
                    legend="{{node}} applied",
                ),
                Query(
                    expression=f"max by (node) (positron_impairment_asked_delay_seconds{{{NODES}}})",
                    legend="{{node}} asked",
                    is_reference=True,
                ),
            ),
        ),
        Panel(
            number=4,
            title="Loss, observed and expected",
            width=8,
            description="Share of the packets of each node that its transport declared lost; dashed, 1 - (1-a)(1-b) "
            "for the mean loss a asked on its way out and b on its way in. The lines meet within a few seconds of "
            "traffic; a node that sends little, or only acknowledgements, stays below. With the backend nft a node "
            "knows its way in alone: they meet where both ways lose alike." + NOT_SENT,
            unit="percentunit",
            leads_to="node",
            queries=(
                Query(
                    expression=f"sum by (node) (rate(positron_lost_packets_total{{{NODES}}}{RATE}))"
                    f' / sum by (node) (rate(positron_sent_packets_total{{{NODES}, transport="udp"}}{RATE}))',
                    legend="{{node}} observed",
                ),
                Query(expression=_expected_loss(), legend="{{node}} expected", is_reference=True),
            ),
        ),
        Panel(
            number=5,
            title="Round trip time, p99 by node",
            description="99 of 100 round trips were shorter; dashed, twice the longest delay asked. Just above the "
            "dashed line; loss alone does not raise it, since packets sent again are not measured." + NO_TRIP,
            unit="s",
            leads_to="node",
            queries=(
                Query(
                    expression="histogram_quantile(0.99, sum by (node, le) "
                    f"(rate(positron_rtt_seconds_bucket{{{NODES}}}{RATE})))",
                    legend="{{node}}",
                ),
                Query(
                    expression=f"2 * max(positron_impairment_asked_delay_seconds{{{NODES}}})",
                    legend="twice the delay asked",
                    is_reference=True,
                ),
            ),
        ),
        Panel(
            number=6,
            title="Retransmission timeout by node",
            description="The longest effective timeout of each node's links. It follows the round trip time; a line "
            "that doubles in steps is a link on which nothing comes back, and falls as soon as something does."
            + NO_LINK,
            unit="s",
            leads_to="node",
            queries=(
                Query(expression=f"max by (node) (positron_link_rto_effective_seconds{{{NODES}}})", legend="{{node}}"),
            ),
        ),
        Panel(
            number=7,
            title="Retransmission ratio by node",
            description="Packets that carried data again, of all packets that the node sent. Zero before a fault; the "
            "nodes that a loss acts on rise and the others far less, and all are at zero again within 30 s after it."
            + NOT_SENT,
            unit="percentunit",
            leads_to="node",
            queries=(
                Query(
                    expression=f"sum by (node) (rate(positron_retransmitted_packets_total{{{NODES}}}{RATE}))"
                    f' / sum by (node) (rate(positron_sent_packets_total{{{NODES}, transport="udp"}}{RATE}))',
                    legend="{{node}}",
                ),
            ),
            thresholds=SENT_AGAIN,
        ),
        Panel(
            number=8,
            title="Delivery ratio of broadcasts",
            description="Deliveries of the last minute, of those that would be if every other node that was there all "
            "along got each broadcast once; dashed, all. On the dashed line whatever the loss; below it while nodes "
            "are cut off, and an alert fires below 99 %. 'No data' if nobody has broadcast anything, or the testnet "
            "is younger than 15 seconds.",
            unit="percentunit",
            queries=(
                Query(expression="testnet:positron_gossip_delivery:ratio_increase60s", legend="delivered"),
                Query(expression="clamp_max(count(positron_node_info), 1)", legend="all", is_reference=True),
            ),
        ),
    ),
)
