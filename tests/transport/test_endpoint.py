"""Many connections on one socket: dialling, being dialled, duplicates, limits, strangers."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import pytest

from node.crypto.cookie import mac
from node.errors import Code, UnknownPeer, UsageError
from node.identity.keys import Identity
from node.impairment.link import LinkSettings, Order
from node.transport.events import Closed, Connected, Delivery, MessageFailed
from node.transport.packet import Datagram, Message
from node.transport.settings import TransportSettings
from node.types import MILLISECOND, SECOND, Address, ConnectionId, NodeId
from node.wire.handshake import ANSWER_TAG_BYTES, INIT_MAC_BYTES, RefusalReason, pack_refuse, parse_init
from node.wire.header import PacketType, pack_header
from node.wire.limits import HALF_OPEN_MAX, HALF_OPEN_TIMEOUT, INIT_BYTES, MTU_MAX, PACKET_NUMBER_MAX
from tests.pair import CLIENT, SERVER, Pair, Side, make_side

DELAY = 10 * MILLISECOND
CUT = LinkSettings(loss=1.0)
STRANGER: Address = ("10.6.6.6", 666)


def key_of(side: Side) -> NodeId:
    return side.endpoint.identity.public_key


def codes(side: Side) -> list[Code]:
    return [event.code for event in side.of(Closed)]


def established(side: Side) -> int:
    return sum(snapshot.state == "established" for snapshot in side.endpoint.snapshots())


def init_datagrams(settings: TransportSettings | None = None) -> Iterator[bytes]:
    """Valid INITs of strangers, each another one."""
    for number in range(100_000):
        pair_seed = f"stranger {number}"
        world = Pair().world
        side = make_side(world, STRANGER, settings or TransportSettings(), seed=pair_seed, identity=9)
        side.endpoint.connect(SERVER, 0)
        transmit = side.endpoint.poll_transmit(0)
        assert transmit is not None
        yield transmit.data


# --- two ends


def test_both_ends_learn_the_key_and_the_address_of_the_other() -> None:
    pair = Pair()
    pair.connect()
    (ours,), (theirs,) = pair.client.of(Connected), pair.server.of(Connected)
    assert (ours.peer_id, ours.address, ours.is_initiator) == (key_of(pair.server), SERVER, True)
    assert (theirs.peer_id, theirs.address, theirs.is_initiator) == (key_of(pair.client), CLIENT, False)


def test_connections_are_found_by_key_and_by_address() -> None:
    pair = Pair()
    handle = pair.client.connect(SERVER)
    assert pair.client.endpoint.connection_at(SERVER) == handle
    assert pair.client.endpoint.connection_of(key_of(pair.server)) is None
    pair.run(1)
    assert pair.client.endpoint.connection_of(key_of(pair.server)) == handle
    assert pair.client.endpoint.connection_at(STRANGER) is None
    pair.client.disconnect()
    pair.run(1)
    assert pair.client.endpoint.connection_at(SERVER) is None
    assert pair.client.endpoint.connection_of(key_of(pair.server)) is None


def test_handles_are_never_used_again() -> None:
    pair = Pair()
    handles = []
    for _ in range(3):
        handles.append(pair.client.connect(SERVER))
        pair.run(1)
        pair.client.disconnect()
        pair.run(1)
    assert len(set(handles)) == 3


def test_nobody_there_ends_in_a_handshake_timeout_and_failed_messages() -> None:
    pair = Pair(link=CUT)
    pair.client.connect(SERVER)
    message_id = pair.client.send(b"anybody?")
    assert pair.run_until(lambda: bool(pair.client.of(Closed)), 20)
    assert pair.client.events == [
        MessageFailed(connection=1, message_id=message_id, expired=False),
        pair.client.closed(),
    ]
    assert codes(pair.client) == [Code.HANDSHAKE_TIMEOUT]
    assert pair.world.now == 10 * SECOND


@pytest.mark.must("M23")
def test_expected_identity_that_another_has_fails_the_handshake() -> None:
    pair = Pair()
    pair.client.handle = pair.client.endpoint.connect(SERVER, pair.client.now, expected=key_of(pair.client))
    pair.client.drain()
    pair.run(15)
    closed = pair.client.closed()
    assert closed is not None
    assert closed.hint == "identity_mismatch"
    assert pair.client.of(Connected) == []
    assert pair.server.of(Connected) == []


def test_unknown_handles_are_refused_or_ignored() -> None:
    pair = Pair()
    with pytest.raises(UnknownPeer):
        pair.client.endpoint.send(99, Message(b"x", Delivery.RELIABLE), pair.client.now)
    pair.client.endpoint.disconnect(99, pair.client.now)
    assert pair.client.endpoint.snapshot(99) is None


def test_shutdown_closes_everything_and_tells_everybody() -> None:
    pair = Pair()
    pair.connect()
    pair.server.endpoint.shutdown(pair.server.now)
    pair.server.drain()
    pair.run(1)
    assert codes(pair.server) == codes(pair.client) == [Code.SHUTDOWN]
    assert pair.server.endpoint.snapshots() == []
    assert pair.server.endpoint.next_timeout() is None


# --- duplicates


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.must("M22")
def test_two_nodes_that_dial_each_other_at_once_keep_one_connection(seed: int) -> None:
    link = LinkSettings(delay=DELAY, jitter=DELAY, order=Order.NATURAL, loss=0.1 if seed % 2 else 0.0)
    pair = Pair(seed=seed, link=link)
    pair.client.connect(SERVER)
    pair.server.connect(CLIENT)
    assert pair.run_until(lambda: all(side.of(Connected) for side in pair.sides), 10)
    pair.run(12)
    assert established(pair.client) == established(pair.server) == 1
    for side, other in (pair.sides, pair.sides[::-1]):
        handle = side.endpoint.connection_of(key_of(other))
        assert handle is not None
        assert [event.connection for event in side.of(Connected)][-1] == handle
        assert set(codes(side)) <= {Code.REPLACED}
        side.endpoint.send(handle, Message(b"hello", Delivery.RELIABLE), side.now)
        side.drain()
    pair.run(5)
    assert pair.client.received() == pair.server.received() == [b"hello"]


def test_of_two_dials_of_one_node_the_newer_stays() -> None:
    pair = Pair()
    pair.connect()
    first = pair.client.handle
    second = pair.client.connect(SERVER)
    pair.run(2)
    assert pair.client.endpoint.connection_of(key_of(pair.server)) == second
    assert [(event.connection, event.code) for event in pair.client.of(Closed)] == [(first, Code.REPLACED)]
    assert established(pair.client) == established(pair.server) == 1


def test_messages_of_a_replaced_connection_fail_after_the_new_one_is_there() -> None:
    pair = Pair()
    pair.connect()
    pair.set_link(CUT)
    pair.server.send(b"stuck")
    again = make_side(pair.world, STRANGER, pair.client_settings, seed="client again", identity=1)
    again.connect(SERVER)
    pair.run(1)
    kinds = [type(event) for event in pair.server.events]
    assert kinds == [Connected, Connected, MessageFailed, Closed]
    assert codes(pair.server) == [Code.REPLACED]


def test_a_node_that_dials_itself_is_told_so() -> None:
    pair = Pair()
    pair.client.connect(CLIENT)
    pair.run(6)
    assert codes(pair.client) == [Code.SELF_CONNECTION]
    assert pair.client.of(Connected) == []
    assert pair.client.endpoint.snapshots() == []


def test_another_process_with_our_key_is_told_apart_from_ourselves() -> None:
    pair = Pair()
    twin = make_side(pair.world, STRANGER, TransportSettings(), seed="twin", identity=1)
    twin.connect(CLIENT)
    pair.run(5)
    assert codes(twin) == [Code.DUPLICATE_IDENTITY]
    assert twin.of(Connected) == pair.client.of(Connected) == []


# --- mismatches


@pytest.mark.must("M20")
def test_another_network_is_refused_with_a_hint_and_counted() -> None:
    pair = Pair(server_settings=TransportSettings(network_id="another"))
    pair.client.connect(SERVER)
    assert pair.run_until(lambda: bool(pair.client.of(Closed)), 2), "waiting longer than that is in vain"
    closed = pair.client.closed()
    assert closed is not None
    assert closed.hint == "network_mismatch"
    assert closed.code in (Code.HANDSHAKE_TIMEOUT, Code.HANDSHAKE_FAILED)
    assert pair.server.endpoint.stats.packets_dropped["network_mismatch"] >= 1
    sent, received = pair.server.endpoint.stats.refusals_sent, pair.client.endpoint.stats.refusals_received
    assert sent == received == {"network_mismatch": sent["network_mismatch"], "version_mismatch": 0, "busy": 0}
    assert pair.server.events == []


@pytest.mark.must("M20")
def test_another_version_is_refused_with_a_hint_and_counted() -> None:
    pair = Pair()
    tap = pair.world.inject

    def with_another_version(source: Address, target: Address, data: bytes, ecn: int = 0) -> None:
        if target == SERVER:
            data = data[:2] + bytes((9 << 4 | data[2] & 0x0F,)) + data[3:]
        tap(source, target, data, ecn)

    pair.world.inject = with_another_version  # type: ignore[method-assign]
    pair.client.connect(SERVER)
    assert pair.run_until(lambda: bool(pair.client.of(Closed)), 2), "waiting longer than that is in vain"
    closed = pair.client.closed()
    assert closed is not None
    assert closed.hint == "version_mismatch"
    server, client = pair.server.endpoint.stats, pair.client.endpoint.stats
    assert server.packets_dropped["unsupported_version"] == server.refusals_sent["version_mismatch"] >= 1
    assert client.refusals_received["version_mismatch"] >= 1


@pytest.mark.must("M21")
def test_a_forged_refusal_ends_no_dial() -> None:
    pair = Pair()
    pair.client.connect(SERVER)
    opening = pair.client.connection._opening
    assert opening is not None
    text = pack_refuse(ConnectionId(pair.client.connection.origin.local_id), RefusalReason.NETWORK_MISMATCH)
    pair.world.inject(SERVER, CLIENT, text + mac(opening.datagram[-INIT_MAC_BYTES:], text))
    pair.run(0.012)
    assert pair.client.endpoint.stats.refusals_received["network_mismatch"] == 1
    pair.run(1)
    assert pair.client.of(Connected)
    assert pair.server.of(Connected)


def test_a_refusal_of_what_was_never_sent_is_dropped() -> None:
    pair = Pair()
    pair.client.connect(SERVER)
    text = pack_refuse(ConnectionId(pair.client.connection.origin.local_id), RefusalReason.BUSY)
    pair.world.inject(SERVER, CLIENT, text + bytes(ANSWER_TAG_BYTES))
    pair.run(0.012)
    assert pair.client.endpoint.stats.packets_dropped["unexpected"] == 1


# --- limits


def test_dials_beyond_max_connections_are_refused() -> None:
    pair = Pair(client_settings=TransportSettings(max_connections=1))
    pair.client.connect(SERVER)
    with pytest.raises(UsageError, match="max_connections"):
        pair.client.connect(("10.0.0.9", 1))


def test_peers_beyond_max_connections_are_told_and_the_others_stay() -> None:
    pair = Pair(server_settings=TransportSettings(max_connections=1))
    pair.connect()
    other = make_side(pair.world, STRANGER, TransportSettings(), seed="other", identity=9)
    other.connect(SERVER)
    pair.run(2)
    assert codes(other) == [Code.CONNECTION_LIMIT]
    assert other.of(Closed)[0].reason == "max_connections: 1 peers are connected"
    assert established(pair.client) == 1
    pair.client.send(b"still here")
    pair.run(1)
    assert pair.server.received() == [b"still here"]


@pytest.mark.must("M17")
def test_handshakes_that_nobody_finishes_are_bounded_and_forgotten() -> None:
    pair = Pair()
    for number, datagram in enumerate(islice(init_datagrams(), HALF_OPEN_MAX)):
        pair.world.inject((f"10.6.6.{number}", 666), SERVER, datagram)
    pair.run(0.1)
    # The other half is for those who can show a cookie.
    assert len(pair.server.endpoint.snapshots()) == HALF_OPEN_MAX // 2
    assert pair.server.endpoint.stats.packets_dropped["rate_limited"] == HALF_OPEN_MAX // 2
    assert pair.server.endpoint.stats.retries_sent == HALF_OPEN_MAX // 2
    pair.run(HALF_OPEN_TIMEOUT / SECOND)
    assert pair.server.endpoint.snapshots() == []
    assert pair.server.events == []
    pair.connect()


@pytest.mark.must("M13")
def test_an_answer_to_a_stranger_is_never_larger_than_the_question() -> None:
    pair = Pair()
    datagram = next(init_datagrams())
    for _ in range(5):
        pair.world.inject(STRANGER, SERVER, datagram)
    pair.run(30)
    link = pair.world.link(SERVER, STRANGER)
    assert 0 < link.stats.offered_bytes <= 5 * INIT_BYTES


def test_an_init_that_comes_again_begins_no_second_connection() -> None:
    pair = Pair(link=LinkSettings(delay=DELAY, duplicate=1.0))
    pair.connect()
    pair.run(2)
    assert len(pair.server.endpoint.snapshots()) == len(pair.client.endpoint.snapshots()) == 1
    assert pair.server.endpoint.stats.handshakes_completed == 1


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.must("M19")
def test_handshake_survives_any_loss_duplication_and_reordering(seed: int) -> None:
    link = LinkSettings(
        delay=30 * MILLISECOND,
        jitter=30 * MILLISECOND,
        order=Order.NATURAL,
        loss=0.3,
        duplicate=0.5,
        corrupt=0.1,
    )
    pair = Pair(seed=seed, link=link)
    pair.client.connect(SERVER)
    pair.run(9)
    pair.set_link(LinkSettings(delay=DELAY))
    pair.run(12)
    if established(pair.client):
        pair.client.send(b"through")
        pair.run(5)
        assert b"through" in pair.server.received()
    else:
        assert codes(pair.client) == [Code.HANDSHAKE_TIMEOUT]


# --- strangers


def test_packets_of_a_connection_that_is_not_there_are_counted() -> None:
    pair = Pair()
    for kind in (PacketType.DATA, PacketType.RESPONSE, PacketType.CONFIRM, PacketType.RETRY, PacketType.REFUSE):
        pair.world.inject(STRANGER, SERVER, pack_header(kind, 12_345, 0) + bytes(100))
    pair.run(1)
    assert pair.server.endpoint.stats.packets_dropped["unknown_connection"] == 5
    # The former process of this node may have had the connection of the DATA and of the CONFIRM: see test_resets.
    assert pair.world.link(SERVER, STRANGER).stats.offered == pair.server.endpoint.stats.resets_sent == 2


def test_every_flipped_bit_of_an_init_is_refused_without_a_connection() -> None:
    pair = Pair()
    datagram = bytearray(next(init_datagrams()))
    assert parse_init(bytes(datagram)).clear.source
    # Every bit of the part that says something, and one in each byte of the padding.
    bits = [*range(8 * 96), *range(8 * 96, 8 * INIT_BYTES, 8)]
    for bit in bits:
        datagram[bit // 8] ^= 1 << bit % 8
        pair.server.endpoint.receive(Datagram(STRANGER, bytes(datagram)), 0)
        datagram[bit // 8] ^= 1 << bit % 8
    assert pair.server.endpoint.snapshots() == []
    assert sum(pair.server.endpoint.stats.packets_dropped.values()) == len(bits)
    pair.server.endpoint.receive(Datagram(STRANGER, bytes(datagram)), 0)
    assert len(pair.server.endpoint.snapshots()) == 1


def test_counters_outlive_their_connections() -> None:
    pair = Pair()
    pair.connect()
    pair.client.send(bytes(10_000))
    pair.run(1)
    pair.client.disconnect()
    pair.run(5)
    stats = pair.client.endpoint.stats
    assert stats.packets_sent > 8
    assert stats.bytes_sent > 10_000
    assert stats.handshakes_completed == 1
    assert sum(stats.rtt.counts) > 0


def test_failed_handshakes_are_counted() -> None:
    pair = Pair(link=CUT)
    pair.client.connect(SERVER)
    pair.run(15)
    assert pair.client.endpoint.stats.handshakes_failed == 1


def test_the_end_of_a_connection_that_ran_out_of_numbers_is_reported() -> None:
    pair = Pair()
    pair.connect()
    protection = pair.client.connection._protection
    assert protection is not None
    protection.next_number = PACKET_NUMBER_MAX
    message_id = pair.client.send(b"one too many")
    pair.run(1)
    assert codes(pair.client) == [Code.KEY_EXHAUSTED]
    assert pair.client.failed() == [message_id]
    assert pair.client.endpoint.connection_of(key_of(pair.server)) is None
    assert pair.client.endpoint.snapshots() == []


def test_busy_connection_does_not_starve_the_others() -> None:
    pair = Pair(link=LinkSettings(delay=DELAY, rate=1_000_000))
    pair.connect()
    other = make_side(pair.world, STRANGER, TransportSettings(), seed="other", identity=9)
    other.connect(SERVER)
    pair.run(1)
    pair.server.endpoint.send(1, Message(bytes(1_000_000), Delivery.RELIABLE), pair.server.now)
    pair.server.endpoint.send(2, Message(b"short", Delivery.RELIABLE), pair.server.now)
    pair.server.drain()
    assert pair.run_until(lambda: other.received() == [b"short"], 0.1)


def test_a_batch_of_large_packets_is_no_larger_than_a_datagram_may_be() -> None:
    pair = Pair(client_settings=TransportSettings(mtu=9_000, mss=9_000, initial_window=1 << 20))
    pair.connect()
    pair.run(5)
    pair.client.endpoint.send(1, Message(bytes(1_000_000), Delivery.RELIABLE), pair.client.now)
    sizes: list[int] = []
    while pair.client.acknowledged() == [] and len(sizes) < 500:
        while (transmit := pair.client.endpoint.poll_transmit(pair.client.now)) is not None:
            sizes.append(len(transmit.data))
            for data in transmit.payloads():
                pair.server.endpoint.receive(Datagram(CLIENT, data), pair.server.now)
        pair.server.drain()
        pair.run(0.05)
    assert 9_000 < max(sizes) <= MTU_MAX


def test_segments_are_as_many_as_allowed_and_all_of_one_size() -> None:
    pair = Pair()
    pair.connect()
    for segments_max in (1, 4):
        pair.client.endpoint.segments_max = segments_max
        pair.client.endpoint.send(1, Message(bytes(20_000), Delivery.RELIABLE), pair.client.now)
        while (transmit := pair.client.endpoint.poll_transmit(pair.client.now)) is not None:
            assert len(transmit.data) <= segments_max * transmit.segment_size
            for data in transmit.payloads():
                pair.server.endpoint.receive(Datagram(CLIENT, data), pair.server.now)
        pair.server.drain()
        pair.run(1)
    assert pair.server.received() == [bytes(20_000)] * 2


def test_identity_never_shows_in_what_a_stranger_sees() -> None:
    secrets = [bytes(Identity(bytes([number]) * 32).public_key) for number in (1, 2)]
    pair = Pair()
    seen: list[bytes] = []
    inject = pair.world.inject

    def spy(source: Address, target: Address, data: bytes, ecn: int = 0) -> None:
        seen.append(data)
        inject(source, target, data, ecn)

    pair.world.inject = spy  # type: ignore[method-assign]
    pair.connect()
    assert len(seen) >= 3
    assert not any(data.count(secret) for secret in secrets for data in seen)


def test_both_operators_learn_that_two_nodes_have_one_key() -> None:
    pair = Pair()
    twin = make_side(pair.world, STRANGER, pair.client_settings, seed="twin", identity=1)
    twin.connect(CLIENT)
    pair.run(6)
    assert codes(pair.client) == codes(twin) == [Code.DUPLICATE_IDENTITY]


def test_handshake_messages_that_come_again_are_counted() -> None:
    pair = Pair(link=LinkSettings(delay=DELAY, duplicate=1.0))
    pair.connect()
    pair.run(1)
    assert pair.server.endpoint.stats.packets_dropped["duplicate"] >= 1
    assert pair.client.endpoint.stats.packets_dropped["duplicate"] >= 1


def test_counted_round_trips_are_those_of_the_path_and_not_of_a_held_acknowledgement() -> None:
    pair = Pair()
    pair.connect()
    for _ in range(40):
        pair.client.send(b"one at a time")
        pair.run(0.1)
    histogram = pair.client.endpoint.stats.rtt
    mean = histogram.total / sum(histogram.counts)
    assert mean == pytest.approx(2 * DELAY, rel=0.05)


@pytest.mark.parametrize("segments_max", [0, 65])
def test_batches_of_impossible_sizes_are_refused(segments_max: int) -> None:
    with pytest.raises(UsageError, match="segments_max"):
        TransportSettings(segments_max=segments_max)
