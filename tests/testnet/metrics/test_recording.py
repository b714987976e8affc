"""What is kept of the samples of a run."""

from __future__ import annotations

import pytest

from node.testnet.metrics import recording as module
from node.testnet.metrics.recording import Recording


def test_series_carry_the_node_they_came_from_and_whether_it_answered() -> None:
    recording = Recording()
    recording.scrape(1.0, {"node-1": "x 5\n", "node-2": None})
    (x,) = recording.named("x")
    assert dict(x.labels) == {"instance": "node-1", "job": "positron"}
    assert [series.at(1.0) for series in recording.named("up")] == [1.0, 0.0]


def test_a_value_holds_until_it_is_stale() -> None:
    recording = Recording()
    recording.add(1.0, "x", (), 5.0)
    (x,) = recording.named("x")
    assert [x.at(time) for time in (0.9, 1.0, 4.0, 5.0)] == [None, 5.0, 5.0, None]


def test_a_series_that_is_known_to_be_gone_has_no_value_any_more() -> None:
    recording = Recording()
    recording.add(1.0, "x", (), 5.0)
    (x,) = recording.named("x")
    x.gone_at = 2.0
    assert [x.at(time) for time in (1.9, 2.0)] == [5.0, None]


def test_a_range_leaves_its_start_out_and_has_its_end() -> None:
    recording = Recording()
    for time in (1.0, 2.0, 3.0, 4.0):
        recording.add(time, "x", (), time)
    assert recording.named("x")[0].between(2.0, 4.0) == [(3.0, 3.0), (4.0, 4.0)]


def test_the_oldest_half_goes_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SAMPLES_MAX", 100)
    recording = Recording()
    for time in range(250):
        recording.add(float(time), "x", (), 0.0)
    (x,) = recording.named("x")
    assert len(x.times) <= 100
    assert x.times[-1] == 249.0
