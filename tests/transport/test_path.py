"""Which address the peer is believed to have: one that has answered a challenge, and nothing less."""

from __future__ import annotations

from dataclasses import replace

import pytest

from node.errors import Code
from node.impairment.link import LinkSettings
from node.transport.congestion.newreno import NewReno
from node.transport.events import AddressChanged
from node.transport.packet import SentPacket
from node.transport.path import PATH_PACKET_BYTES, Path
from node.transport.recovery import Recovery
from node.transport.rtt import INITIAL_RTT, RttEstimator
from node.transport.settings import TransportSettings
from node.transport.stats import ConnectionStats
from node.types import MILLISECOND, SECOND, Address
from node.wire.frames import AckFrame, PathChallengeFrame, PathResponseFrame
from node.wire.header import PacketType, parse_header
from node.wire.limits import AMPLIFICATION_MAX, BASE_MTU
from tests.pair import CLIENT, SERVER, Pair

DELAY = 10 * MILLISECOND
OPEN = LinkSettings(delay=DELAY)
OLD: Address = ("192.0.2.1", 1000)
NEW: Address = ("192.0.2.2", 2000)
THIRD: Address = ("192.0.2.3", 3000)
MOVED: Address = ("10.0.0.9", 9000)
REBOUND: Address = ("10.0.0.1", 9001)
PTO = 3 * INITIAL_RTT


def make_path() -> Path:
    counter = iter(range(100))
    return Path(OLD, lambda size: bytes([next(counter)]) * size)


# --- the rules alone


def test_a_newer_packet_from_elsewhere_makes_a_candidate_and_changes_nothing_yet() -> None:
    path = make_path()
    path.on_elsewhere(NEW, 100, PTO, 0, is_newest=True)
    assert path.address == OLD
    assert path.next_challenge(41, PTO, 0) == PathChallengeFrame(bytes(8))
    assert path.candidate is not None
    assert path.candidate.address == NEW


def test_an_older_packet_from_elsewhere_means_nothing() -> None:
    path = make_path()
    path.on_elsewhere(NEW, 100, PTO, 0, is_newest=False)
    assert path.candidate is None


@pytest.mark.must("M61")
def test_only_the_answer_to_the_challenge_moves_the_path() -> None:
    path = make_path()
    assert not path.on_response(PathResponseFrame(bytes(8)))
    path.on_elsewhere(NEW, 100, PTO, 0, is_newest=True)
    assert not path.on_response(PathResponseFrame(b"wrong..."))
    assert path.address == OLD
    assert path.on_response(PathResponseFrame(bytes(8)))
    assert (path.address, path.candidate) == (NEW, None)
    assert not path.on_response(PathResponseFrame(bytes(8))), "answers count once"


def test_a_challenge_is_repeated_and_then_given_up() -> None:
    path = make_path()
    path.on_elsewhere(NEW, 1_000, PTO, 0, is_newest=True)
    sent_at = []
    while (now := path.next_timeout()) is not None:
        path.handle_timeout(now)
        if path.next_challenge(41, PTO, now) is not None:
            sent_at.append(now)
    assert sent_at == [0, PTO]
    assert not path.on_response(PathResponseFrame(bytes(8)))


@pytest.mark.must("M62")
def test_an_address_under_validation_is_sent_three_times_what_came_from_it() -> None:
    path = make_path()
    path.on_elsewhere(NEW, 50, PTO, 0, is_newest=True)
    sent, now = 0, 0
    for now in (0, PTO, 3 * PTO, 7 * PTO, 15 * PTO):
        sent += 41 if path.next_challenge(41, PTO, now) is not None else 0
    assert sent == 3 * 41 <= AMPLIFICATION_MAX * 50
    path.on_elsewhere(NEW, 14, PTO, now, is_newest=False)
    assert path.next_challenge(41, PTO, now) is not None, "every authenticated packet counts"


@pytest.mark.must("M62")
def test_an_address_that_may_be_sent_nothing_more_sets_no_timer_but_the_last() -> None:
    path = make_path()
    path.on_elsewhere(NEW, 20, PTO, 0, is_newest=True)
    assert path.next_challenge(PATH_PACKET_BYTES, PTO, 0) is not None
    assert path.next_challenge(PATH_PACKET_BYTES, PTO, PTO) is None
    assert path.candidate is not None
    # A time that is past would have an event loop come back at once, again and again.
    assert path.next_timeout() == path.candidate.expires_at
    path.on_elsewhere(NEW, 20, PTO, PTO, is_newest=True)
    assert path.next_timeout() == PTO
    assert path.next_challenge(PATH_PACKET_BYTES, PTO, PTO) is not None


@pytest.mark.must("M62")
def test_a_small_packet_from_elsewhere_keeps_no_timer_busy() -> None:
    pair = connected()
    challenges: list[Address] = []
    pair.world.taps.append(lambda _source, target, _data: challenges.append(target))
    pair.world.move_host(pair.client.host, MOVED)
    pair.world.set_link(SERVER, MOVED, replace(OPEN, loss=1.0), both=False)
    pair.client.send(b"")
    pair.run(0.005)  # it is on its way
    pair.world.set_link(MOVED, SERVER, replace(OPEN, loss=1.0), both=False)
    # The world ends a test whose machine asks for one instant again and again.
    pair.run(3)
    assert 0 < challenges.count(MOVED) <= 3
    assert pair.server.connection.path.candidate is None


def test_a_still_newer_address_takes_the_place_of_the_candidate() -> None:
    path = make_path()
    path.on_elsewhere(NEW, 100, PTO, 0, is_newest=True)
    path.on_elsewhere(THIRD, 100, PTO, 0, is_newest=True)
    assert not path.on_response(PathResponseFrame(bytes(8)))
    assert path.on_response(PathResponseFrame(b"\1" * 8))
    assert path.address == THIRD


def test_of_many_challenges_the_newest_is_answered() -> None:
    path = make_path()
    assert path.next_response() is None
    for number in range(1_000):
        assert path.on_challenge(PathChallengeFrame(number.to_bytes(8, "big")))
        assert not path.on_challenge(PathChallengeFrame(number.to_bytes(8, "big"))), "the same question again"
    assert path.next_response() == PathResponseFrame((999).to_bytes(8, "big"))
    assert path.next_response() is None


# --- in a connection


def connected() -> Pair:
    pair = Pair()
    pair.connect()
    for _ in range(10):
        pair.client.send(bytes(10_000))
        pair.server.send(bytes(10_000))
    pair.run(1)
    return pair


@pytest.mark.parametrize("target", [MOVED, REBOUND])
def test_a_peer_that_moves_is_followed_within_two_round_trips(target: Address) -> None:
    pair = connected()
    pair.world.move_host(pair.client.host, target)
    pair.client.send(b"here I am")
    assert pair.run_until(lambda: bool(pair.server.of(AddressChanged)), 1)
    assert pair.server.of(AddressChanged)[0].address == target
    pair.server.send(b"welcome")
    pair.run(1)
    assert pair.client.received()[-1] == b"welcome"
    assert pair.server.snapshot.address == target
    assert pair.server.endpoint.connection_at(target) == pair.server.handle
    assert pair.server.endpoint.connection_at(CLIENT) is None
    assert pair.server.snapshot.stats.path_changes == 1
    assert pair.client.of(AddressChanged) == [], "the server did not move"


@pytest.mark.must("M63")
def test_another_host_is_measured_anew_and_another_port_is_not() -> None:
    for target, is_new in ((MOVED, True), (REBOUND, False)):
        pair = connected()
        before = pair.server.snapshot
        assert before.mtu == 1_400
        pair.world.move_host(pair.client.host, target)
        for link in ((target, SERVER), (SERVER, target)):
            pair.world.set_link(*link, replace(OPEN, delay=100 * MILLISECOND), both=False)
        pair.client.send(b"here I am")
        assert pair.run_until(lambda pair=pair: bool(pair.server.of(AddressChanged)), 1)  # type: ignore[misc]
        after = pair.server.snapshot
        assert (after.mtu == BASE_MTU, after.smoothed_rtt is None) == (is_new, is_new)
        pair.server.send(bytes(10_000))
        pair.run(3)
        assert pair.client.received()[-1] == bytes(10_000)
        smallest = pair.server.snapshot.min_rtt
        assert smallest is not None
        assert (smallest >= 200 * MILLISECOND) == is_new, "no round trip of the old path is left"


def test_a_late_answer_to_a_packet_of_the_old_path_says_nothing_about_the_new_one() -> None:
    rtt, stats = RttEstimator(10 * MILLISECOND), ConnectionStats()
    recovery = Recovery(TransportSettings(), NewReno(1_200), rtt, stats)
    recovery.on_sent(SentPacket(0, 0, 1_200, is_ack_eliciting=True))
    rtt.reset()
    recovery.on_path_change(NewReno(1_200))
    recovery.on_sent(SentPacket(1, SECOND, 1_200, is_ack_eliciting=True))
    assert [packet.number for packet in recovery.on_ack(AckFrame(((0, 0),), 0), 2 * SECOND).acked] == [0]
    assert rtt.smoothed_rtt is None
    recovery.on_ack(AckFrame(((0, 1),), 0), 3 * SECOND)
    assert rtt.smoothed_rtt == 2 * SECOND


@pytest.mark.must("M61")
def test_a_copy_from_elsewhere_leads_nowhere() -> None:
    # Somebody on the path repeats a packet from another address before it arrives from its own.
    pair = connected()
    tap = pair.world.inject
    thief: Address = ("10.6.6.6", 666)
    stolen: list[int] = []

    def steal(source: Address, target: Address, data: bytes, ecn: int = 0) -> None:
        if target == SERVER and source == CLIENT and parse_header(data).packet_type is PacketType.DATA and not stolen:
            stolen.append(len(data))
            pair.world.set_link(thief, SERVER, LinkSettings(), both=False)
            tap(thief, target, data)
        tap(source, target, data, ecn)

    pair.world.inject = steal  # type: ignore[method-assign]
    pair.client.send(bytes(500))
    pair.run(5)
    assert stolen
    for _ in range(5):
        pair.server.send(b"for the client alone")
        pair.run(0.5)
    assert pair.server.of(AddressChanged) == []
    assert pair.server.snapshot.address == CLIENT
    assert pair.client.received().count(b"for the client alone") == 5
    to_thief = pair.world.link(SERVER, thief).stats
    assert 0 < to_thief.offered_bytes <= AMPLIFICATION_MAX * stolen[0]
    assert to_thief.offered <= 6, "nothing but challenges"


@pytest.mark.must("M61")
def test_a_packet_that_is_not_authentic_changes_no_path() -> None:
    pair = connected()
    captured: list[bytes] = []
    tap = pair.world.inject

    def watch(source: Address, target: Address, data: bytes, ecn: int = 0) -> None:
        if target == SERVER:
            captured.append(data)
        tap(source, target, data, ecn)

    pair.world.inject = watch  # type: ignore[method-assign]
    pair.client.send(b"hello")
    pair.run(1)
    pair.world.inject = tap  # type: ignore[method-assign]
    for data in captured:
        pair.world.inject(MOVED, SERVER, data)  # a replay
        pair.world.inject(MOVED, SERVER, data[:-1] + bytes((data[-1] ^ 1,)))
    pair.run(1)
    assert pair.server.connection.path.candidate is None
    assert pair.world.link(SERVER, MOVED).stats.offered == 0


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.must("M63")
def test_a_peer_that_moves_again_and_again_over_a_lossy_path_loses_nothing(seed: int) -> None:
    pair = Pair(seed=seed, link=replace(OPEN, loss=0.1))
    pair.connect()
    sent = []
    for number in range(10):
        pair.world.move_host(pair.client.host, (f"10.0.1.{number}", 9000 + number % 3))
        for part in range(5):
            sent.append(bytes([number, part]) * 1_000)
            pair.client.send(sent[-1])
            pair.server.send(sent[-1])
        pair.run(3)
    pair.run(20)
    pair.assert_delivered(sent)
    assert sorted(pair.client.received()) == sorted(sent)
    assert pair.server.snapshot.stats.path_changes >= 10


# --- silence


@pytest.mark.must("M67")
def test_keep_alive_keeps_an_idle_connection_and_nothing_else_does() -> None:
    for keep_alive, is_alive in ((0, False), (4 * SECOND, True)):
        settings = TransportSettings(idle_timeout=10 * SECOND, keep_alive=keep_alive)
        pair = Pair(client_settings=settings, server_settings=TransportSettings(idle_timeout=10 * SECOND))
        pair.connect()
        pair.run(60)
        assert (pair.client.closed() is None) == (pair.server.closed() is None) == is_alive
        if is_alive:
            sent = pair.world.link(CLIENT, SERVER).stats.offered
            pair.run(40)
            assert pair.world.link(CLIENT, SERVER).stats.offered - sent <= 2 * 40 / 4, "and not more than is needed"


def test_keep_alive_notices_a_peer_that_is_gone() -> None:
    pair = Pair(client_settings=TransportSettings(keep_alive=2 * SECOND, min_rto=100 * MILLISECOND))
    pair.connect()
    pair.set_link(LinkSettings(loss=1.0))
    assert pair.run_until(lambda: pair.client.closed() is not None, 40)
    closed = pair.client.closed()
    assert closed is not None
    assert closed.code is Code.RETRIES_EXHAUSTED, "long before the idle timeout"


def test_the_idle_timeout_has_the_length_that_was_set() -> None:
    pair = Pair(client_settings=TransportSettings(idle_timeout=7 * SECOND))
    pair.connect()
    pair.set_link(LinkSettings(loss=1.0))
    begin = pair.world.now
    assert pair.run_until(lambda: pair.client.closed() is not None, 20)
    assert 6.9 * SECOND <= pair.world.now - begin <= 7.1 * SECOND
