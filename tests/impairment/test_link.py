"""The virtual link does what netem's fields say, by the seed, and counts all of it."""

from __future__ import annotations

from dataclasses import asdict, replace
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.errors import UsageError
from node.impairment.link import GilbertElliott, Link, LinkSettings, LossAt, Order
from node.types import MILLISECOND, SECOND, Instant

probabilities = st.floats(0, 1)
link_settings = st.builds(
    LinkSettings,
    delay=st.integers(0, 100 * MILLISECOND),
    jitter=st.integers(0, 100 * MILLISECOND),
    order=st.sampled_from(Order),
    loss=probabilities,
    bursts=st.none() | st.builds(GilbertElliott, p=probabilities, r=probabilities),
    loss_at=st.sampled_from(LossAt),
    ce_threshold=st.sampled_from((0, MILLISECOND)),
    reorder=probabilities,
    duplicate=probabilities,
    corrupt=probabilities,
    rate=st.sampled_from((0, 10_000, 10_000_000)),
    limit=st.integers(1, 50),
    mtu=st.integers(0, 1500),
)


def make_link(seed: int = 1, **fields: Any) -> Link:
    return Link(LinkSettings(**fields), Random(seed))


def times(link: Link, count: int, *, spacing: int = MILLISECOND) -> list[tuple[Instant, Instant]]:
    """(sent, arrived) of that many numbered datagrams, in the order of sending, lost ones left out."""
    pairs = []
    for index in range(count):
        sent = index * spacing
        pairs += [(sent, arrival.at) for arrival in link.send(index.to_bytes(4, "big"), sent)]
    return pairs


def test_clean_link_delivers_everything_at_once_and_unchanged() -> None:
    link = make_link()
    arrivals = link.send(b"payload", 5)
    assert [(arrival.at, arrival.data) for arrival in arrivals] == [(5, b"payload")]


def test_delay_is_added_to_every_datagram() -> None:
    pairs = times(make_link(delay=20 * MILLISECOND), 10)
    assert [arrived - sent for sent, arrived in pairs] == [20 * MILLISECOND] * 10


@pytest.mark.parametrize("loss", [0.01, 0.1, 0.5])
def test_loss_takes_its_share(loss: float) -> None:
    link = make_link(loss=loss)
    times(link, 20_000)
    assert link.stats.lost / link.stats.offered == pytest.approx(loss, rel=0.15)


def test_certain_loss_delivers_nothing() -> None:
    assert times(make_link(loss=1.0), 100) == []


def test_bursts_have_the_share_and_the_length_that_the_chain_says() -> None:
    link = make_link(bursts=GilbertElliott(p=0.01, r=0.25))
    lost = [not link.send(b"x", index) for index in range(50_000)]
    bursts = sum(1 for before, after in pairwise([False, *lost]) if after and not before)
    assert sum(lost) / len(lost) == pytest.approx(0.01 / 0.26, rel=0.15)
    assert sum(lost) / bursts == pytest.approx(4, rel=0.15)


def test_jitter_stays_within_its_bounds_and_uses_them() -> None:
    link = make_link(delay=50 * MILLISECOND, jitter=10 * MILLISECOND, order=Order.NATURAL)
    delays = [arrived - sent for sent, arrived in times(link, 5_000)]
    assert 40 * MILLISECOND <= min(delays) < 41 * MILLISECOND
    assert 59 * MILLISECOND < max(delays) <= 60 * MILLISECOND


def test_jitter_above_the_delay_never_delivers_into_the_past() -> None:
    link = make_link(delay=1 * MILLISECOND, jitter=10 * MILLISECOND, order=Order.NATURAL)
    assert all(arrived >= sent for sent, arrived in times(link, 1_000))


def test_jitter_with_order_kept_never_reorders() -> None:
    arrived = [at for _, at in times(make_link(delay=50 * MILLISECOND, jitter=40 * MILLISECOND), 1_000)]
    assert arrived == sorted(arrived)


def test_jitter_with_natural_order_reorders_and_counts_it() -> None:
    link = make_link(delay=50 * MILLISECOND, jitter=40 * MILLISECOND, order=Order.NATURAL)
    arrived = [at for _, at in times(link, 1_000)]
    assert arrived != sorted(arrived)
    assert link.stats.reordered > 0


def test_reordered_datagrams_skip_the_delay() -> None:
    link = make_link(delay=50 * MILLISECOND, reorder=0.1)
    delays = [arrived - sent for sent, arrived in times(link, 5_000)]
    assert sorted(set(delays)) == [0, 50 * MILLISECOND]
    assert delays.count(0) == link.stats.reordered == pytest.approx(500, rel=0.2)


def test_duplicates_are_equal_copies() -> None:
    link = make_link(duplicate=1.0)
    assert [arrival.data for arrival in link.send(b"twice", 0)] == [b"twice", b"twice"]
    assert link.stats.duplicated == 1


def test_corruption_flips_exactly_one_bit() -> None:
    link = make_link(corrupt=1.0)
    sent = bytes(100)
    for _ in range(100):
        (arrival,) = link.send(sent, 0)
        assert sum(byte.bit_count() for byte in arrival.data) == 1
        assert len(arrival.data) == len(sent)
    assert link.stats.corrupted == 100


def test_empty_datagram_survives_corruption() -> None:
    assert [arrival.data for arrival in make_link(corrupt=1.0).send(b"", 0)] == [b""]


def test_rate_spaces_datagrams_by_their_size() -> None:
    link = make_link(rate=1_000_000, delay=10 * MILLISECOND)
    arrived = [arrival.at for _ in range(3) for arrival in link.send(bytes(1000), 0)]
    assert arrived == [11 * MILLISECOND, 12 * MILLISECOND, 13 * MILLISECOND]


def test_overhead_counts_against_the_rate() -> None:
    link = make_link(rate=1_000_000, overhead=1000)
    assert [arrival.at for arrival in link.send(bytes(1000), 0)] == [2 * MILLISECOND]


def test_idle_line_does_not_save_up_rate() -> None:
    link = make_link(rate=1_000_000)
    link.send(bytes(1000), 0)
    assert [arrival.at for arrival in link.send(bytes(1000), SECOND)] == [SECOND + MILLISECOND]


def test_limit_drops_the_tail_and_counts_it() -> None:
    link = make_link(delay=10 * MILLISECOND, limit=3)
    assert len([arrival for _ in range(5) for arrival in link.send(b"x", 0)]) == 3
    assert link.stats.overflowed == 2


def test_queue_has_room_again_when_datagrams_have_arrived() -> None:
    link = make_link(delay=10 * MILLISECOND, limit=1)
    link.send(b"first", 0)
    assert link.held(0) == 1
    assert len(link.send(b"second", 10 * MILLISECOND)) == 1


def test_datagrams_above_the_mtu_vanish_and_are_counted() -> None:
    link = make_link(mtu=1200)
    assert len(link.send(bytes(1200), 0)) == 1
    assert link.send(bytes(1201), 0) == []
    assert link.stats.too_large == 1


def test_new_settings_apply_to_what_is_sent_after_them() -> None:
    link = make_link(delay=10 * MILLISECOND)
    (before,) = link.send(b"before", 0)
    link.settings = LinkSettings(loss=1.0)
    assert before.at == 10 * MILLISECOND
    assert link.send(b"after", 1) == []


@given(fields=link_settings, seed=st.integers(0, 1 << 32), sizes=st.lists(st.integers(0, 2000), max_size=100))
@settings(max_examples=100)
def test_every_datagram_is_accounted_for(fields: LinkSettings, seed: int, sizes: list[int]) -> None:
    link = Link(fields, Random(seed))
    arrived = 0
    for index, size in enumerate(sizes):
        arrivals = link.send(bytes(size), index)
        assert all(arrival.at >= index for arrival in arrivals)
        arrived += len(arrivals)
    stats = link.stats
    assert arrived == stats.delivered
    assert stats.offered == len(sizes)
    assert stats.offered + stats.duplicated == stats.delivered + stats.lost + stats.overflowed + stats.too_large


@given(fields=link_settings, seed=st.integers(0, 1 << 32))
@settings(max_examples=50)
def test_same_seed_gives_the_same_fate(fields: LinkSettings, seed: int) -> None:
    first, second = Link(fields, Random(seed)), Link(fields, Random(seed))
    assert times(first, 50) == times(second, 50)
    assert asdict(first.stats) == asdict(second.stats)


@pytest.mark.parametrize(
    "fields",
    [
        {"loss": -0.1},
        {"loss": 1.1},
        {"duplicate": 2},
        {"corrupt": float("nan")},
        {"delay": -1},
        {"jitter": -1},
        {"rate": -1},
        {"limit": 0},
        {"mtu": -1},
    ],
)
def test_impossible_settings_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        make_link(**fields)


def test_impossible_burst_is_refused() -> None:
    with pytest.raises(UsageError, match="loss_bad"):
        GilbertElliott(p=0.1, r=0.1, loss_bad=1.5)


def test_what_is_lost_at_the_exit_has_used_the_rate() -> None:
    link = make_link(rate=1_000_000, loss=1.0, loss_at=LossAt.EXIT)
    link.send(bytes(1_000), 0)
    link.settings = replace(link.settings, loss=0.0)
    assert [arrival.at for arrival in link.send(bytes(1_000), 0)] == [2 * MILLISECOND]


def test_the_wait_for_the_line_is_known() -> None:
    link = make_link(rate=1_000_000)
    assert link.queue_delay(0) == 0
    link.send(bytes(3_000), 0)
    assert link.queue_delay(MILLISECOND) == 2 * MILLISECOND


@pytest.mark.parametrize(("ecn", "arrived"), [(0, 0), (1, 3), (2, 3), (3, 3)])
def test_a_queue_above_its_threshold_marks_what_can_be_marked(ecn: int, arrived: int) -> None:
    link = make_link(rate=1_000_000, ce_threshold=2 * MILLISECOND)
    assert [arrival.ecn for arrival in link.send(bytes(2_000), 0, ecn)] == [ecn]
    assert [arrival.ecn for arrival in link.send(bytes(2_000), 0, ecn)] == [arrived]
    assert link.stats.marked == (ecn in (1, 2))
