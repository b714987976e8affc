"""What a run leaves behind can be read by other programs, and be judged again."""

from __future__ import annotations

import csv
import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from node.testnet import checker
from node.testnet.errors import TestnetFailed, TestnetMisused
from node.testnet.run.conductor import Conductor
from node.testnet.run.folder import RunFolder, junit, thinned
from node.testnet.run.verdict import Outcome, Verdict
from node.testnet.scenario.parse import load_scenario, parse_scenario
from node.testnet.scenario.resolve import resolve
from tests.testnet.run.standin import StandIn
from tests.testnet.run.test_conductor import TEXT

BEGAN = 1_700_000_000.0


@pytest.fixture
def conductor() -> Conductor:
    scenario = parse_scenario(TEXT, file="s.yaml", name="s")
    done = Conductor(scenario, resolve(scenario), StandIn())
    done.run()
    return done


@pytest.fixture
def folder(conductor: Conductor, tmp_path: Path) -> Path:
    made = RunFolder(tmp_path, "s", 7, began=BEGAN)
    made.write(conductor, {"schema": 1, "title": "t", "timeline": []})
    return made.path


def test_the_name_tells_time_scenario_and_seed(folder: Path) -> None:
    assert folder.name == "20231114-221320-s-7"


def test_every_file_can_be_read(folder: Path) -> None:
    assert json.loads((folder / "outcome.json").read_text())["verdict"] == "passed"
    assert json.loads((folder / "env.json").read_text())["backend"] == "stand-in"
    assert len((folder / "timeline.jsonl").read_text().splitlines()) == 2
    rows = list(csv.DictReader((folder / "links.csv").read_text().splitlines()))
    assert {row["applied"] for row in rows} == {"True"}
    assert {row["fault"] for row in rows} == {"", "cut"}
    assert (folder / "metrics.openmetrics").read_text().endswith("# EOF\n")
    assert (folder / "logs" / "node-1.log").read_text() == "12:00 INFO node_started\n"
    suite = ElementTree.fromstring((folder / "junit.xml").read_text())
    assert suite.attrib["failures"] == "0"


def test_traces_are_files_as_they_were_read(conductor: Conductor, tmp_path: Path) -> None:
    conductor.traces = {"node-1": {"a.sqlog": b"\x1e{}\n"}}
    made = RunFolder(tmp_path, "traced", 7, began=BEGAN)
    made.write(conductor, {"schema": 1, "title": "t", "timeline": []})
    assert (made.path / "qlog" / "node-1" / "a.sqlog").read_bytes() == b"\x1e{}\n"


def test_samples_are_written_with_the_time_of_day(folder: Path) -> None:
    lines = (folder / "metrics.openmetrics").read_text().splitlines()
    sample = next(line for line in lines if line.startswith("positron_peers"))
    assert float(sample.split()[-1]) == pytest.approx(BEGAN, abs=60)


def test_a_stored_run_is_judged_again(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert checker.main([str(folder)]) == 0
    lines = (folder / "history.jsonl").read_text().splitlines()
    (folder / "history.jsonl").write_text("\n".join([*lines, next(line for line in lines if "delivered" in line)]))
    assert checker.main([str(folder)]) == 1
    assert "no_duplicate_delivery" in capsys.readouterr().out


def test_the_scenario_that_was_kept_is_one(folder: Path) -> None:
    assert load_scenario(folder / "scenario.resolved.yaml").seed > 0


def test_a_folder_that_exists_is_left_alone(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(TestnetMisused, match="exists already"):
        RunFolder(tmp_path, "s", 7, began=BEGAN)


def test_a_disk_that_is_full_is_said_and_keeps_what_there_is(conductor: Conductor, tmp_path: Path) -> None:
    made = RunFolder(tmp_path, "s", 7, began=BEGAN)
    (made.path / "links.csv").symlink_to("/dev/full")
    with pytest.raises(TestnetFailed, match=r"passed, but .*links.csv cannot be written: No space left"):
        made.write(conductor, {})
    assert (made.path / "outcome.json").exists()


def test_a_parent_that_is_no_directory_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises((TestnetFailed, TestnetMisused)):
        RunFolder(tmp_path / "file", "s", 7, began=BEGAN)


@pytest.mark.parametrize(
    ("verdict", "tag"),
    [
        (Verdict.FAILED, "failure"),
        (Verdict.DEVIATED, "failure"),
        (Verdict.NOT_APPLIED, "error"),
        (Verdict.UNSUPPORTED, "skipped"),
    ],
)
def test_a_build_server_sees_what_went_wrong(verdict: Verdict, tag: str) -> None:
    suite = ElementTree.fromstring(junit([("s", Outcome(verdict=verdict, reason='it "broke" <so>'))]))
    (found,) = list(suite.iter(tag))
    assert found.attrib["message"] == f'{verdict.value}: it "broke" <so>'


def test_what_xml_cannot_hold_is_left_out_of_it() -> None:
    reason = "clean_logs: node-1: ERROR \x1b[31mgone\x00\ud800 \u00e9"
    (found,) = ElementTree.fromstring(junit([("s", Outcome(verdict=Verdict.FAILED, reason=reason))])).iter("failure")
    assert found.text == "failed: clean_logs: node-1: ERROR ?[31mgone?? \u00e9"


def test_stretches_without_change_are_thinned_and_edges_kept() -> None:
    times = [float(at) for at in range(40)]
    values = [0.0] * 20 + [1.0] * 20
    kept = list(thinned(times, values))
    assert kept[0] == (0.0, 0.0)
    assert kept[-1] == (39.0, 1.0)
    assert {(19.0, 0.0), (20.0, 1.0)} <= set(kept)
    assert len(kept) <= 8
