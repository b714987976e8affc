"""The board *Link detail*: one link, from both of its ends."""

from __future__ import annotations

from node.testnet.boards.names import NO_LINK, RATE
from node.testnet.boards.spec import Board, Panel, Query

__all__ = ["LINK"]

_HERE = 'node=~"$node", peer=~"$peer"'

ACKNOWLEDGEMENT_DELAY = 0.01
"""Seconds that a peer may hold an acknowledgement; part of every computed timeout."""


def _here(metric: str) -> str:
    return f"max(positron_link_{metric}{{{_HERE}}})"


def _back(metric: str) -> str:
    """The same figure at the other end: the link of the chosen peer towards the chosen node."""
    whose = 'and on (node) positron_node_info{peer=~"$peer"} and on (peer) positron_node_info{node=~"$node"}'
    return f"max(positron_link_{metric} {whose})"


def _rate(metric: str) -> str:
    return f"sum(rate(positron_link_{metric}{{{_HERE}}}{RATE}))"


LINK = Board(
    uid="link",
    title="Link detail",
    description="What does this link do to packets, and how does the transport answer?",
    variables=("node", "peer"),
    is_single=True,
    panels=(
        Panel(
            number=1,
            title="Round trip time",
            description="As this end measures it. The latest jumps about by the jitter of the path, the smoothed one "
            "follows its mean, and the least is the path without any queue." + NO_LINK,
            unit="s",
            queries=(
                Query(expression=_here("rtt_latest_seconds"), legend="latest"),
                Query(expression=_here("rtt_smoothed_seconds"), legend="smoothed"),
                Query(expression=_here("rtt_min_seconds"), legend="least"),
            ),
        ),
        Panel(
            number=2,
            title="Round trip time, from the other end",
            description="The same link as its other end measures it. Both ends see the same round trips, so the lines "
            "agree but for the lateness of each process." + NO_LINK,
            unit="s",
            queries=(
                Query(expression=_back("rtt_latest_seconds"), legend="latest"),
                Query(expression=_back("rtt_smoothed_seconds"), legend="smoothed"),
                Query(expression=_back("rtt_min_seconds"), legend="least"),
            ),
        ),
        Panel(
            number=3,
            title="Retransmission timeout",
            description="Computed and in force; dashed, what the formula gives: smoothed round trip + 4 deviations + "
            "the longest delay of an acknowledgement. Computed lies on the dashed line; the effective one never falls "
            "below its floor, and doubles with each expiry." + NO_LINK,
            unit="s",
            queries=(
                Query(expression=_here("rto_computed_seconds"), legend="computed"),
                Query(expression=_here("rto_effective_seconds"), legend="effective"),
                Query(
                    expression=f"{_here('rtt_smoothed_seconds')} + 4 * {_here('rtt_variance_seconds')}"
                    f" + {ACKNOWLEDGEMENT_DELAY}",
                    legend="model",
                    is_reference=True,
                ),
            ),
        ),
        Panel(
            number=4,
            title="Retransmission timeout, from the other end",
            description="The timers of the other end. They differ where loss differs by direction, since each end "
            "waits for acknowledgements of its own packets." + NO_LINK,
            unit="s",
            queries=(
                Query(expression=_back("rto_computed_seconds"), legend="computed"),
                Query(expression=_back("rto_effective_seconds"), legend="effective"),
            ),
        ),
        Panel(
            number=5,
            title="Packets",
            description="Sent by this end, and what became of them. Lost and retransmitted are nothing on a clean "
            "network; spurious means declared lost and acknowledged after all, and stays near nothing even under "
            "jitter." + NO_LINK,
            unit="pps",
            queries=(
                Query(expression=_rate("sent_packets_total"), legend="sent"),
                Query(expression=_rate("retransmitted_packets_total"), legend="retransmitted"),
                Query(expression=_rate("lost_packets_total"), legend="lost"),
                Query(expression=_rate("spurious_retransmissions_total"), legend="spurious"),
            ),
        ),
        Panel(
            number=6,
            title="Window",
            description="Congestion window, bytes in flight, and the window at which slow start ends. In flight stays "
            "below the window; at the window the sender is held back." + NO_LINK,
            unit="bytes",
            queries=(
                Query(expression=_here("cwnd_bytes"), legend="window"),
                Query(expression=_here("in_flight_bytes"), legend="in flight"),
                Query(expression=_here("ssthresh_bytes"), legend="end of slow start"),
            ),
        ),
    ),
)
