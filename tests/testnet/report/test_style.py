"""The style has a colour for every line."""

from __future__ import annotations

from node.testnet.report.charts import COLOURS
from node.testnet.report.style import STYLE


def test_every_line_of_a_chart_has_its_colour_and_verdicts_differ() -> None:
    assert all(f".c{number} {{" in STYLE for number in range(COLOURS))
    assert all(f".verdict.{verdict}" in STYLE for verdict in ("passed", "failed", "deviated"))
