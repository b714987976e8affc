"""Questions that no node could ever answer."""

from __future__ import annotations

import pytest

from node.testnet.scenario.questions import wrong_question
from node.testnet.scenario.scenario import ProbeKind


@pytest.mark.parametrize(
    ("kind", "subject"),
    [
        (ProbeKind.PROM, "sum(rate(positron_link_retransmitted_packets_total[5s])) by (node)"),
        (
            ProbeKind.PROM,
            "histogram_quantile(0.99, sum by (le) (rate(positron_gossip_propagation_seconds_bucket[5s])))",
        ),
        (ProbeKind.PROM, 'up == 1 and {__name__=~"positron_.*"} > 0'),
        (ProbeKind.LOG, "a+"),
        (ProbeKind.HTTP, "/anything"),
        (ProbeKind.PEERS, ""),
        (ProbeKind.STATE, "active_peers"),
        (ProbeKind.STATE, "gossip_stats.repaired.pull"),
        (ProbeKind.STATE, "transport.udp.socket.errors"),
    ],
)
def test_what_a_node_can_answer_may_be_asked(kind: ProbeKind, subject: str) -> None:
    assert wrong_question(kind, subject) == ""


@pytest.mark.parametrize(
    ("kind", "subject", "said"),
    [
        (ProbeKind.PROM, "sum(", "unclosed left parenthesis"),
        (ProbeKind.PROM, '"text"', "StringLiteral is not supported here"),
        (ProbeKind.PROM, "rate(positron_peers[5s]) + positron_peer", "no node has the metric positron_peer; did you"),
        (ProbeKind.PROM, "node_load1", "no node has the metric node_load1; "),
        (ProbeKind.LOG, "(", "missing )"),
        (ProbeKind.STATE, "gossip_stats.deliverd", "no node has that number; did you mean gossip_stats.delivered?"),
        (ProbeKind.STATE, "gossip_stats", "no node has that number"),
        (ProbeKind.STATE, "", "no node has that number"),
    ],
)
def test_what_no_node_can_answer_is_told_with_what_was_meant(kind: ProbeKind, subject: str, said: str) -> None:
    assert wrong_question(kind, subject).startswith(said)
