"""Random loss is told from overflow: it is there in every sample, overflow only in some."""

from __future__ import annotations

from random import Random

import pytest

from node.transport.congestion.floor import FLOOR_MAX, Floor


def lossy(floor: Floor, share: float, packets: int, *, seed: int = 1) -> None:
    random = Random(seed)
    for _ in range(packets):
        floor.count(1, random.random() < share)


def test_a_few_losses_prove_nothing() -> None:
    floor = Floor()
    floor.count(59, 30)
    assert floor.value == 0.0


@pytest.mark.parametrize("share", [0.0, 0.01, 0.05, 0.1, 0.2])
def test_random_loss_is_found_without_bias(share: float) -> None:
    estimates = []
    for seed in range(50):
        floor = Floor()
        lossy(floor, share, 1_000, seed=seed)
        estimates.append(floor.value)
    assert sum(estimates) / len(estimates) == pytest.approx(share, abs=0.006)


def test_the_first_estimate_comes_soon() -> None:
    floor = Floor()
    floor.count(80, 8)
    assert floor.value == pytest.approx(0.1)


def test_losses_that_pass_are_no_floor() -> None:
    floor = Floor()
    for turn in range(20):
        floor.count(200, 80 if turn % 2 else 0)
    assert floor.value == 0.0


def test_it_is_capped() -> None:
    floor = Floor()
    floor.count(2_000, 1_500)
    assert floor.value == FLOOR_MAX


def test_a_loss_that_was_none_is_taken_back() -> None:
    floor = Floor()
    floor.count(100, 10)
    floor.count(0, -10)
    assert floor.value == 0.0


def test_it_falls_when_the_path_gets_better() -> None:
    floor = Floor()
    lossy(floor, 0.2, 1_000)
    floor.count(200, 0)
    floor.count(200, 0)
    assert floor.value == 0.0


def test_what_nothing_confirms_fades() -> None:
    floor = Floor()
    lossy(floor, 0.2, 1_000)
    before = floor.value
    for _ in range(8):
        floor.on_round()
    assert floor.value == before
    for _ in range(40):
        floor.on_round()
    assert floor.value < 0.02
