"""Random loss costs what it loses, and no more."""

from __future__ import annotations

import pytest

from node.sim.goodput import Bulk, measure


@pytest.mark.parametrize(("loss", "seed"), [(0.0, 1), (0.01, 1), (0.05, 1), (0.1, 1), (0.2, 1), (0.2, 6)])
def test_lossfloor_fills_the_path_whatever_it_loses(loss: float, seed: int) -> None:
    goodput = measure(Bulk(rate=20e6, rtt=0.04, loss=loss, seconds=2, seed=seed))
    assert goodput >= 0.95 * 20e6 * (1 - loss)


def test_newreno_fills_a_clean_path_and_not_a_lossy_one() -> None:
    clean = measure(Bulk(rate=20e6, rtt=0.04, loss=0.0, seconds=2, congestion="newreno"))
    lossy = measure(Bulk(rate=20e6, rtt=0.04, loss=0.05, seconds=2, congestion="newreno"))
    assert clean >= 0.9 * 20e6
    assert lossy <= 0.2 * 20e6
