"""Samples read back from a folder are those that were written."""

from __future__ import annotations

import gzip
import json
import re
import shutil
from pathlib import Path

import pytest

from node.testnet.errors import TestnetMisused
from node.testnet.metrics.recording import Recording
from node.testnet.report.stored import _add, _recording, load
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
    (series,) = _recording(tmp_path / "m", 90.0).named("x")
    assert (series.times, series.values) == ([10.0], [1.5])


def test_what_is_told_no_more_is_gone_at_the_next_scrape(tmp_path: Path) -> None:
    faults = "".join(f'chaos_active{{step="a"}} 1 {at}.0\n' for at in (100, 101, 102))
    others = "".join(f"up 1 {at}.0\n" for at in range(100, 110))
    (tmp_path / "m").write_text(faults + others)
    recording = _recording(tmp_path / "m", 100.0)
    (fault,), (up,) = recording.named("chaos_active"), recording.named("up")
    assert [fault.at(at) for at in (2.0, 2.9, 3.0)] == [1.0, 1.0, None]
    assert up.at(11.0) == 1.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A whole run, to be damaged."""
    return Path(shutil.copytree(Path(__file__).parents[3] / "docs" / "demo-run", tmp_path / "run"))


JSON_FILES = ("env.json", "facts.json", "history.jsonl", "outcome.json", "timeline.jsonl")
FILES = sorted((*JSON_FILES, "links.csv", "metrics.openmetrics.gz", "scenario.resolved.yaml"))


def test_a_whole_run_is_read(folder: Path) -> None:
    assert sorted(one.name for one in folder.iterdir()) == FILES
    assert load(folder).outcome["verdict"] == "passed"


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_missing_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(TestnetMisused, match=re.escape(f"it has no {name.removesuffix('.gz')}")):
        load(folder)


@pytest.mark.parametrize("name", [*JSON_FILES, "metrics.openmetrics.gz"])
@pytest.mark.parametrize("damage", [b"[]", b"{", b"\xff\xfe", b'"text"'], ids=["a list", "cut", "binary", "a text"])
def test_a_file_that_cannot_be_read_is_named(folder: Path, name: str, damage: bytes) -> None:
    (folder / name).write_bytes(damage)
    with pytest.raises(TestnetMisused, match=re.escape(name.removesuffix(".gz"))):
        load(folder)


@pytest.mark.parametrize(
    ("name", "content", "missing"),
    [
        ("env.json", "{}", "format"),
        ("facts.json", "{}", "nodes"),
        ("timeline.jsonl", '{"step": "lossy"}', "kind"),
        ("history.jsonl", "{}", "node"),
        ("links.csv", "a,b\n1,2\n", "fault"),
    ],
)
def test_a_record_that_lacks_something_is_told_with_its_file(
    folder: Path, name: str, content: str, missing: str
) -> None:
    (folder / name).write_text(content)
    with pytest.raises(TestnetMisused, match=f"{re.escape(name)} cannot be read as a run's: .*no '{missing}'"):
        load(folder)


def test_a_packed_file_that_was_cut_is_named(folder: Path) -> None:
    packed = folder / "metrics.openmetrics.gz"
    packed.write_bytes(packed.read_bytes()[:50_000])
    with pytest.raises(TestnetMisused, match=r"metrics\.openmetrics cannot be read"):
        load(folder)


@pytest.mark.parametrize("began", ["null", '"soon"', "[]"])
def test_a_beginning_that_is_no_number_is_refused(folder: Path, began: str) -> None:
    environment = json.loads((folder / "env.json").read_text()) | {"began": json.loads(began)}
    (folder / "env.json").write_text(json.dumps(environment))
    with pytest.raises(TestnetMisused, match=r"env\.json cannot be read"):
        load(folder)
