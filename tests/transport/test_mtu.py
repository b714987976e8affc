"""The search for the largest datagram: up in few probes, down when the path becomes narrower, and never in the way."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.impairment.link import LinkSettings
from node.transport.events import Delivery
from node.transport.mtu import MtuSearch
from node.transport.settings import TransportSettings
from node.types import MILLISECOND, SECOND, Instant
from node.wire.limits import (
    BASE_MTU,
    BLACK_HOLE_LOSSES,
    BLACK_HOLE_PAUSE,
    ETHERNET_MTU_IPV4,
    MTU_PROBES_MAX,
    MTU_RAISE_INTERVAL,
    MTU_SEARCH_STEP,
)
from tests.pair import CLIENT, SERVER, Pair

DELAY = 10 * MILLISECOND
OPEN = LinkSettings(delay=DELAY)


# --- the search alone


class Prober:
    """Plays a path of a certain width against a search."""

    def __init__(self, ceiling: int, width: int, likely: int = ETHERNET_MTU_IPV4) -> None:
        self.search = MtuSearch(ceiling, likely)
        self.search.is_wanted = True
        self.width = width
        self.sizes: list[int] = []
        self.now: Instant = 0

    def probe(self) -> bool:
        """One probe and its fate; whether there was one to send."""
        size = self.search.next_probe()
        if size is None:
            return False
        number = len(self.sizes)
        self.sizes.append(size)
        self.search.on_probe_sent(number, size, self.now + SECOND)
        if size <= self.width:
            assert self.search.is_awaiting(((number, number),))
            self.search.on_probe_acked(self.now)
        else:
            self.now += SECOND
            self.search.handle_timeout(self.now)
        return True

    def run(self) -> int:
        while self.probe():
            assert len(self.sizes) < 100
        return self.search.current


def test_a_path_that_carries_the_ceiling_takes_one_probe() -> None:
    prober = Prober(ceiling=1_400, width=1_500)
    assert prober.run() == 1_400
    assert prober.sizes == [1_400]


def test_above_ethernet_the_size_of_ethernet_is_tried_first() -> None:
    prober = Prober(ceiling=9_000, width=10_000)
    assert prober.run() == 9_000
    assert prober.sizes == [ETHERNET_MTU_IPV4, 9_000]


@given(ceiling=st.integers(BASE_MTU, 65_507), width=st.integers(BASE_MTU, 65_507))
def test_the_search_finds_nearly_all_that_the_path_carries(ceiling: int, width: int) -> None:
    prober = Prober(ceiling, width)
    found = prober.run()
    possible = min(ceiling, width)
    assert possible - MTU_SEARCH_STEP < found <= possible
    assert max(prober.sizes, default=0) <= ceiling
    assert len(prober.sizes) <= 3 * 17 + 2


def test_a_size_is_given_up_after_three_lost_probes() -> None:
    prober = Prober(ceiling=1_400, width=BASE_MTU)
    prober.run()
    assert prober.sizes[: MTU_PROBES_MAX + 1] == [1_400] * MTU_PROBES_MAX + [1_300]


def test_one_lost_probe_is_no_reason_to_give_up() -> None:
    prober = Prober(ceiling=1_400, width=BASE_MTU)
    prober.probe()
    prober.width = 1_500
    assert prober.run() == 1_400


def test_no_probe_before_there_is_something_to_gain() -> None:
    search = MtuSearch(1_400, ETHERNET_MTU_IPV4)
    assert search.next_probe() is None
    assert search.next_timeout() is None
    search.is_wanted = True
    assert search.next_probe() == 1_400
    assert MtuSearch(BASE_MTU, ETHERNET_MTU_IPV4).current == BASE_MTU
    small = MtuSearch(288, ETHERNET_MTU_IPV4)
    small.is_wanted = True
    assert (small.current, small.next_probe()) == (288, None)


def test_one_probe_at_a_time() -> None:
    search = MtuSearch(1_400, ETHERNET_MTU_IPV4)
    search.is_wanted = True
    search.on_probe_sent(7, 1_400, SECOND)
    assert search.next_probe() is None
    assert search.next_timeout() == SECOND
    assert not search.is_awaiting(((8, 9), (1, 6)))
    assert search.is_awaiting(((8, 9), (1, 7)))


def test_a_finished_search_begins_again_when_the_raise_timer_runs_out() -> None:
    prober = Prober(ceiling=1_400, width=1_250)
    prober.run()
    assert prober.search.possible == prober.search.current
    due = prober.search.next_timeout()
    assert due == prober.now + MTU_RAISE_INTERVAL
    prober.width = 1_500
    prober.now = due
    assert prober.search.handle_timeout(due), "more has become possible"
    assert prober.run() == 1_400


@pytest.mark.must("M66")
def test_a_black_hole_brings_the_base_back_and_a_pause() -> None:
    prober = Prober(ceiling=1_400, width=1_500)
    prober.run()
    for _ in range(BLACK_HOLE_LOSSES - 1):
        assert not prober.search.on_outcome(0, has_arrived=False, is_lost=True)
    assert prober.search.on_outcome(0, has_arrived=False, is_lost=True)
    assert prober.search.current == BASE_MTU
    assert prober.search.next_probe() is None
    assert prober.search.next_timeout() == BLACK_HOLE_PAUSE
    assert prober.search.handle_timeout(BLACK_HOLE_PAUSE)
    assert prober.run() == 1_400


def test_a_full_packet_that_arrives_clears_the_suspicion() -> None:
    prober = Prober(ceiling=1_400, width=1_500)
    prober.run()
    for number in range(20):
        has_arrived = number % BLACK_HOLE_LOSSES == 0
        assert not prober.search.on_outcome(0, has_arrived=has_arrived, is_lost=True)


def test_losses_on_the_base_are_no_black_hole() -> None:
    search = MtuSearch(1_400, ETHERNET_MTU_IPV4)
    assert not any(search.on_outcome(0, has_arrived=False, is_lost=True) for _ in range(100))


# --- in a connection


def send_bulk(pair: Pair, count: int = 20) -> None:
    for _ in range(count):
        pair.client.send(bytes(20_000))


@pytest.mark.must("M64")
def test_a_connection_begins_at_the_base_and_finds_the_rest_with_its_first_full_packets() -> None:
    pair = Pair()
    pair.connect()
    pair.run(1)
    assert pair.client.snapshot.mtu == BASE_MTU, "small messages are no reason to search"
    send_bulk(pair)
    pair.run(1)
    assert pair.client.snapshot.mtu == 1_400
    pair.assert_delivered([bytes(20_000)] * 20)


@pytest.mark.must("M64")
def test_the_operators_mtu_is_never_exceeded_nor_the_peers() -> None:
    for ours, theirs in ((1_300, 1_400), (1_400, 1_300)):
        pair = Pair(client_settings=TransportSettings(mtu=ours), server_settings=TransportSettings(mtu=theirs))
        pair.set_link(replace(OPEN, mtu=1_300))
        pair.connect()
        send_bulk(pair)
        pair.run(2)
        assert pair.client.snapshot.mtu == 1_300
        assert pair.world.link(CLIENT, SERVER).stats.too_large == 0


@pytest.mark.parametrize("width", [1_200, 1_250, 1_333])
@pytest.mark.must("M65")
def test_a_narrow_path_is_found_without_losing_anything_but_probes(width: int) -> None:
    pair = Pair(link=replace(OPEN, mtu=width))
    pair.connect()
    send_bulk(pair)
    pair.run(20)
    assert width - MTU_SEARCH_STEP < pair.client.snapshot.mtu <= width
    pair.assert_delivered([bytes(20_000)] * 20)
    stats = pair.client.snapshot.stats
    assert sum(stats.packets_lost.values()) == 0, "a lost probe is no lost packet"
    assert sum(stats.packets_retransmitted.values()) == 0
    assert pair.world.link(CLIENT, SERVER).stats.too_large >= MTU_PROBES_MAX


@pytest.mark.parametrize("seed", range(5))
def test_the_search_ends_well_on_a_lossy_path(seed: int) -> None:
    pair = Pair(seed=seed, link=replace(OPEN, loss=0.1))
    pair.connect()
    send_bulk(pair)
    pair.run(20)
    assert pair.client.snapshot.mtu == 1_400
    assert pair.client.snapshot.stats.mtu_black_holes == 0


@pytest.mark.must("M66")
def test_a_path_that_becomes_narrower_is_noticed_and_nothing_is_lost_for_good() -> None:
    pair = Pair()
    pair.connect()
    send_bulk(pair)
    pair.run(2)
    pair.set_link(replace(OPEN, mtu=1_300))
    send_bulk(pair)
    assert pair.run_until(lambda: len(pair.client.acknowledged()) == 40, 10)
    assert pair.client.snapshot.stats.mtu_black_holes == 1
    assert pair.client.snapshot.mtu == BASE_MTU
    pair.run(BLACK_HOLE_PAUSE / SECOND - 5)
    for _ in range(30):
        pair.client.send(bytes(20_000))
        pair.run(1)
    assert 1_300 - MTU_SEARCH_STEP < pair.client.snapshot.mtu <= 1_300
    assert pair.client.closed() is None


def test_a_narrower_path_is_noticed_though_nothing_small_is_said() -> None:
    pair = Pair()
    pair.connect()
    send_bulk(pair)
    pair.run(2)
    pair.set_link(replace(OPEN, mtu=1_300))
    # One long message: every packet of it is full.
    pair.client.send(bytes(1 << 20))
    pair.run(0.5)
    assert pair.client.snapshot.stats.rto_expirations == 0
    assert pair.client.snapshot.stats.mtu_black_holes == 1, "tail-loss probes are small enough to get through"
    assert pair.run_until(lambda: len(pair.client.acknowledged()) == 21, 30)


def test_large_unreliable_messages_wait_for_the_first_probe_and_no_longer() -> None:
    pair = Pair()
    pair.connect()
    pair.client.send(bytes(1_350), Delivery.UNRELIABLE)
    pair.run(0.05)
    assert pair.server.received() == [bytes(1_350)]

    narrow = Pair(link=replace(OPEN, mtu=1_300))
    narrow.connect()
    narrow.client.send(bytes(1_350), Delivery.UNRELIABLE)
    narrow.client.send(b"small", Delivery.UNRELIABLE)
    narrow.run(5)
    assert narrow.server.received() == [b"small"]
    assert narrow.client.snapshot.stats.messages_dropped == 1
