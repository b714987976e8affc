"""`scripts/check-grafana`, against a stand-in whose answers come from a real Prometheus with a recorded run."""

from __future__ import annotations

import copy
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from grafana.check import main
from node.testnet.report.replay import Replay, replayed
from node.testnet.report.stored import load
from tests.grafana.standin import StandIn, served

pytestmark = [
    pytest.mark.loopback,
    pytest.mark.timeout(180),
    pytest.mark.skipif(
        not (shutil.which("prometheus") and shutil.which("promtool")), reason="prometheus is not installed"
    ),
]

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def prometheus() -> Iterator[Replay]:
    with replayed(load(ROOT / "docs" / "demo-run")) as replay:
        yield replay


@pytest.fixture
def grafana(prometheus: Replay) -> Iterator[StandIn]:
    with served(StandIn(prometheus.address, prometheus.start, prometheus.end)) as stand_in:
        yield stand_in


def test_all_is_well(grafana: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([grafana.address]) == 0
    said = capsys.readouterr()
    assert said.err == ""
    lines = [line for line in said.out.splitlines() if line.startswith("ok ")]
    assert [line.split()[1].rstrip(":") for line in lines] == ["health", "datasource", *["board"] * 6]
    # A simulated node has no socket and no process, and says so by having no data.
    assert "no data: node: " in said.out


def test_a_query_that_prometheus_refuses_is_named_with_its_place_and_the_reason(
    grafana: StandIn, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    board = (ROOT / "grafana" / "dashboards" / "gossip.json").read_text()
    (tmp_path / "gossip.json").write_text(board.replace('"expr": "sum', '"expr": "suum', 1))
    monkeypatch.setattr("grafana.check.DASHBOARDS", tmp_path)
    assert main([grafana.address]) == 1
    said = capsys.readouterr()
    assert "check-grafana: board gossip, panel '" in said.err
    assert "unknown function" in said.err
    assert "BAD board gossip" in said.out


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [("database", "failing", "health: Grafana 0.0.0, database failing"), ("datasource", "loki", "prometheus: loki")],
)
def test_a_grafana_that_is_ill_is_found_out(
    grafana: StandIn, capsys: pytest.CaptureFixture[str], field: str, value: str, words: str
) -> None:
    setattr(grafana, field, value)
    assert main([grafana.address]) == 1
    assert words in capsys.readouterr().err


def test_boards_that_are_missing_or_others_are_found_out(grafana: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    del grafana.boards["chaos"]
    grafana.boards["node"] = copy.deepcopy(grafana.boards["node"])
    grafana.boards["node"]["panels"].pop()
    assert main([grafana.address]) == 1
    said = capsys.readouterr().err
    assert "board chaos: /api/dashboards/uid/chaos: status 404: Dashboard not found" in said
    assert "board node: Grafana has other panels than dashboards/node.json" in said


def test_a_grafana_without_any_data_is_not_well(grafana: StandIn, capsys: pytest.CaptureFixture[str]) -> None:
    grafana.start, grafana.end = grafana.end + 1000, grafana.end + 1010
    assert main([grafana.address]) == 1
    assert "no panel has data: does Prometheus scrape the nodes" in capsys.readouterr().err


def test_nobody_there_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
        assert main([address]) == 1
    assert capsys.readouterr().err == f"check-grafana: {address} does not answer: [Errno 111] Connection refused\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["ftp://here"], "allowed is http://HOST:PORT"),
        (["--wait", "-1"], "allowed is 0 to 3600 seconds"),
        (["--nix"], "unrecognized arguments"),
    ],
)
def test_a_wrong_use_is_status_2(capsys: pytest.CaptureFixture[str], arguments: list[str], words: str) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert words in capsys.readouterr().err


def test_pictures_need_a_browser(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SystemExit, match="2"):
        main(["--pictures", "here"])
    assert "chromium is not installed" in capsys.readouterr().err
