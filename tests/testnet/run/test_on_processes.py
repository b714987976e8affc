"""Scenarios from beginning to end on real processes: one that passes, and defects that turn one red."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from node.testnet.checker import check, load_run
from node.testnet.main import main
from node.testnet.run.conductor import Conductor
from node.testnet.run.verdict import Outcome, Verdict
from node.testnet.runners import proc
from node.testnet.runners.proc import ProcRunner
from node.testnet.scenario.parse import parse_scenario
from node.testnet.scenario.resolve import resolve
from tests.transport.qlog import parsed

pytestmark = [pytest.mark.loopback, pytest.mark.timeout(240)]

SCENARIO = """
schema: 1
title: a short one
topology: {nodes: 4}
load: {publish: 10/s}
settle: 4s
timeline:
  - {at: 0.5s, id: split, partition: halves, for: 2s}
  - {at: 3s, id: crash, kill: , target: node-2, for: 1s}
expect:
  - {recover: split, to: steady, within: 4s}
"""

LOSSY = """
schema: 1
title: bad links
topology: {nodes: 3}
links: {all: {loss: 25%}}
# Several packets each: small ones are repeated on lossy paths before anybody has noticed a loss.
load: {publish: 10/s, size: 8KiB}
settle: 5s
timeline:
  - {at: 0.5s, id: worse, delay: 5ms, target: node-1, for: 1s}
"""


def outcome_of(text: str, defect: str = "") -> Outcome:
    """What becomes of a scenario on processes."""
    scenario = parse_scenario(text, file="short", name="short")
    prepare = f"tests.testnet.defects:{defect}" if defect else ""
    return Conductor(scenario, resolve(scenario), ProcRunner(prepare=prepare)).run()


def test_a_scenario_passes_and_leaves_its_folder_and_nothing_else(
    testnets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(one.name for one in testnets.glob("*"))
    file = tmp_path / "short.yaml"
    file.write_text(SCENARIO)
    assert main(["chaos", "run", str(file), "--runner", "proc", "--out", str(tmp_path / "runs"), "--json"]) == 0
    record = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (record["verdict"], record["runner"], record["backend"]) == ("passed", "proc", "wire")
    assert record["published"] > 20
    run, invariants = load_run(Path(record["folder"]))
    assert check(run, invariants) == []
    assert sorted(one.name for one in testnets.glob("*")) == before


@pytest.mark.slow
def test_connections_are_traced_where_the_scenario_collects_it(testnets: Path, tmp_path: Path) -> None:
    file = tmp_path / "short.yaml"
    file.write_text(SCENARIO + "collect: [metrics, qlog]\n")
    assert main(["chaos", "run", str(file), "--runner", "proc", "--out", str(tmp_path / "runs")]) == 0
    (folder,) = (tmp_path / "runs").iterdir()
    nodes = sorted(one.name for one in (folder / "qlog").iterdir())
    assert nodes == ["node-1", "node-2", "node-3", "seed"]
    for node in nodes:
        files = [parsed(one.read_bytes()) for one in (folder / "qlog" / node).iterdir()]
        names = {record.get("name") for records in files for record in records}
        assert len(files) >= 3
        assert {"connectivity:connection_started", "transport:packet_sent", "recovery:metrics_updated"} <= names
    # One that was killed has files of both lives.
    lives = {one.name.split("-")[1] for one in (folder / "qlog" / "node-2").iterdir()}
    assert len(lives) == 2


@pytest.mark.slow
def test_a_node_that_delivers_every_copy_turns_it_red(testnets: Path) -> None:
    outcome = outcome_of(SCENARIO, "dedup_off")
    assert outcome.verdict is Verdict.FAILED
    assert "no_duplicate_delivery: " in outcome.reason


@pytest.mark.slow
def test_a_partition_that_never_heals_turns_it_red(testnets: Path) -> None:
    outcome = outcome_of(SCENARIO, "never_heals")
    assert outcome.verdict is Verdict.FAILED
    assert "every_message_everywhere" in outcome.reason


@pytest.mark.slow
def test_a_node_that_sends_nothing_again_turns_a_lossy_network_red(
    testnets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Longer than the lease, so that a testnet that is slow to begin with is seen to be kept all the same.
    monkeypatch.setattr(proc, "START_TIMEOUT", 11.0)
    outcome = outcome_of(LOSSY, "retransmission_off")
    assert outcome.verdict in (Verdict.FAILED, Verdict.NOT_RUN, Verdict.DEVIATED)
    assert any(
        word in outcome.reason for word in ("not steady", "did not find each other", "every_message_everywhere")
    ), outcome.reason
