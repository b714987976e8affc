"""Samples read back from a folder are those that were written."""

from __future__ import annotations

import gzip
from pathlib import Path

from node.testnet.metrics.recording import Recording
from node.testnet.report.stored import _add, _recording
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
