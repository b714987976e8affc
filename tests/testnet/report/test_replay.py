"""A stored run in a real Prometheus answers every query of every board and rule."""

from __future__ import annotations

import json
import re
import shutil
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest

from grafana import generate
from node.testnet.boards import BOARDS
from node.testnet.boards.spec import Query
from node.testnet.errors import TestnetMisused
from node.testnet.metrics.recording import Recording
from node.testnet.metrics.rules import recorded
from node.testnet.report.replay import Replay, replayed
from node.testnet.report.stored import StoredRun, load
from node.testnet.run.conductor import Conductor
from node.testnet.run.folder import RunFolder
from node.testnet.runners.sim import SimRunner
from node.testnet.scenario.parse import parse_scenario
from node.testnet.scenario.resolve import resolve

pytestmark = [
    pytest.mark.loopback,
    pytest.mark.timeout(180),
    pytest.mark.skipif(
        not (shutil.which("prometheus") and shutil.which("promtool")), reason="prometheus is not installed"
    ),
]

TEXT = """\
schema: 1
title: one bad node
seed: 5
topology: {nodes: 4}
links: {all: {delay: 5ms}}
load: {publish: 10/s}
timeline:
  - {at: 3s, id: lossy, loss: 30%, target: node-2, for: 20s}
"""
FAULT_AT = 20.0

WITHOUT_DATA = {
    "positron_event_loop_lag_seconds": "virtual time is never late",
    "positron_udp_": "a simulated node has no socket",
    "positron_tcp_link_": "a simulated stream has no kernel",
    "positron_process_": "many simulated nodes share one process",
    "positron_link_ssthresh_bytes": "no window is full, and random loss does not end the slow start",
    "positron_wall_clock_shift_seconds": "nobody sets a virtual clock",
    "positron_scrape_render_seconds": "virtual time does not pass while a scrape is rendered",
}

PANELS = [
    pytest.param(query, id=f"{board.uid}-{panel.number}-{query.legend}")
    for board in BOARDS
    for panel in board.panels
    for query in panel.queries
]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> StoredRun:
    scenario = parse_scenario(TEXT, file="s.yaml", name="s")
    conductor = Conductor(scenario, resolve(scenario), SimRunner())
    conductor.run()
    folder = RunFolder(tmp_path_factory.mktemp("runs"), "s", 5, began=1_700_000_000.0)
    folder.write(conductor, {"schema": 1})
    return load(folder.path)


@pytest.fixture(scope="module")
def replay(run: StoredRun) -> Iterator[Replay]:
    with replayed(run) as served:
        yield served


def asked(replay: Replay, expression: str, at: float) -> list[dict[str, Any]]:
    for name, value in (("$node", ".+"), ("$peer", ".+"), ("$__rate_interval", "4s"), ("$__range", "20s")):
        expression = expression.replace(name, value)
    words = urlencode({"query": expression, "time": at})
    with urlopen(f"{replay.address}/api/v1/query?{words}", timeout=10) as answer:
        result: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        return result


@pytest.mark.parametrize("query", PANELS)
def test_every_query_of_every_panel_has_data_with_the_labels_of_its_legend(
    replay: Replay, run: StoredRun, query: Query
) -> None:
    found = asked(replay, query.expression, run.began + FAULT_AT)
    if any(name in query.expression for name in WITHOUT_DATA):
        return
    assert found
    wanted = set(re.findall(r"\{\{(\w+)\}\}", query.legend))
    assert all(wanted <= set(series["metric"]) for series in found)


def test_every_recording_rule_has_a_history(replay: Replay, run: StoredRun) -> None:
    for name, expression in recorded().items():
        if not any(word in expression for word in WITHOUT_DATA):
            assert asked(replay, name, run.began + FAULT_AT), name


def test_the_choices_of_every_board_have_data(replay: Replay, run: StoredRun) -> None:
    for board in BOARDS:
        parts = json.loads(generate.render(board))
        for variable in parts["templating"]["list"]:
            definition = re.fullmatch(r"(?:label_values\((.+), \w+|query_result\((.+))\)", variable["definition"])
            assert definition is not None
            found = asked(replay, definition[1] or definition[2], run.began + FAULT_AT)
            assert len({series["metric"][variable["name"]] for series in found}) == 4


def test_peers_are_chosen_by_name_and_stand_for_their_keys(replay: Replay, run: StoredRun) -> None:
    (board,) = [board for board in BOARDS if board.uid == "link"]
    _, variable = json.loads(generate.render(board))["templating"]["list"]
    found = asked(replay, variable["definition"].removeprefix("query_result(")[:-1], run.began + FAULT_AT)
    pattern = variable["regex"].strip("/").replace("(?<", "(?P<")
    # As Grafana writes a series down for its pattern.
    lines = ["{" + ",".join(f'{name}="{value}"' for name, value in one["metric"].items()) + "} 3 0" for one in found]
    matches = [re.search(pattern, line) for line in lines]
    assert {match["text"] for match in matches if match} == {"seed", "node-1", "node-2", "node-3"}
    assert {match["value"] for match in matches if match} == {one["metric"]["peer"] for one in found}


def test_faults_are_shaded_while_they_run_and_not_before(replay: Replay, run: StoredRun) -> None:
    (expression,) = {json.loads(generate.render(board))["annotations"]["list"][0]["expr"] for board in BOARDS}
    (shaded,) = asked(replay, expression, run.began + FAULT_AT)
    assert shaded["metric"] == {"step": "lossy", "kind": "loss"}
    assert not asked(replay, expression, run.began + 1)


def test_only_the_links_of_the_bad_node_retransmit(replay: Replay, run: StoredRun) -> None:
    ratio = "link:positron_retransmission:ratio_rate10s > 0.02"
    bad = asked(replay, 'positron_node_info{node="node-2"}', run.began + FAULT_AT)[0]["metric"]["peer"]
    during = asked(replay, ratio, run.began + FAULT_AT)
    assert during
    assert all(one["metric"]["node"] == "node-2" or one["metric"]["peer"] == bad for one in during)


def test_a_run_without_samples_is_refused(run: StoredRun) -> None:
    with (
        pytest.raises(TestnetMisused, match=r"holds no samples: its metrics\.openmetrics is empty"),
        replayed(replace(run, recording=Recording())),
    ):
        pass


def test_a_port_that_is_taken_is_named(run: StoredRun) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(TestnetMisused, match=f"port {port} of 127.0.0.1 cannot be had"), replayed(run, port=port):
            pass


def test_nothing_is_left_when_it_ends(run: StoredRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with replayed(run, rules=tmp_path / "none.yml") as served:
        assert not served.has_rules
        assert list(tmp_path.iterdir())
        port = served.port
    assert not list(tmp_path.iterdir())
    with socket.socket() as probe:
        probe.settimeout(1)
        assert probe.connect_ex(("127.0.0.1", port))
