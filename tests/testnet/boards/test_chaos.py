"""The model beside a measured loss is the one of two independent losses."""

from __future__ import annotations

import pytest

from node.testnet.boards.chaos import _expected_loss
from node.testnet.metrics.promql import Query
from node.testnet.metrics.recording import Recording


@pytest.mark.parametrize(("into", "expected"), [(None, 0.2), (0.5, 0.6)])
def test_losses_on_both_ways_compose(into: float | None, expected: float) -> None:
    recording = Recording()
    for direction, loss in (("egress", 0.2), ("ingress", into)):
        if loss is not None:
            recording.add(1.0, "positron_impairment_asked_loss_ratio", (("dir", direction), ("node", "a")), loss)
    found = Query(_expected_loss().replace("$node", ".+")).at(recording, 1.0)
    assert found == {(("node", "a"),): pytest.approx(expected)}


def test_links_that_lose_nothing_on_the_way_in_count_although_they_are_not_told_of() -> None:
    recording = Recording()
    for target in ("b", "c", "d", "e"):
        labels = (("dir", "egress"), ("node", "a"), ("target", target))
        recording.add(1.0, "positron_impairment_asked_loss_ratio", labels, 0.0)
    labels = (("dir", "ingress"), ("node", "a"), ("target", "b"))
    recording.add(1.0, "positron_impairment_asked_loss_ratio", labels, 0.2)
    found = Query(_expected_loss().replace("$node", ".+")).at(recording, 1.0)
    assert found == {(("node", "a"),): pytest.approx(0.05)}
