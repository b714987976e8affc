"""Boards can be asked of a recording wherever they draw lines; tests/grafana judges them as boards."""

from __future__ import annotations

import pytest

from node.testnet.boards import BOARDS
from node.testnet.boards.names import named
from node.testnet.boards.spec import Panel
from node.testnet.metrics.promql import Query
from node.testnet.metrics.recording import Recording
from node.testnet.metrics.rules import recorded

PANELS = [pytest.param(panel, id=f"{board.uid}-{panel.number}") for board in BOARDS for panel in board.panels]


@pytest.mark.parametrize("panel", PANELS)
def test_every_panel_can_be_asked_without_a_server(panel: Panel) -> None:
    for query in panel.queries:
        expression = query.expression
        for name, value in (("$__rate_interval", "5s"), ("$__range", "60s"), ("$node", ".+"), ("$peer", ".+")):
            expression = expression.replace(name, value)
        Query(expression)


def test_every_drill_down_leads_to_a_board() -> None:
    known = {board.uid for board in BOARDS}
    assert {panel.leads_to for board in BOARDS for panel in board.panels} <= {"", *known}


def test_a_peer_goes_by_its_name_and_by_its_key_where_nobody_says_that_it_is_his() -> None:
    recording = Recording()
    for second in range(100):
        for node, peer, is_up in (("a", "aa", True), ("b", "bb", second < 10)):
            if is_up:
                recording.add(float(second), "positron_node_info", (("node", node), ("peer", peer)), 1.0)
        for peer in ("bb", "cc"):
            recording.add(float(second), "rtt", (("node", "a"), ("peer", peer)), 0.04)
    rule = "peer:positron_node_info:name"
    query = Query(named("rtt").replace(rule, f"({recorded()[rule]})"))
    names = {
        second: {dict(labels)["peer_name"]: value for labels, value in query.at(recording, float(second)).items()}
        for second in (5, 60, 90)
    }
    # `b` is remembered for a minute; links that lead to it may outlive it.
    assert names == {5: {"b": 0.04, "cc": 0.04}, 60: {"b": 0.04, "cc": 0.04}, 90: {"bb": 0.04, "cc": 0.04}}
