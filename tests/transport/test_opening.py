"""Handshake datagrams are sent again when they should be, and only then."""

from __future__ import annotations

import pytest

from node.errors import Code
from node.impairment.link import LinkSettings
from node.transport.events import Closed, Connected
from node.transport.packet import Datagram
from node.types import MILLISECOND, SECOND, Address, Instant
from node.wire.header import PacketType, parse_header
from node.wire.limits import HALF_OPEN_TIMEOUT, HANDSHAKE_TIMEOUT, INIT_BYTES
from tests.pair import CLIENT, SERVER, Pair

DELAY = 10 * MILLISECOND
OPEN = LinkSettings(delay=DELAY)
CUT = LinkSettings(loss=1.0)


class Wiretap:
    """Notes every datagram of a pair: when, from whom, of what type, how large."""

    def __init__(self, pair: Pair) -> None:
        self.seen: list[tuple[Instant, Address, PacketType, int]] = []
        self.datagrams: list[bytes] = []
        self._pair = pair
        self._inject = pair.world.inject
        pair.world.inject = self._note  # type: ignore[method-assign]

    def times(self, kind: PacketType) -> list[Instant]:
        return [at for at, _, seen, _ in self.seen if seen is kind]

    def _note(self, source: Address, target: Address, data: bytes, ecn: int = 0) -> None:
        self.seen.append((self._pair.world.now, source, parse_header(data).packet_type, len(data)))
        self.datagrams.append(data)
        self._inject(source, target, data, ecn)


def test_init_is_repeated_with_growing_pauses_until_the_time_is_up() -> None:
    pair = Pair(link=CUT)
    tap = Wiretap(pair)
    pair.client.connect(SERVER)
    pair.run(20)
    assert [at // MILLISECOND for at in tap.times(PacketType.INIT)] == [
        *(0, 250, 750, 1_750, 2_750, 3_750, 4_750, 5_750, 6_750, 7_750, 8_750, 9_750)
    ]
    assert {size for *_, size in tap.seen} == {INIT_BYTES}
    (closed,) = pair.client.of(Closed)
    assert closed.code is Code.HANDSHAKE_TIMEOUT


def test_on_a_clean_path_each_datagram_is_sent_once() -> None:
    pair = Pair()
    tap = Wiretap(pair)
    pair.connect()
    pair.run(3)
    for kind in (PacketType.INIT, PacketType.RESPONSE, PacketType.CONFIRM):
        assert len(tap.times(kind)) == 1


@pytest.mark.must("M13")
def test_response_is_repeated_for_as_long_as_one_init_pays_for_it() -> None:
    pair = Pair()
    tap = Wiretap(pair)
    pair.world.set_link(SERVER, CLIENT, CUT, both=False)
    pair.client.connect(SERVER)
    pair.world.call_at(5 * MILLISECOND, lambda: pair.world.set_link(CLIENT, SERVER, CUT, both=False))
    pair.run(9)
    begun_at, *_ = tap.times(PacketType.RESPONSE)
    assert [(at - begun_at) // MILLISECOND for at in tap.times(PacketType.RESPONSE)] == [0, 250, 750, 1_750]
    assert sum(size for *_, kind, size in tap.seen if kind is PacketType.RESPONSE) <= INIT_BYTES


def test_response_is_repeated_when_asked_again() -> None:
    pair = Pair()
    tap = Wiretap(pair)
    pair.world.set_link(SERVER, CLIENT, CUT, both=False)
    pair.client.connect(SERVER)
    pair.run(3)
    asked_at, answered_at = tap.times(PacketType.INIT), tap.times(PacketType.RESPONSE)
    assert len(asked_at) == 5
    assert {at + DELAY for at in asked_at} <= set(answered_at)


@pytest.mark.parametrize(
    ("loss", "p50", "p99", "longest"), [(0.0, 30, 30, 30), (0.1, 80, 700, 1_500), (0.2, 80, 1_200, 4_000)]
)
def test_handshakes_are_quick_on_paths_that_lose(loss: float, p50: int, p99: int, longest: int) -> None:
    """Milliseconds until both ends are connected, of 1,000 dials; they would be 30 without loss."""
    times = []
    for seed in range(1_000):
        pair = Pair(seed=seed, link=LinkSettings(delay=DELAY, loss=loss))
        pair.connect()
        times.append(pair.world.now // MILLISECOND)
    times.sort()
    assert (times[500] <= p50, times[990] <= p99, times[-1] <= longest) == (True, True, True), times[::100]


def test_confirm_is_repeated_until_the_responder_answers() -> None:
    pair = Pair()
    tap = Wiretap(pair)
    pair.client.connect(SERVER)
    pair.world.call_at(15 * MILLISECOND, lambda: pair.world.set_link(CLIENT, SERVER, CUT, both=False))
    pair.world.call_at(800 * MILLISECOND, lambda: pair.world.set_link(CLIENT, SERVER, OPEN, both=False))
    pair.run(9)
    begun_at = tap.times(PacketType.CONFIRM)[0]
    # Three round trips of 20 ms, doubled; and again with each RESPONSE that comes again.
    asked_at = [(at + DELAY - begun_at) // MILLISECOND for at in tap.times(PacketType.RESPONSE)[1:]]
    sent_at = [(at - begun_at) // MILLISECOND for at in tap.times(PacketType.CONFIRM)]
    assert sorted({*sent_at} - {*asked_at}) == [0, 60, 180, 420, 900]
    assert len(asked_at) == 2
    assert pair.server.of(Connected)


def test_confirm_that_never_arrives_ends_at_both_ends() -> None:
    pair = Pair()
    pair.client.connect(SERVER)
    pair.world.call_at(15 * MILLISECOND, lambda: pair.world.set_link(CLIENT, SERVER, CUT, both=False))
    pair.run((HANDSHAKE_TIMEOUT + HALF_OPEN_TIMEOUT) / SECOND)
    assert [event.code for event in pair.client.of(Closed)] == [Code.HANDSHAKE_TIMEOUT]
    assert pair.server.events == []
    assert pair.client.endpoint.snapshots() == pair.server.endpoint.snapshots() == []


def test_responder_that_hears_no_more_forgets_in_silence() -> None:
    pair = Pair()
    pair.client.connect(SERVER)
    pair.run(0.015)
    pair.set_link(CUT)
    assert len(pair.server.endpoint.snapshots()) == 1
    pair.run(HALF_OPEN_TIMEOUT / SECOND)
    assert pair.server.endpoint.snapshots() == []
    assert pair.server.events == []


def test_data_before_the_confirmation_is_there_is_repeated_and_not_lost() -> None:
    pair = Pair()
    pair.client.connect(SERVER)
    pair.client.send(b"early")
    pair.world.call_at(15 * MILLISECOND, lambda: pair.world.set_link(CLIENT, SERVER, CUT, both=False))
    pair.world.call_at(200 * MILLISECOND, lambda: pair.world.set_link(CLIENT, SERVER, OPEN, both=False))
    pair.run(5)
    assert pair.server.received() == [b"early"]
    assert pair.world.hosts.keys() == {CLIENT, SERVER}


@pytest.mark.must("M19")
@pytest.mark.parametrize(("seed", "delay"), [(42, 5 * DELAY), (661, DELAY)])
def test_a_responder_waits_for_as_long_as_it_is_asked(seed: int, delay: int) -> None:
    """Two dials at 40 % loss each way whose RESPONSE came late, or whose CONFIRM was lost seven times."""
    pair = Pair(seed=seed, link=LinkSettings(delay=delay, loss=0.4))
    pair.connect(HANDSHAKE_TIMEOUT / SECOND)


@pytest.mark.must("M17")
def test_nobody_keeps_a_handshake_half_open_by_asking_for_ever() -> None:
    pair = Pair()
    tap = Wiretap(pair)
    pair.client.connect(SERVER)
    pair.run(0.015)
    pair.set_link(CUT)
    for _ in range(39):
        pair.run(0.25)
        pair.server.endpoint.receive(Datagram(CLIENT, tap.datagrams[0]), pair.server.now)
        pair.server.drain()
    assert len(pair.server.endpoint.snapshots()) == 1
    pair.run(0.25)
    assert pair.server.endpoint.snapshots() == []
    assert len(pair.server.endpoint._half_open) == pair.server.endpoint._half_open.of(CLIENT) == 0
