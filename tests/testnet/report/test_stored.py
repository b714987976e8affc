"""Samples read back from a folder are those that were written."""

from __future__ import annotations

from node.testnet.metrics.recording import Recording
from node.testnet.report.stored import _add
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
