from __future__ import annotations

from pathlib import Path

import yaml

from node.testnet.metrics.promql import Query
from node.testnet.metrics.rules import RULES, recorded


def test_every_rule_can_be_computed_without_a_server() -> None:
    rules = recorded()
    assert "link:positron_retransmission:ratio_rate10s" in rules
    for expression in rules.values():
        Query(expression)


def test_an_installed_package_has_the_rules_and_the_server_of_containers_the_same() -> None:
    root = Path(__file__).parents[3]
    assert root / "node" in RULES.parents
    services = yaml.safe_load((root / "docker-compose.yml").read_text())["services"]
    assert f"./{RULES.relative_to(root)}:/etc/prometheus/rules.yml:ro" in services["prometheus"]["volumes"]
