"""Token buckets."""

from __future__ import annotations

from node.gossip.budget import Budget
from node.types import SECOND


def test_a_burst_is_spent_and_comes_back_at_the_rate() -> None:
    budget = Budget(10, 20, 0)
    assert sum(budget.take(1, 0) for _ in range(30)) == 20
    assert sum(budget.take(1, SECOND) for _ in range(30)) == 10


def test_more_than_the_burst_is_never_saved_up() -> None:
    budget = Budget(10, 20, 0)
    assert sum(budget.take(1, 1000 * SECOND) for _ in range(30)) == 20


def test_a_large_take_is_paid_for_by_the_next_ones() -> None:
    budget = Budget(10, 20, 0)
    assert budget.take(50, 0)
    assert not budget.take(1, 2 * SECOND)
    assert budget.take(1, 4 * SECOND)


def test_the_wait_is_long_enough_and_no_longer_than_needed() -> None:
    budget = Budget(10, 1, 0)
    assert budget.take(1, 0)
    wait = budget.wait(0)
    assert not budget.take(1, 0)
    assert 0 < wait <= SECOND // 10
    assert budget.take(1, wait)


def test_another_rate_holds_from_now_on() -> None:
    budget = Budget(1, 1, 0)
    budget.take(1, 0)
    budget.set_rate(100, 200, 0)
    assert sum(budget.take(1, SECOND) for _ in range(300)) == 100
