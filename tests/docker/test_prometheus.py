"""Prometheus and the boards against a live testnet: everything is found, everything that is drawn has data."""

from __future__ import annotations

import re
import subprocess

import pytest
import yaml

from node.testnet.boards import BOARDS
from node.testnet.boards.spec import Query
from tests.docker.testnet import ROOT, Testnet, until

pytestmark = pytest.mark.timeout(600)

CONFIGURATION = ROOT / "docker" / "prometheus"
QUERIES = [
    pytest.param(query, id=f"{board.uid}-{panel.number}-{query.legend}")
    for board in BOARDS
    for panel in board.panels
    for query in panel.queries
]


def filled(expression: str) -> str:
    """The expression with what Grafana would put for its variables on a board of 15 minutes."""
    for name, value in (("$node", ".+"), ("$peer", ".+"), ("$__rate_interval", "4s"), ("$__range", "15m")):
        expression = expression.replace(name, value)
    return expression


@pytest.fixture(scope="module")
def busy(testnet: Testnet) -> Testnet:
    """The testnet with every node scraped, and a broadcast that the counters saw happen."""
    count = len(testnet.names)
    until(lambda: len(testnet.query("positron_node_info")) == count, 20, "every node is scraped")
    until(lambda: len(testnet.query("rate(positron_gossip_published_messages_total[3s])")) == count, 20, "twice")
    testnet.broadcast("seed", {"hello": "world"})
    return testnet


def broadcast_again(testnet: Testnet, expression: str) -> None:
    """The share of broadcasts that arrived is of the last ones, and of nodes that were there before."""
    if "gossip_delivery" in expression:
        until(lambda: bool(testnet.query("min(positron_uptime_seconds) > 12")), 30, "all nodes are old enough")
        testnet.broadcast("seed", {"hello": "again"})


def test_the_configuration_and_the_rules_are_valid() -> None:
    for command in (["check", "config", "prometheus.yml"], ["check", "rules", "rules.yml", "alerts.yml"]):
        done = subprocess.run(["promtool", *command], cwd=CONFIGURATION, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_fires_when_it_should_and_is_quiet_when_it_should_not() -> None:
    rules = ROOT / "tests" / "grafana" / "rules_test.yml"
    done = subprocess.run(["promtool", "test", "rules", rules], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_nothing_alarms_in_a_healthy_testnet(busy: Testnet) -> None:
    assert [sample.labels for sample in busy.query('ALERTS{alertstate="firing"}')] == []


def test_every_node_is_found_and_known_by_its_name(busy: Testnet) -> None:
    assert {sample.labels["node"] for sample in busy.query("positron_node_info")} == set(busy.names)
    assert {sample.labels["instance"] for sample in busy.query("positron_node_info")} == set(busy.names)
    until(lambda: [s.value for s in busy.query('sum(up{job="positron"})')] == [len(busy.names)], 10, "all are up")


def test_every_link_has_its_figures(busy: Testnet) -> None:
    links = len(busy.names) * (len(busy.names) - 1)
    for name in ("rtt_smoothed_seconds", "rto_computed_seconds", "rto_effective_seconds"):
        until(lambda name=name: len(busy.query(f"positron_link_{name} > 0")) == links, 10, name)  # type: ignore[misc]


MAY_BE_ABSENT = ("positron_link_ssthresh_bytes", "positron_chaos_active", "positron_impairment_asked_")
"""Figures that a healthy testnet has not: a window that met loss, a fault, what a controller asked of a link."""


@pytest.mark.parametrize("query", QUERIES)
def test_every_expression_of_the_boards_has_data(busy: Testnet, query: Query) -> None:
    if any(name in query.expression for name in MAY_BE_ABSENT):
        assert busy.query(f"count({filled(query.expression)} or vector(0))")
        return
    broadcast_again(busy, query.expression)
    until(lambda: bool(busy.query(filled(query.expression))), 20, query.expression)
    wanted = set(re.findall(r"\{\{(\w+)\}\}", query.legend))
    assert all(wanted <= set(sample.labels) for sample in busy.query(filled(query.expression)))


def test_every_rule_has_data(busy: Testnet) -> None:
    groups = yaml.safe_load((CONFIGURATION / "rules.yml").read_text())["groups"]
    for rule in (rule for group in groups for rule in group["rules"]):
        broadcast_again(busy, rule["record"])
        until(lambda rule=rule: bool(busy.query(rule["record"])), 20, rule["record"])  # type: ignore[misc]


def test_the_choice_of_nodes_on_the_board_lists_them(busy: Testnet) -> None:
    values = {sample.labels["node"] for sample in busy.query("group by (node) (positron_node_info)")}
    assert values == set(busy.names)


def test_promtool_finds_nothing_wrong_with_what_a_node_exposes(busy: Testnet) -> None:
    exposed = busy.execute(
        "node-1",
        "python",
        "-c",
        "import tomllib, urllib.request as r; h = tomllib.load(open('/run/positron/node.toml', 'rb'))['metrics_host'];"
        "print(r.urlopen(f'http://{h}:9464/metrics').read().decode(), end='')",
    ).stdout
    done = subprocess.run(["promtool", "check", "metrics"], input=exposed, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
