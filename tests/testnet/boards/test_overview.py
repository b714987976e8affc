"""The overview can be asked of a recording; tests/grafana judges it as a board."""

from __future__ import annotations

import pytest

from node.testnet.boards.overview import OVERVIEW
from node.testnet.boards.spec import Panel, Shape
from node.testnet.metrics.promql import Query

SERIES = [panel for panel in OVERVIEW.panels if panel.shape is Shape.TIME_SERIES]


@pytest.mark.parametrize("panel", SERIES, ids=lambda panel: panel.title)
def test_every_chart_can_be_asked_without_a_server(panel: Panel) -> None:
    for query in panel.queries:
        Query(query.expression.replace("$__rate_interval", "5s").replace("$node", ".+"))
