"""Chance that depends on a key and a count alone."""

from __future__ import annotations

from node.impairment.fates import Fates


def drawn(key: str, count: int, draws: int) -> list[float]:
    fates = Fates(key)
    fates.begin(count)
    return [fates.random() for _ in range(draws)]


def test_a_packet_meets_the_same_fate_whatever_was_drawn_before() -> None:
    fates = Fates("a>b")
    fates.begin(1)
    for _ in range(5):
        fates.random()
    fates.begin(2)
    assert [fates.random() for _ in range(20)] == drawn("a>b", 2, 20)


def test_links_and_packets_have_fates_of_their_own() -> None:
    assert len({drawn(key, count, 1)[0] for key in ("a>b", "b>a", "a>c") for count in range(1000)}) == 3000


def test_draws_are_spread_evenly() -> None:
    fates = Fates("a>b")
    hits = 0
    for count in range(20_000):
        fates.begin(count)
        hits += fates.random() < 0.1
    # 99.99 % of runs with fair draws lie within 4 standard deviations, and this one always is the same.
    assert abs(hits - 2000) < 4 * (20_000 * 0.1 * 0.9) ** 0.5


def test_whole_numbers_lie_in_their_range() -> None:
    fates = Fates("a>b")
    fates.begin(0)
    numbers = [fates.randrange(-3, 4) for _ in range(1000)]
    assert set(numbers) == set(range(-3, 4))
