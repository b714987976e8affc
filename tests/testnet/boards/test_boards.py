"""Boards can be asked of a recording wherever they draw lines; tests/grafana judges them as boards."""

from __future__ import annotations

import pytest

from node.testnet.boards import BOARDS
from node.testnet.boards.spec import Panel
from node.testnet.metrics.promql import Query

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
