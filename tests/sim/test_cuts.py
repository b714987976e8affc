"""A cut stops exactly what it names."""

from __future__ import annotations

import pytest

from node.errors import UsageError
from node.sim.cuts import GroupCut, OneWayCut, halves, ring

A, B, C, D = ((f"10.0.0.{number}", 1) for number in range(4))


def test_groups_reach_their_own_and_outsiders_reach_everybody() -> None:
    cut = GroupCut([[A, B], [C]])
    assert cut.stops(A, C)
    assert cut.stops(C, B)
    assert not cut.stops(A, B)
    assert not cut.stops(A, D)
    assert not cut.stops(D, C)


def test_one_way_cut_stops_one_way() -> None:
    cut = OneWayCut([A], [B, C])
    assert cut.stops(A, C)
    assert not cut.stops(C, A)
    assert not cut.stops(B, C)


def test_halves_of_an_odd_number_leave_a_majority_first() -> None:
    assert halves(range(5)) == [[0, 1, 2], [3, 4]]


def test_ring_leaves_each_node_its_two_neighbours() -> None:
    pairs = {(group[0], other[0]) for group, other in ring(range(5))}
    assert pairs == {(0, 2), (0, 3), (1, 3), (1, 4), (2, 4)}
    with pytest.raises(UsageError):
        ring([1, 2])
