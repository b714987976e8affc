from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from node.testnet.metrics.promql import Query
from node.testnet.metrics.recording import Recording
from node.testnet.metrics.rules import RULES, recorded

ROOT = Path(__file__).parents[3]
DELIVERY = "testnet:positron_gossip_delivery:ratio_increase60s"


def test_every_rule_can_be_computed_without_a_server() -> None:
    rules = recorded()
    assert "link:positron_retransmission:ratio_rate10s" in rules
    for expression in rules.values():
        Query(expression)


def test_an_installed_package_has_the_rules_and_the_server_of_containers_the_same() -> None:
    assert ROOT / "node" in RULES.parents
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    assert f"./{RULES.relative_to(ROOT)}:/etc/prometheus/rules.yml:ro" in services["prometheus"]["volumes"]


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_every_alert_fires_when_it_should_and_is_quiet_when_it_should_not() -> None:
    rules = ROOT / "tests" / "grafana" / "rules_test.yml"
    done = subprocess.run(["promtool", "test", "rules", rules], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def two_nodes(*, joined_at: int, heard_until: int, ended_at: int = 100) -> Recording:
    """`a` broadcasts five messages a second from second 10 on; `b` and `c`, which joined later, get them 2 s after."""
    recording = Recording()
    for second in range(200):
        published = 5 * max(0, min(second, ended_at) - 10)
        arrived = 5 * max(0, min(second - 2, ended_at, heard_until) - 10)
        counts = {"a": (second, published, 0), "b": (second, 0, arrived)}
        if second >= joined_at:
            counts["c"] = (second - joined_at, 0, max(0, arrived - 5 * max(0, joined_at - 10)))
        for node, (uptime, sent, delivered) in counts.items():
            for name, value in (
                ("uptime_seconds", uptime),
                ("gossip_published_messages_total", sent),
                ("gossip_delivered_messages_total", delivered),
            ):
                recording.add(float(second), f"positron_{name}", (("node", node),), float(value))
    return recording


def delivery(recording: Recording) -> list[float]:
    """The ratio at each second at which there is one."""
    query = Query(recorded()[DELIVERY])
    return [value for second in range(200) for value in query.at(recording, float(second)).values()]


def test_without_a_server_all_broadcasts_are_delivered_when_they_begin_end_and_a_node_joins() -> None:
    ratios = delivery(two_nodes(joined_at=50, heard_until=200))
    assert len(ratios) > 100
    assert set(ratios) == {1.0}


def test_without_a_server_a_loss_of_deliveries_is_seen() -> None:
    ratios = delivery(two_nodes(joined_at=0, heard_until=90))
    assert ratios[0] == 1.0
    assert min(ratios) < 0.9
