"""The board *Node*: one node from the inside."""

from __future__ import annotations

from node.testnet.boards.names import AMBER, LINK_STATES, NO_LINK, NODES, RATE, RED, SIMULATED, named, quantile, rate_by
from node.testnet.boards.spec import Board, Panel, Query, Shape, Threshold

__all__ = ["NODE"]


def _links(metric: str) -> tuple[Query, ...]:
    """The five links of the node on which a figure is highest."""
    return _by_peer(f"topk(5, {metric}{{{NODES}}})")


def _by_peer(expression: str) -> tuple[Query, ...]:
    """A line for each peer, by its name; the label `peer` stays for the board that a line leads to."""
    return (Query(expression=f"max by (peer, peer_name) ({named(expression)})", legend="{{peer_name}}"),)


NODE = Board(
    uid="node",
    title="Node",
    description="What does one node see of its network, and is it itself well?",
    is_single=True,
    panels=(
        Panel(
            number=1,
            title="Packets",
            description="Packets of the node's connections, both ways. Both lines lie close together in a mesh; one "
            "far below the other is a node that is not heard, or does not hear.",
            unit="pps",
            queries=(
                Query(expression=f"sum(rate(positron_sent_packets_total{{{NODES}}}{RATE}))", legend="sent"),
                Query(expression=f"sum(rate(positron_received_packets_total{{{NODES}}}{RATE}))", legend="received"),
            ),
        ),
        Panel(
            number=2,
            title="Smoothed RTT, the five slowest links",
            description="Smoothed round trip times of the five links on which they are longest. Twice the configured "
            "delay; one line far above the others is one bad link." + NO_LINK,
            unit="s",
            queries=_links("positron_link_rtt_smoothed_seconds"),
            leads_to="link",
        ),
        Panel(
            number=3,
            title="Retransmission timeout, the five longest",
            description="Effective timeouts of the five links on which they are longest. Some ten milliseconds above "
            "the round trip time; doubling steps mean that nothing comes back." + NO_LINK,
            unit="s",
            queries=_links("positron_link_rto_effective_seconds"),
            leads_to="link",
        ),
        Panel(
            number=4,
            title="Window and bytes in flight",
            description="Congestion windows of all links together, and what is sent and not yet acknowledged. In "
            "flight stays far below the window unless the node sends as much as the network takes." + NO_LINK,
            unit="bytes",
            queries=(
                Query(expression=f"sum(positron_link_cwnd_bytes{{{NODES}}})", legend="window"),
                Query(expression=f"sum(positron_link_in_flight_bytes{{{NODES}}})", legend="in flight"),
            ),
        ),
        Panel(
            number=5,
            title="Packets dropped on arrival, by reason",
            description="Packets that arrived and were thrown away. Nothing but single ones when nodes start, restart "
            "or leave; anything steady is a stranger, a corrupting path or a defect.",
            unit="pps",
            queries=(rate_by("reason", "positron_dropped_packets_total"),),
        ),
        Panel(
            number=6,
            title="The kernel's refusals",
            description="Datagrams that the kernel dropped for want of buffer, or would not send. Zero; anything else "
            "is loss that no network caused." + SIMULATED,
            unit="pps",
            queries=(
                Query(
                    expression=f"sum(rate(positron_udp_kernel_drops_total{{{NODES}}}{RATE}))", legend="receive buffer"
                ),
                Query(expression=f"sum(rate(positron_udp_send_errors_total{{{NODES}}}{RATE}))", legend="send refused"),
                Query(
                    expression=f"sum(rate(positron_udp_backlog_drops_total{{{NODES}}}{RATE}))", legend="send backlog"
                ),
            ),
            thresholds=(Threshold(value=0.001, colour=RED),),
        ),
        Panel(
            number=7,
            title="Lateness of the event loop",
            description="How late timers of the node ran. A few milliseconds; above 50 ms the node's round trip times "
            "are its own lateness, and an alert fires." + SIMULATED,
            unit="s",
            queries=tuple(quantile(share, "positron_event_loop_lag_seconds") for share in (0.5, 0.99)),
            thresholds=(Threshold(value=0.01, colour=AMBER), Threshold(value=0.05, colour=RED)),
        ),
        Panel(
            number=8,
            title="Processor",
            description="Share of one processor that the node uses. A few percent when idle; near 100 % everything on "
            "the node comes late." + SIMULATED,
            unit="percentunit",
            queries=(
                Query(expression=f"sum(rate(positron_process_cpu_seconds_total{{{NODES}}}{RATE}))", legend="used"),
            ),
        ),
        Panel(
            number=9,
            title="Memory",
            description="Resident memory of the process, and what gossip keeps of messages. Some 45 MiB, and flat; a "
            "line that only rises is a leak.",
            unit="bytes",
            queries=(
                Query(expression=f"sum(positron_process_resident_memory_bytes{{{NODES}}})", legend="resident"),
                Query(expression=f"sum(positron_gossip_cached_bytes{{{NODES}}})", legend="messages kept"),
            ),
        ),
        Panel(
            number=10,
            title="Links",
            description="State of each link over time, by the name of the peer, or the first digits of its key where "
            "that is not scraped. Established all along; gaps are peers that were killed, cut off or restarted."
            + NO_LINK,
            unit="short",
            queries=_by_peer(f"positron_link_state{{{NODES}}}"),
            shape=Shape.STATES,
            words=LINK_STATES,
            leads_to="link",
        ),
        Panel(
            number=11,
            title="Members, as this node sees them",
            description="Nodes by what this node thinks of them. All alive; suspects appear for seconds when a node "
            "falls silent, and become dead or alive again.",
            unit="short",
            queries=(Query(expression=f"sum by (state) (positron_members{{{NODES}}})", legend="{{state}}"),),
        ),
        Panel(
            number=12,
            title="Log records, by level",
            description="What the node writes. Some informational lines when peers come and go; warnings are worth a "
            "look, and errors mean that something stopped.",
            unit="cps",
            queries=(rate_by("level", "positron_log_messages_total"),),
        ),
    ),
)
