"""`testnet chaos` as people call it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from node.testnet.main import main

SHORT = """\
schema: 1
title: a short one
topology: {nodes: 3}
timeline:
  - {at: 1s, loss: 20%, target: node-1, for: 3s}
"""


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    path = tmp_path / "short.yaml"
    path.write_text(SHORT)
    return path


def test_a_scenario_is_run_judged_and_kept(scenario: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "runs"
    junit = tmp_path / "junit.xml"
    command = ["chaos", "run", str(scenario), "--runner", "sim", "--out", str(out), "--junit", str(junit)]
    assert main(command) == 0
    said = capsys.readouterr()
    assert "short: passed: every expectation and invariant held" in said.out
    assert "loss of 4 links" in said.err
    (folder,) = out.iterdir()
    assert json.loads((folder / "outcome.json").read_text())["verdict"] == "passed"
    assert 'tests="1"' in junit.read_text()


def test_a_replay_comes_to_the_same_digest(scenario: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["chaos", "run", str(scenario), "--runner", "sim", "--out", str(tmp_path / "runs"), "--json", "--seed", "3"])
    first = json.loads(capsys.readouterr().out)
    assert main(["chaos", "replay", first["folder"], "--out", str(tmp_path / "again"), "--json"]) == 0
    told = capsys.readouterr()
    second = json.loads(told.out)
    assert second["digest"] == first["digest"]
    assert told.err.endswith(f"the same history, to the digest {first['digest']}\n")
    assert second["seed"] == 3
    assert second["scenario"] == "short"


def test_a_replay_that_differs_is_said(scenario: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["chaos", "run", str(scenario), "--runner", "sim", "--out", str(tmp_path / "runs")])
    (folder,) = (tmp_path / "runs").iterdir()
    outcome = json.loads((folder / "outcome.json").read_text())
    (folder / "outcome.json").write_text(json.dumps(outcome | {"digest": "0" * 32}))
    assert main(["chaos", "replay", str(folder), "--out", str(tmp_path / "again")]) == 1
    assert "the code has changed" in capsys.readouterr().err


def test_a_dry_run_says_what_would_happen(scenario: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["chaos", "run", str(scenario), "--dry"]) == 0
    assert "loss-1: loss of 4 links" in capsys.readouterr().out


def test_runs_are_repeated_with_the_next_seeds(scenario: Path, tmp_path: Path) -> None:
    command = ["chaos", "run", str(scenario), "--runner", "sim", "--out", str(tmp_path / "runs"), "--seed", "10"]
    assert main([*command, "--repeat", "2"]) == 0
    assert sorted(path.name.rsplit("-", 1)[1] for path in (tmp_path / "runs").iterdir()) == ["10", "11"]


def test_lint_names_file_line_and_field(scenario: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["chaos", "lint", str(scenario)]) == 0
    scenario.write_text(SHORT.replace("20%", "200%"))
    assert main(["chaos", "lint", str(scenario)]) == 1
    assert capsys.readouterr().out.splitlines()[-1].startswith(f"{scenario}:5: timeline[0].loss")


def test_a_bad_scenario_is_one_line_and_status_2(scenario: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scenario.write_text(SHORT.replace("node-1", "node-7"))
    assert main(["chaos", "run", str(scenario)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "no node or group 'node-7'" in line


def test_faults_that_exclude_each_other_are_a_mistake(scenario: Path, capsys: pytest.CaptureFixture[str]) -> None:
    twice = "  - {at: 1s, pause: , target: node-1, for: 3s}\n"
    scenario.write_text(SHORT + twice + twice)
    assert main(["chaos", "lint", str(scenario)]) == 1
    assert "exclude each other" in capsys.readouterr().out


def test_an_unknown_name_is_answered_with_those_that_are_shipped(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["chaos", "run", "nonsense"]) == 2
    assert "shipped are " in capsys.readouterr().err


def test_every_shipped_scenario_is_listed_and_sound(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["chaos", "lint"]) == 0
    assert main(["chaos", "list", "--json"]) == 0
    out = capsys.readouterr().out
    assert len(json.loads(out[out.index("[") :])) >= 1


def test_scenarios_by_chance_are_written_and_sound(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["chaos", "generate", "--seed", "7", "--count", "3", "--into", str(tmp_path)]) == 0
    files = capsys.readouterr().out.split()
    assert len(files) == 3
    assert main(["chaos", "lint", *files]) == 0


def test_a_scenario_that_passes_cannot_be_made_smaller(scenario: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["chaos", "minimise", str(scenario)]) == 1
    assert "nothing to make smaller" in capsys.readouterr().err


def test_a_failing_scenario_is_made_smaller(scenario: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scenario.write_text(
        SHORT + "  - {at: 2s, id: idle, delay: 5ms, target: node-2, for: 1s}\n"
        "expect:\n  - {detect: loss-1, when: {state: active_peers, above: 9}, within: 2s}\n"
    )
    assert main(["chaos", "minimise", str(scenario)]) == 0
    smaller = capsys.readouterr().out
    assert "idle" not in smaller
    assert "detect" in smaller


def test_a_key_that_nobody_knows_gets_a_suggestion(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "s.yaml"
    path.write_text("schema: 1\ntitle: t\ntopology: {nodes: 3}\ntimeline:\n  - {at: 1s, losss: 20%, for: 3s}\n")
    assert main(["chaos", "lint", str(path)]) == 1
    said = capsys.readouterr().out
    assert f"{path}:5: timeline[0].losss: unknown; did you mean loss? allowed is one of" in said


def test_faults_that_exclude_each_other_are_named_where_the_later_one_stands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "s.yaml"
    entries = (
        "  - {at: 1s, id: a, kill: , target: node-1, for: 5s}\n  - {at: 2s, id: b, pause: , target: node-1, for: 2s}\n"
    )
    path.write_text(f"schema: 1\ntitle: t\ntopology: {{nodes: 3}}\ntimeline:\n{entries}")
    assert main(["chaos", "lint", str(path)]) == 1
    assert f"{path}:6: timeline[1]: b and a hit node-1 at the same time" in capsys.readouterr().out


def test_every_command_tells_in_json_what_it_did_and_what_went_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["chaos", "generate", "--count", "2", "--into", str(tmp_path / "g"), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["files"]) == 2
    assert main(["chaos", "generate", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["schema"] == 1
    for words in (
        ["report", str(tmp_path), "--json"],
        ["replay-metrics", str(tmp_path), "--json"],
        ["chaos", "replay", str(tmp_path), "--json"],
        ["chaos", "run", "nix", "--json"],
    ):
        status = main(words)
        said = json.loads(capsys.readouterr().out)
        assert status == said["status"] != 0
        assert said["error"]


def test_a_report_of_a_damaged_run_is_made_and_says_what_it_lacks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(Path(__file__).parents[3] / "docs" / "demo-run", tmp_path / "run"))
    assert main(["report", str(folder)]) == 0
    assert capsys.readouterr() == (f"{folder / 'report.html'}\n", "")

    (folder / "metrics.openmetrics.gz").write_bytes(b"")
    (folder / "links.csv").unlink()

    assert main(["report", str(folder)]) == 1
    out, err = capsys.readouterr()
    assert out == f"{folder / 'report.html'}\n"
    links, metrics, charts = err.splitlines()
    assert links == f"testnet: {folder}/links.csv is missing; not every measurement of a link is shown"
    assert metrics.startswith(f"testnet: {folder}/metrics.openmetrics cannot be read as a run's: ")
    assert charts.startswith("testnet: charts without data, the page says why: Round trip time; ")
    assert main(["report", str(folder), "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert said["error"] == said["damage"][0] == links.removeprefix("testnet: ")


def kept(folder: Path, **changes: Any) -> Path:
    """The folder of a run with one file's text, or some of its keys, changed."""
    for name, value in changes.items():
        path = folder / name.replace("__", ".")
        path.write_text(json.dumps(json.loads(path.read_text()) | value) if isinstance(value, dict) else value)
    return folder


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"outcome__json": "{nope"}, "outcome.json cannot be read as a run's: "),
        ({"outcome__json": "[]"}, "outcome.json cannot be read as a run's: "),
        ({"outcome__json": "{}"}, "outcome.json has no scenario: it is not that of a run"),
        ({"outcome__json": {"runner": "mars"}}, "outcome.json: runner: 'mars': allowed is one of docker, proc, sim"),
        ({"env__json": {"format": 99}}, "in format 99, and this version reads format 1: take the version that wrote"),
        ({"env__json": "3"}, "env.json cannot be read as a run's: "),
        ({"scenario__resolved__yaml": "a: [\n"}, "scenario.resolved.yaml:2:1: expected the node content"),
    ],
)
def test_a_folder_that_is_no_run_cannot_be_replayed(
    scenario: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: dict[str, Any], said: str
) -> None:
    assert main(["chaos", "run", str(scenario), "--runner", "sim", "--out", str(tmp_path / "runs"), "--json"]) == 0
    folder = kept(Path(json.loads(capsys.readouterr().out)["folder"]), **changes)
    assert main(["chaos", "replay", str(folder), "--out", str(tmp_path / "again")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert not (tmp_path / "again").exists()


def test_a_folder_that_is_not_there_cannot_be_replayed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (tmp_path / "none", tmp_path):
        assert main(["chaos", "replay", str(path)]) == 2
        assert capsys.readouterr().err == f"testnet: {path} is not the folder of a run: it has no outcome.json\n"


def test_where_nothing_can_be_written_nothing_is_run(
    scenario: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["chaos", "run", str(scenario), "--runner", "sim", "--out"]
    assert main([*command, str(scenario)]) == 2
    assert capsys.readouterr().err == f"testnet: {scenario} is no folder; give another --out\n"
    assert main([*command, str(tmp_path / "runs"), "--junit", str(tmp_path)]) == 1
    assert capsys.readouterr().err == f"testnet: {tmp_path} cannot be written: Is a directory\n"
    assert not (tmp_path / "runs").exists()


def test_what_a_simulation_cannot_run_cannot_be_made_smaller(
    scenario: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scenario.write_text(SHORT.replace("loss: 20%", "disk_full: "))
    assert main(["chaos", "minimise", str(scenario)]) == 127
    assert "does not fail in sim, so there is nothing to make smaller: unsupported: " in capsys.readouterr().err


def test_a_backend_that_a_simulation_lacks_is_not_applied(scenario: Path, tmp_path: Path) -> None:
    scenario.write_text(SHORT + "backend: netem\n")
    assert main(["chaos", "run", str(scenario), "--runner", "sim", "--out", str(tmp_path / "runs")]) == 3
