"""Samples read back from a folder are those that were written."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path

import pytest

from node.testnet.errors import TestnetMisused
from node.testnet.metrics.recording import Recording
from node.testnet.report.page import render_report
from node.testnet.report.stored import _add, _take_samples, load
from node.testnet.run.folder import thinned


def test_what_was_thinned_is_as_dense_again_as_it_was() -> None:
    times = [float(at) for at in range(60)]
    values = [0.0] * 25 + [3.0] * 35
    recording = Recording()
    for at, value in thinned(times, values):
        _add(recording, at, "x", (), value)
    (series,) = recording.named("x")
    assert (series.times, series.values) == (times, values)


def test_a_node_that_was_gone_for_long_is_not_filled_in() -> None:
    recording = Recording()
    _add(recording, 0.0, "x", (), 1.0)
    _add(recording, 30.0, "x", (), 1.0)
    assert recording.named("x")[0].times == [0.0, 30.0]


def test_samples_are_read_from_a_packed_file_as_well(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "m.gz", "wt") as file:
        file.write('# TYPE x gauge\nx{node="a"} 1.5 100.000\n# EOF\n')
    recording = Recording()
    _take_samples(tmp_path / "m", 90.0, recording)
    (series,) = recording.named("x")
    assert (series.times, series.values) == ([10.0], [1.5])


def test_what_is_told_no_more_is_gone_at_the_next_scrape(tmp_path: Path) -> None:
    faults = "".join(f'chaos_active{{step="a"}} 1 {at}.0\n' for at in (100, 101, 102))
    others = "".join(f"up 1 {at}.0\n" for at in range(100, 110))
    (tmp_path / "m").write_text(f"{faults}{others}# EOF\n")
    recording = Recording()
    _take_samples(tmp_path / "m", 100.0, recording)
    (fault,), (up,) = recording.named("chaos_active"), recording.named("up")
    assert [fault.at(at) for at in (2.0, 2.9, 3.0)] == [1.0, 1.0, None]
    assert up.at(11.0) == 1.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A whole run, to be damaged."""
    return Path(shutil.copytree(Path(__file__).parents[3] / "docs" / "demo-run", tmp_path / "run"))


FILES = ["env.json", "facts.json", "history.jsonl", "links.csv", "metrics.openmetrics.gz", "outcome.json",
         "scenario.resolved.yaml", "timeline.jsonl"]  # fmt: skip


def test_a_whole_run_is_read(folder: Path) -> None:
    assert sorted(one.name for one in folder.iterdir()) == FILES
    assert load(folder).outcome["verdict"] == "passed"


@pytest.mark.parametrize("name", ["env.json", "outcome.json"])
def test_a_folder_without_what_says_that_it_is_a_run_is_none(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(TestnetMisused, match=f"it has no {name}"):
        load(folder)


@pytest.mark.parametrize("name", ["env.json", "outcome.json"])
@pytest.mark.parametrize(
    "damage", [b"", b"[]", b"{", b"\xff\xfe", b'"text"'], ids=["empty", "list", "cut", "binary", "text"]
)
def test_what_says_that_it_is_a_run_must_be_readable(folder: Path, name: str, damage: bytes) -> None:
    (folder / name).write_bytes(damage)
    with pytest.raises(TestnetMisused, match=name):
        load(folder)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("title", None),
        ("recovered_after", "soon"),
        ("expectations", [{"fault": "lossy"}]),
        ("expectations", None),
        ("steady_before", ["well"]),
        ("violations", [{"invariant": "once", "count": 1, "examples": 7}]),
    ],
)
def test_an_outcome_that_cannot_be_shown_is_none(folder: Path, key: str, value: object) -> None:
    outcome = json.loads((folder / "outcome.json").read_text())
    del outcome[key]
    (folder / "outcome.json").write_text(json.dumps(outcome if value is None else outcome | {key: value}))
    with pytest.raises(TestnetMisused, match=r"outcome\.json cannot be read as a run's"):
        load(folder)


@pytest.mark.parametrize(
    ("key", "value"),
    [("title", None), ("scenario", 7), ("digest", 9), ("seed", []), ("published", 0), ("violations", {}),
     ("violations", [{"invariant": [], "count": 1, "examples": [1, None]}]),
     ("expectations", [{"fault": 1, "what": None, "holds": "", "took": None, "text": []}])],
)  # fmt: skip
def test_an_outcome_with_values_of_another_kind_is_shown_as_it_is(folder: Path, key: str, value: object) -> None:
    outcome = json.loads((folder / "outcome.json").read_text()) | {key: value}
    (folder / "outcome.json").write_text(json.dumps(outcome))
    assert "<h2>Invariants</h2>" in render_report(load(folder)).text


OTHERS = sorted(set(FILES) - {"env.json", "outcome.json"})


@pytest.mark.parametrize("name", OTHERS)
def test_another_file_that_is_missing_is_told(folder: Path, name: str) -> None:
    (folder / name).unlink()
    assert load(folder).damage == {name.removesuffix(".gz"): "is missing"}


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("damage", [b"", b"\xff\xfe\x00"], ids=["empty", "binary"])
def test_another_file_that_holds_nothing_is_told(folder: Path, name: str, damage: bytes) -> None:
    (folder / name).write_bytes(damage)
    assert list(load(folder).damage) == [name.removesuffix(".gz")]


@pytest.mark.parametrize("name", OTHERS)
def test_of_another_file_that_is_cut_what_is_left_is_kept(folder: Path, name: str) -> None:
    whole = load(folder)
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content[: len(content) * 6 // 10])
    cut = load(folder)

    assert list(cut.damage) == [name.removesuffix(".gz")]
    if name == "history.jsonl":
        assert 0.5 * len(whole.events) < len(cut.events) < 0.7 * len(whole.events)
    if name == "links.csv":
        assert list(cut.links) == list(whole.links)[: len(cut.links)]
        assert 0 < len(cut.links) < len(whole.links)
    if name == "metrics.openmetrics.gz":
        assert 0 < len(list(cut.recording)) < len(list(whole.recording))
    if name == "scenario.resolved.yaml":
        assert whole.scenario.startswith(cut.scenario)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("facts.json", "{}", "no 'nodes'"),
        ("facts.json", '{"nodes": 5, "invariants": {}}', "of another kind"),
        ("timeline.jsonl", '{"step": "lossy"}', "no 'kind'"),
        ("timeline.jsonl", "", "is empty, although the scenario has faults"),
        ("history.jsonl", "{}", "no 'node'"),
        ("history.jsonl", "[]\n", "line 1: an object is allowed here"),
        ("links.csv", "a,b\n1,2\n", "no 'fault'"),
        ("metrics.openmetrics", "hello world\n# EOF\n", "1 of its lines are no samples"),
        ("metrics.openmetrics", "x 1 soon\nx 1 nan\n# EOF\n", "2 of its lines are no samples"),
        ("metrics.openmetrics", "x 1 105.0\nx 1 104.0\n# EOF\n", "1 of its lines are no samples"),
        ("metrics.openmetrics", "x 1 105.0\n", "it is cut off"),
    ],
)
def test_what_is_wrong_with_another_file_is_told(folder: Path, name: str, content: str, told: str) -> None:
    (folder / "metrics.openmetrics.gz").unlink() if name == "metrics.openmetrics" else None
    (folder / name).write_text(content)
    assert told in load(folder).damage[name]


@pytest.mark.parametrize("key", ["started", "planned_end", "targets"])
def test_a_fault_whose_values_cannot_be_shown_is_told(folder: Path, key: str) -> None:
    step = json.loads((folder / "timeline.jsonl").read_text().splitlines()[0]) | {key: float("nan")}
    (folder / "timeline.jsonl").write_text(json.dumps(step))
    run = load(folder)
    assert run.damage["timeline.jsonl"].startswith("cannot be read")
    assert not run.steps


@pytest.mark.parametrize("began", ["null", '"soon"', "[]"])
def test_a_beginning_that_is_no_number_is_refused(folder: Path, began: str) -> None:
    environment = json.loads((folder / "env.json").read_text()) | {"began": json.loads(began)}
    (folder / "env.json").write_text(json.dumps(environment))
    with pytest.raises(TestnetMisused, match=r"env\.json cannot be read"):
        load(folder)
