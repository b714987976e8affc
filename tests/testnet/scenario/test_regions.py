"""The matrix of regions: whole, the same both ways, and possible on this planet."""

from __future__ import annotations

from itertools import combinations, permutations

from node.testnet.scenario.regions import _MATRIX, PLACES, REGIONS, SOURCE, WITHIN, delay_between
from node.types import MILLISECOND

DETOUR_MOST = 1.2
"""The published matrix has no way that is more than a fifth longer than the shortest one over a third region."""


def test_the_matrix_has_a_row_for_each_region_and_a_cell_for_each_pair() -> None:
    rows = [line.split() for line in _MATRIX.strip().splitlines()]
    assert [row[0] for row in rows] == list(REGIONS) == list(PLACES)
    assert [len(row) for row in rows] == list(range(1, len(REGIONS) + 1))
    assert len(REGIONS) >= 12


def test_the_matrix_names_its_source_and_its_date() -> None:
    assert "https://" in SOURCE
    assert "2025" in SOURCE


def test_every_pair_of_regions_has_a_delay_and_it_is_the_same_both_ways() -> None:
    for one, other in permutations(REGIONS, 2):
        assert delay_between(one, other) == delay_between(other, one)
        assert 10 * MILLISECOND <= delay_between(one, other) <= 200 * MILLISECOND


def test_within_a_region_it_is_shorter_than_between_any_two() -> None:
    assert {delay_between(one, one) for one in REGIONS} == {WITHIN}
    assert all(delay_between(*pair) > 5 * WITHIN for pair in combinations(REGIONS, 2))


def test_no_way_over_a_third_region_is_much_shorter() -> None:
    for one, over, other in permutations(REGIONS, 3):
        detour = delay_between(one, over) + delay_between(over, other)
        assert delay_between(one, other) <= DETOUR_MOST * detour, (one, over, other)
