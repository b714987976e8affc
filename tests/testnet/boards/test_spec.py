"""Boards are values: equal when they say the same."""

from __future__ import annotations

from node.testnet.boards.spec import Panel, Query


def test_panels_that_say_the_same_are_equal() -> None:
    def panel() -> Panel:
        return Panel(number=1, title="t", description="d", unit="s", queries=(Query(expression="up", legend=""),))

    assert panel() == panel()
