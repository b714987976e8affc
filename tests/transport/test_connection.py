"""One connection: messages both ways, timers, limits and the end, seen from its two ends."""

from __future__ import annotations

import pytest

from node.errors import Code, MessageTooLarge, QueueFull, UnknownPeer
from node.impairment.link import LinkSettings
from node.transport.congestion import CONTROLLERS
from node.transport.events import Closed, Connected, Delivery, MessageAcknowledged, MessageFailed, MessageReceived
from node.transport.packet import Message
from node.transport.settings import TransportSettings
from node.types import MILLISECOND, SECOND
from node.wire.limits import MESSAGE_BYTES_MAX, SEND_QUEUE_BYTES_MAX
from tests.pair import CLIENT, SERVER, Pair

DELAY = 10 * MILLISECOND
ROUND_TRIP = 2 * DELAY
CUT = LinkSettings(loss=1.0)
FAST = TransportSettings(min_rto=25 * MILLISECOND)


@pytest.fixture
def pair() -> Pair:
    connected = Pair()
    connected.connect()
    connected.run(1)
    return connected


# --- messages


def test_messages_travel_both_ways_and_are_acknowledged(pair: Pair) -> None:
    first = pair.client.send(b"ping")
    second = pair.server.send(b"pong")
    pair.run(1)
    assert pair.server.received() == [b"ping"]
    assert pair.client.received() == [b"pong"]
    assert pair.client.acknowledged() == [first]
    assert pair.server.acknowledged() == [second]


def test_message_carries_its_peer_and_its_class(pair: Pair) -> None:
    pair.client.send(b"a", Delivery.ORDERED)
    pair.run(1)
    (event,) = pair.server.of(MessageReceived)
    assert event.peer_id == pair.client.endpoint.identity.public_key
    assert event.delivery is Delivery.ORDERED


def test_messages_sent_before_the_handshake_is_done_follow_it() -> None:
    pair = Pair()
    pair.client.connect(SERVER)
    pair.client.send(b"early")
    pair.run(1)
    assert pair.server.received() == [b"early"]
    kinds = [type(event) for event in pair.server.events]
    assert kinds == [Connected, MessageReceived]


@pytest.mark.must("M41")
def test_nothing_leaves_past_its_deadline_though_the_timer_is_late(pair: Pair) -> None:
    client, now = pair.client, pair.client.now
    assert client.handle is not None
    due = client.endpoint.send(client.handle, Message(b"due at once", Delivery.RELIABLE, now), now)
    assert client.endpoint.poll_transmit(now) is None
    large = client.endpoint.send(client.handle, Message(bytes(200_000), Delivery.RELIABLE, now + SECOND), now)
    while client.endpoint.poll_transmit(now) is not None:
        pass
    later = now + SECOND
    # The window opens in the same turn of the loop in which the timer would have come.
    client.connection.sending.recovery.bytes_in_flight = 0
    client.endpoint.send(client.handle, Message(b"other", Delivery.RELIABLE), later)
    sent = 0
    while (transmit := client.endpoint.poll_transmit(later)) is not None:
        sent += len(transmit.data)
    assert sent < 2 * client.connection.sending.packet_bytes
    client.drain()
    assert client.failed() == [due, large]


def test_first_message_arrives_one_and_a_half_round_trips_after_the_dial() -> None:
    pair = Pair()
    pair.client.connect(SERVER)
    pair.client.send(b"early")
    assert pair.run_until(lambda: bool(pair.server.received()), 1)
    assert pair.world.now == 3 * DELAY


@pytest.mark.must("M39")
def test_ordered_messages_stay_in_order_through_loss() -> None:
    pair = Pair(link=LinkSettings(delay=DELAY, loss=0.2))
    pair.connect(20)
    sent = [index.to_bytes(2, "big") for index in range(400)]
    for payload in sent:
        pair.client.send(payload, Delivery.ORDERED, channel=payload[1] % 3)
    assert pair.run_until(lambda: len(pair.client.acknowledged()) == len(sent), 60)
    for channel in range(3):
        expected = [payload for payload in sent if payload[1] % 3 == channel]
        assert [payload for payload in pair.server.received() if payload[1] % 3 == channel] == expected


@pytest.mark.must("M40")
def test_unreliable_messages_are_sent_once_and_never_again(pair: Pair) -> None:
    pair.world.set_link(CLIENT, SERVER, CUT, both=False)
    pair.client.send(b"gone", Delivery.UNRELIABLE)
    pair.run(1)
    pair.world.set_link(CLIENT, SERVER, LinkSettings(delay=DELAY), both=False)
    pair.run(30)
    assert pair.server.received() == []
    assert pair.client.failed() == pair.client.acknowledged() == []


@pytest.mark.must("M40")
def test_unreliable_message_must_fit_one_datagram(pair: Pair) -> None:
    with pytest.raises(MessageTooLarge, match=r"1400.*136"):
        pair.client.send(bytes(1_400), Delivery.UNRELIABLE)
    largest = 1_400 - 32 - 3
    pair.client.send(bytes(largest), Delivery.UNRELIABLE)
    pair.run(1)
    assert pair.server.received() == [bytes(largest)]


def test_unreliable_messages_that_the_peer_cannot_take_do_not_block_others() -> None:
    pair = Pair(server_settings=TransportSettings(mtu=1200), client_settings=TransportSettings(mtu=1400))
    pair.client.connect(SERVER)
    pair.client.send(bytes(1_300), Delivery.UNRELIABLE)
    pair.client.send(b"small", Delivery.UNRELIABLE)
    pair.run(1)
    assert pair.server.received() == [b"small"]


def test_packets_never_exceed_what_the_peer_accepts() -> None:
    pair = Pair(
        link=LinkSettings(delay=DELAY, mtu=1200),
        server_settings=TransportSettings(mtu=1200),
        client_settings=TransportSettings(mtu=9000),
    )
    pair.connect()
    pair.client.send(bytes(50_000))
    assert pair.run_until(lambda: bool(pair.client.acknowledged()), 5)
    assert pair.world.link(CLIENT, SERVER).stats.too_large == 0


@pytest.mark.parametrize("congestion", CONTROLLERS)
@pytest.mark.parametrize(("mtu", "mss", "packet"), [(9_000, 9_000, 1_200), (1_400, 256, 288)])
def test_windows_count_in_packets_of_the_size_that_is_sent(congestion: str, mtu: int, mss: int, packet: int) -> None:
    pair = Pair(
        server_settings=TransportSettings(mtu=1_200),
        client_settings=TransportSettings(mtu=mtu, mss=mss, congestion=congestion),
    )
    pair.connect()
    link = pair.world.link(CLIENT, SERVER)
    offered = link.stats.offered
    pair.client.send(bytes(200_000))
    assert pair.client.snapshot.congestion_window == 10 * packet
    assert link.stats.offered - offered == 10


@pytest.mark.parametrize("mss", [256, 700])
def test_mss_bounds_the_frames_of_a_packet(mss: int) -> None:
    pair = Pair(link=LinkSettings(delay=DELAY, mtu=1200), client_settings=TransportSettings(mss=mss))
    pair.connect()
    link = pair.world.link(CLIENT, SERVER)
    begun = link.stats.offered
    pair.client.send(bytes(10_000))
    assert pair.run_until(lambda: bool(pair.client.acknowledged()), 5)
    assert link.stats.offered - begun >= 10_000 / mss


@pytest.mark.must("M48")
def test_message_over_the_limit_and_full_queue_are_refused_and_nothing_is_lost(pair: Pair) -> None:
    with pytest.raises(MessageTooLarge):
        pair.client.send(bytes(MESSAGE_BYTES_MAX + 1))
    pair.world.set_link(CLIENT, SERVER, CUT)
    for _ in range(SEND_QUEUE_BYTES_MAX // MESSAGE_BYTES_MAX):
        pair.client.send(bytes(MESSAGE_BYTES_MAX))
    with pytest.raises(QueueFull):
        pair.client.send(b"x")
    pair.world.set_link(CLIENT, SERVER, LinkSettings(delay=DELAY))
    assert pair.run_until(lambda: len(pair.client.acknowledged()) == 4, 60)


def test_messages_larger_than_the_window_pass_through_it() -> None:
    pair = Pair(client_settings=TransportSettings(initial_window=20_000))
    pair.connect()
    for index in range(3):
        pair.client.send(bytes([index]) * 300_000)
    assert pair.run_until(lambda: len(pair.client.acknowledged()) == 3, 60)
    assert [payload[0] for payload in pair.server.received()] == [0, 1, 2]


# --- deadlines


@pytest.mark.must("M41")
def test_message_is_withdrawn_at_its_deadline(pair: Pair) -> None:
    pair.world.set_link(CLIENT, SERVER, CUT)
    begun_at = pair.world.now
    message_id = pair.client.send(b"urgent", timeout=0.3)
    assert pair.run_until(lambda: bool(pair.client.failed()), 5)
    assert pair.world.now - begun_at == 300 * MILLISECOND
    assert pair.client.of(MessageFailed)[-1].expired
    assert pair.client.snapshot.send_queue_messages == 0
    pair.world.set_link(CLIENT, SERVER, LinkSettings(delay=DELAY))
    pair.run(30)
    assert pair.client.failed() == [message_id]
    assert pair.server.received() == []


def test_deadline_counts_during_the_handshake_too() -> None:
    pair = Pair(link=CUT)
    pair.client.connect(SERVER)
    message_id = pair.client.send(b"urgent", timeout=1.0)
    assert pair.run_until(lambda: bool(pair.client.of(MessageFailed)), 20)
    assert pair.world.now == SECOND
    assert pair.client.of(MessageFailed) == [MessageFailed(connection=1, message_id=message_id, expired=True)]


@pytest.mark.must("M41")
def test_withdrawn_large_messages_give_their_credit_back() -> None:
    pair = Pair(link=LinkSettings(delay=DELAY, rate=100_000), client_settings=TransportSettings(initial_window=20_000))
    pair.connect()
    for _ in range(20):
        pair.client.send(bytes(200_000), timeout=0.2)
        pair.run(0.3)
    assert len(pair.client.failed()) == 20
    pair.client.send(b"after all that")
    assert pair.run_until(lambda: b"after all that" in pair.server.received(), 30)
    assert pair.client.closed() is None


# --- recovery


def test_round_trip_is_measured_within_a_millisecond(pair: Pair) -> None:
    for _ in range(100):
        pair.client.send(b"sample")
        pair.run(0.05)
    assert pair.client.snapshot.smoothed_rtt == pytest.approx(ROUND_TRIP, abs=MILLISECOND)
    assert pair.client.snapshot.min_rtt == ROUND_TRIP


@pytest.mark.must("M54")
def test_tail_loss_is_repaired_by_a_probe_at_the_computed_rto(pair: Pair) -> None:
    for _ in range(50):
        pair.client.send(b"sample")
        pair.run(0.05)
    pair.world.set_link(CLIENT, SERVER, CUT, both=False)
    begun_at = pair.world.now
    pair.client.send(b"tail")
    pair.world.set_link(CLIENT, SERVER, LinkSettings(delay=DELAY), both=False)
    computed = pair.client.snapshot.computed_rto
    assert pair.run_until(lambda: b"tail" in pair.server.received(), 5)
    assert pair.world.now - begun_at == computed + DELAY
    assert pair.client.snapshot.stats.probes == 1
    assert pair.client.snapshot.stats.packets_retransmitted["probe"] >= 1
    assert pair.client.snapshot.stats.rto_expirations == 0


@pytest.mark.must("M69")
def test_connection_fails_after_max_retries_and_says_which_messages_failed() -> None:
    pair = Pair(client_settings=TransportSettings(min_rto=100 * MILLISECOND, max_retries=3))
    pair.connect()
    for _ in range(20):
        pair.client.send(b"so that the round trip is known")
        pair.run(0.1)
    pair.set_link(CUT)
    begun_at = pair.world.now
    message_id = pair.client.send(b"into the void")
    assert pair.run_until(lambda: pair.client.closed() is not None, 60)
    closed = pair.client.closed()
    assert closed is not None
    assert closed.code is Code.RETRIES_EXHAUSTED
    assert pair.client.of(MessageFailed) == [MessageFailed(connection=1, message_id=message_id, expired=False)]
    assert pair.client.events.index(pair.client.of(MessageFailed)[0]) < pair.client.events.index(closed)
    # Two probes, then 100, 200, 400 and 800 ms of waiting.
    assert 1_500 * MILLISECOND < pair.world.now - begun_at < 2_000 * MILLISECOND


@pytest.mark.must("M68")
def test_silent_connection_is_closed_after_the_idle_timeout() -> None:
    pair = Pair(client_settings=TransportSettings(idle_timeout=5 * SECOND))
    pair.connect()
    pair.run(4)
    assert pair.client.closed() is None
    pair.run(3)
    closed = pair.client.closed()
    assert closed is not None
    assert closed.code is Code.IDLE_TIMEOUT
    assert pair.client.endpoint.snapshots() == []


@pytest.mark.must("M68")
@pytest.mark.parametrize("before", [1, 100, 199, 201])
def test_what_is_sent_late_in_a_silence_does_not_fail_while_it_arrives(before: int) -> None:
    """before: milliseconds until the silence would have lasted too long."""
    settings = TransportSettings(idle_timeout=5 * SECOND)
    pair = Pair(client_settings=settings, link=LinkSettings(delay=100 * MILLISECOND))
    pair.connect()
    pair.server.send(b"the last that the client hears")
    pair.run(0.31)
    pair.run(5 - 0.21 - before / 1_000)
    late = pair.client.send(b"late")
    pair.run(1)
    assert pair.server.received() == [b"late"]
    assert pair.client.acknowledged() == [late]
    assert pair.client.closed() is None


@pytest.mark.must("M68")
def test_a_peer_that_is_gone_ends_the_connection_though_much_is_sent() -> None:
    settings = TransportSettings(idle_timeout=5 * SECOND, max_retries=1_000, max_rto=2 * SECOND)
    pair = Pair(client_settings=settings)
    pair.connect()
    pair.run(1)
    pair.set_link(LinkSettings(loss=1.0))
    for _ in range(50):
        assert pair.client.closed() is None
        pair.client.send(b"is anybody there?")
        pair.run(0.1)
    pair.run(0.1)
    closed = pair.client.closed()
    assert closed is not None
    assert closed.code is Code.IDLE_TIMEOUT


@pytest.mark.must("M68")
def test_traffic_in_one_direction_keeps_both_ends_alive() -> None:
    pair = Pair(client_settings=TransportSettings(idle_timeout=3 * SECOND))
    pair.connect()
    for _ in range(10):
        pair.client.send(b"alive", Delivery.UNRELIABLE)
        pair.run(1)
    assert pair.client.closed() is None
    assert pair.server.closed() is None


def test_idle_connection_sends_nothing(pair: Pair) -> None:
    offered = pair.world.link(CLIENT, SERVER).stats.offered
    pair.run(30)
    assert pair.world.link(CLIENT, SERVER).stats.offered == offered


def test_small_messages_in_a_row_share_datagrams(pair: Pair) -> None:
    offered = pair.world.link(CLIENT, SERVER).stats.offered
    for _ in range(100):
        pair.client.endpoint.send(1, Message(bytes(100), Delivery.RELIABLE), pair.client.now)
    pair.client.drain()
    pair.run(1)
    assert len(pair.client.acknowledged()) == 100
    assert pair.world.link(CLIENT, SERVER).stats.offered - offered == 10, "nine full ones and a probe of the path"


# --- the end


def test_disconnect_tells_the_peer_and_both_ends_forget(pair: Pair) -> None:
    pair.client.disconnect()
    pair.run(2)
    ours, theirs = pair.client.closed(), pair.server.closed()
    assert ours is not None
    assert theirs is not None
    assert (ours.code, ours.by_peer) == (Code.OK, False)
    assert (theirs.code, theirs.by_peer) == (Code.OK, True)
    assert pair.client.endpoint.snapshots() == pair.server.endpoint.snapshots() == []


@pytest.mark.must("M69")
def test_closed_comes_once_and_last(pair: Pair) -> None:
    pair.client.send(bytes(100_000))
    pair.client.disconnect()
    pair.server.disconnect()
    pair.run(5)
    for side in pair.sides:
        assert len(side.of(Closed)) == 1
        assert isinstance(side.events[-1], Closed)


@pytest.mark.must("M49")
def test_send_after_the_end_is_refused(pair: Pair) -> None:
    pair.client.disconnect()
    with pytest.raises(UnknownPeer):
        pair.client.send(b"too late")
    pair.run(5)
    with pytest.raises(UnknownPeer):
        pair.client.send(b"too late")


@pytest.mark.must("M70")
def test_close_that_is_lost_is_repeated_for_a_peer_that_still_sends(pair: Pair) -> None:
    pair.world.set_link(CLIENT, SERVER, CUT, both=False)
    pair.client.disconnect()
    pair.world.set_link(CLIENT, SERVER, LinkSettings(delay=DELAY), both=False)
    pair.server.send(b"are you there?")
    assert pair.run_until(lambda: pair.server.closed() is not None, 0.1)


def test_whatever_was_acknowledged_before_the_end_is_not_reported_as_failed(pair: Pair) -> None:
    first = pair.client.send(b"arrives")
    pair.run(1)
    pair.set_link(CUT)
    second = pair.client.send(b"does not")
    pair.client.disconnect()
    assert pair.client.of(MessageAcknowledged)[0].message_id == first
    assert pair.client.failed() == [second]


# --- what others may see


def test_snapshot_says_what_the_connection_knows(pair: Pair) -> None:
    pair.client.send(b"x")
    pair.run(1)
    snapshot = pair.client.snapshot
    assert (snapshot.transport, snapshot.state, snapshot.is_initiator) == ("udp", "established", True)
    assert snapshot.peer_id == pair.server.endpoint.identity.public_key
    assert snapshot.address == SERVER
    assert snapshot.established_at is not None
    assert snapshot.latest_rtt is not None
    assert snapshot.computed_rto >= ROUND_TRIP
    assert snapshot.effective_rto == SECOND
    assert snapshot.bytes_in_flight == 0


def test_counters_of_both_ends_agree_on_a_clean_link(pair: Pair) -> None:
    for _ in range(50):
        pair.client.send(bytes(3_000))
        pair.server.send(bytes(500))
        pair.run(0.02)
    pair.run(1)
    ours, theirs = pair.client.snapshot.stats, pair.server.snapshot.stats
    assert (ours.packets_sent, ours.bytes_sent) == (theirs.packets_received, theirs.bytes_received)
    assert (theirs.packets_sent, theirs.bytes_sent) == (ours.packets_received, ours.bytes_received)
    assert ours.messages_sent == ours.messages_acknowledged == theirs.messages_received == 50
    assert sum(ours.packets_retransmitted.values()) == sum(ours.packets_lost.values()) == 0


def test_acknowledgements_do_not_hold_up_what_a_receiver_has_to_say() -> None:
    pair = Pair(link=LinkSettings(delay=20 * MILLISECOND, rate=12_500_000, limit=2_000))
    pair.connect()
    for _ in range(60):
        pair.client.send(bytes(60_000))
        pair.run(0.01)
    connection = pair.server.connection
    connection.sending.controller.congestion_window = 20_000
    sent_at = pair.world.now
    pair.server.send(b"a word")
    assert pair.run_until(lambda: b"a word" in pair.client.received(), 1)
    assert pair.world.now - sent_at < 60 * MILLISECOND
