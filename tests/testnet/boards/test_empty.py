"""A panel that has nothing to show says why, in the description that people read beside it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytest

from node.metrics.process import ProcessReading
from node.metrics.text import render
from node.testnet.boards import BOARDS
from node.testnet.metrics.recording import Recording
from node.testnet.metrics.rules import recorded
from node.testnet.report.panels import View
from node.types import SECOND
from tests.metrics.samples import node_snapshot, observation

UNMEASURED = ProcessReading(cpu=None, resident=None, open_files=None, started=None)


@pytest.mark.parametrize(
    ("of_node", "of_shell"),
    [
        pytest.param({}, {}, id="a node without peers"),
        pytest.param({}, {"socket": None, "process": UNMEASURED}, id="a simulation"),
        pytest.param({"udp": None}, {"socket": None}, id="TCP alone"),
        pytest.param({}, {"impairments": None}, id="an impairment that cannot be known"),
    ],
)
def test_a_panel_without_data_names_the_reason(of_node: Mapping[str, Any], of_shell: Mapping[str, Any]) -> None:
    recording = Recording()
    for second in range(30):
        snapshot = node_snapshot(uptime=(100 + second) * SECOND, **of_node)
        recording.scrape(float(second), {"node-1": render(observation(snapshot, chaos=None, **of_shell)).decode()})
    view = View(recording, (0.0, 29.0), rules=recorded())
    panels = [panel for board in BOARDS for panel in board.panels]
    empty = [panel for panel in panels if all(math.isnan(value) for query in panel.queries
                                              for value in view.at(query, 29.0).values())]  # fmt: skip
    assert len(empty) > 10
    assert [panel.title for panel in empty if "'No data'" not in panel.description] == []
