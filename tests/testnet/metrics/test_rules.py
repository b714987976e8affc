from __future__ import annotations

from pathlib import Path

from node.testnet.metrics.promql import Query
from node.testnet.metrics.rules import recorded


def test_every_rule_can_be_computed_without_a_server() -> None:
    rules = recorded()
    assert "link:positron_retransmission:ratio_rate10s" in rules
    for expression in rules.values():
        Query(expression)


def test_a_package_without_rules_has_none(tmp_path: Path) -> None:
    assert recorded(tmp_path / "rules.yml") == {}
