"""The TCP endpoint over streams in virtual time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import Code, MessageTooLarge, QueueFull, UnknownPeer, UsageError
from node.transport.events import Closed, Connected, Delivery, MessageAcknowledged, MessageFailed
from node.transport.packet import Message
from node.transport.settings import TransportSettings
from node.transport.stream import SLOW_READER, StreamData, StreamEndpoint, StreamOpened, StreamShutdown, StreamWrite
from node.types import SECOND
from node.wire.limits import (
    CONTROL_RESERVE_MESSAGES,
    HALF_OPEN_MAX,
    HANDSHAKE_TIMEOUT,
    MESSAGE_BYTES_MAX,
    SEND_QUEUE_MESSAGES_MAX,
    STREAM_HANDLE_FIRST,
    STREAM_QUEUE_BYTES_MAX,
)
from tests.transport.streams import StreamNetwork, connected, reliable


@pytest.fixture
def network() -> StreamNetwork:
    return StreamNetwork()


def test_both_ends_learn_whom_they_speak_to(network: StreamNetwork) -> None:
    alice, bob, handle = connected(network)
    assert alice.events == [
        Connected(connection=handle, peer_id=bob.endpoint._identity.public_key, address=bob.address, is_initiator=True)
    ]
    (accepted,) = bob.of(Connected)
    assert accepted.peer_id == alice.endpoint._identity.public_key
    assert not accepted.is_initiator
    assert alice.endpoint.connection_of(bob.endpoint._identity.public_key) == handle
    assert alice.endpoint.connection_at(bob.address) == handle


def test_what_is_sent_before_the_handshake_arrives_after_it(network: StreamNetwork) -> None:
    alice, bob = network.add("alice"), network.add("bob")
    handle = alice.endpoint.connect(bob.address, network.now)
    alice.endpoint.send(handle, reliable(b"early"), network.now)
    network.run()
    assert bob.received() == [b"early"]
    assert isinstance(alice.events[0], Connected)


def test_an_unreliable_message_is_not_reported_on(network: StreamNetwork) -> None:
    alice, bob, handle = connected(network)
    alice.endpoint.send(handle, Message(b"heartbeat", Delivery.UNRELIABLE), network.now)
    network.run()
    assert bob.received() == [b"heartbeat"]
    assert not alice.of(MessageAcknowledged)


def test_a_message_that_is_late_fails_and_a_later_one_still_arrives(network: StreamNetwork) -> None:
    alice, bob, handle = connected(network)
    network.is_blocked = True
    late = alice.endpoint.send(handle, reliable(b"late", network.now + SECOND), network.now)
    network.advance(2)
    assert alice.of(MessageFailed) == [MessageFailed(connection=handle, message_id=late, expired=True)]
    network.is_blocked = False
    alice.endpoint.send(handle, reliable(b"next"), network.now)
    network.run()
    assert len(alice.of(MessageAcknowledged)) == 1
    assert bob.received()[-1] == b"next"


@pytest.mark.must("M41")
def test_nothing_leaves_past_its_deadline_though_the_timer_is_late(network: StreamNetwork) -> None:
    alice, bob = network.add("alice"), network.add("bob")
    handle = alice.endpoint.connect(bob.address, network.now)
    network.run()
    late = alice.endpoint.send(handle, reliable(b"late", network.now + SECOND), network.now)
    network.now += SECOND
    network.run()
    assert bob.received() == []
    assert [event.message_id for event in alice.of(MessageFailed)] == [late]


def test_a_message_that_expires_before_the_handshake_is_never_sent(network: StreamNetwork) -> None:
    alice, bob = network.add("alice"), network.add("bob")
    network.is_blocked = True
    handle = alice.endpoint.connect(bob.address, network.now)
    alice.endpoint.send(handle, reliable(b"withdrawn", network.now + SECOND), network.now)
    alice.endpoint.send(handle, reliable(b"kept", network.now + 5 * SECOND), network.now)
    network.advance(2)
    network.is_blocked = False
    network.run()
    assert bob.received() == [b"kept"]
    snapshot = alice.endpoint.snapshot(handle)
    assert snapshot is not None
    assert (snapshot.send_queue_messages, snapshot.bytes_in_flight) == (0, 0)


def test_the_queue_towards_a_peer_that_reads_nothing_is_bounded(network: StreamNetwork) -> None:
    alice, _bob, handle = connected(network)
    network.is_blocked = True
    for _ in range(STREAM_QUEUE_BYTES_MAX // MESSAGE_BYTES_MAX):
        alice.endpoint.send(handle, reliable(bytes(MESSAGE_BYTES_MAX)), network.now)
        network.run()
    with pytest.raises(QueueFull):
        alice.endpoint.send(handle, reliable(b"one more"), network.now)
    network.is_blocked = False
    network.run()
    alice.endpoint.send(handle, reliable(b"one more"), network.now)


def test_the_number_of_queued_messages_is_bounded(network: StreamNetwork) -> None:
    alice, _bob, handle = connected(network)
    network.is_blocked = True
    for _ in range(SEND_QUEUE_MESSAGES_MAX - CONTROL_RESERVE_MESSAGES):
        alice.endpoint.send(handle, reliable(b""), network.now)
    with pytest.raises(QueueFull):
        alice.endpoint.send(handle, reliable(b""), network.now)


def test_what_can_never_be_sent_is_refused_at_once(network: StreamNetwork) -> None:
    alice, _bob, handle = connected(network)
    with pytest.raises(MessageTooLarge, match="1048577"):
        alice.endpoint.send(handle, reliable(bytes(MESSAGE_BYTES_MAX + 1)), network.now)
    with pytest.raises(MessageTooLarge):
        alice.endpoint.send(handle, Message(bytes(20_000), Delivery.UNRELIABLE), network.now)
    with pytest.raises(UsageError):
        alice.endpoint.send(handle, Message(b"", Delivery.ORDERED, network.now + SECOND), network.now)
    with pytest.raises(UnknownPeer):
        alice.endpoint.send(handle + 1, reliable(b""), network.now)


def test_disconnect_tells_the_peer_why(network: StreamNetwork) -> None:
    alice, bob, handle = connected(network)
    alice.endpoint.disconnect(handle, network.now, Code.APPLICATION, "enough")
    network.run()
    (mine,), (theirs,) = alice.of(Closed), bob.of(Closed)
    assert (mine.code, mine.reason, mine.by_peer) == (Code.APPLICATION, "enough", False)
    assert (theirs.code, theirs.reason, theirs.by_peer) == (Code.APPLICATION, "enough", True)
    assert not alice.ends
    assert alice.endpoint.snapshots() == bob.endpoint.snapshots() == []


def test_unacknowledged_messages_fail_before_the_connection_is_reported_closed(network: StreamNetwork) -> None:
    alice, _bob, handle = connected(network)
    network.is_blocked = True
    alice.endpoint.send(handle, reliable(b"lost"), network.now)
    network.run()
    (stream,) = alice.ends
    network.break_stream(alice, stream, "reset by peer")
    assert [type(event) for event in alice.events[1:]] == [MessageFailed, Closed]
    assert alice.codes() == [Code.CONNECTION_LOST]


def test_a_peer_cut_for_not_reading_is_reported_as_such(network: StreamNetwork) -> None:
    alice, _bob, _handle = connected(network)
    (stream,) = alice.ends
    network.break_stream(alice, stream, SLOW_READER)
    assert alice.codes() == [Code.FLOW_CONTROL]


def test_a_refused_dial_fails_at_once(network: StreamNetwork) -> None:
    alice = network.add("alice")
    handle = alice.endpoint.connect(("nobody", 1), network.now)
    alice.endpoint.send(handle, reliable(b"hello?"), network.now)
    network.run()
    assert [type(event) for event in alice.events] == [MessageFailed, Closed]
    (closed,) = alice.of(Closed)
    assert (closed.code, closed.peer_id, closed.reason) == (Code.HANDSHAKE_FAILED, None, "connection refused")


def test_a_dial_without_an_answer_times_out(network: StreamNetwork) -> None:
    alice, bob = network.add("alice"), network.add("bob")
    network.is_blocked = True
    alice.endpoint.connect(bob.address, network.now)
    network.advance(HANDSHAKE_TIMEOUT / SECOND + 1)
    assert alice.codes() == [Code.HANDSHAKE_TIMEOUT]
    assert not bob.events
    assert not bob.endpoint._streams


def test_a_silent_connection_ends(network: StreamNetwork) -> None:
    alice, _bob, _handle = connected(network)
    network.advance(61)
    assert alice.codes() == [Code.IDLE_TIMEOUT]


def test_traffic_keeps_a_connection_open(network: StreamNetwork) -> None:
    alice, bob, handle = connected(network)
    for _ in range(4):
        network.advance(40)
        alice.endpoint.send(handle, reliable(b"still here"), network.now)
    network.run()
    assert not alice.codes()
    assert len(bob.received()) == 4


@pytest.mark.parametrize("who", ["network", "expected"])
def test_the_wrong_peer_is_refused_with_a_hint(network: StreamNetwork, who: str) -> None:
    alice = network.add("alice")
    bob = network.add("bob", settings=TransportSettings(network_id="other" if who == "network" else "positron"))
    stranger = network.add("carol").endpoint._identity.public_key
    alice.endpoint.connect(bob.address, network.now, stranger if who == "expected" else None)
    network.run()
    (closed,) = alice.of(Closed)
    assert closed.code is Code.HANDSHAKE_FAILED
    assert closed.hint == ("network_mismatch" if who == "network" else "")
    assert not bob.events
    is_network = who == "network"
    assert bob.endpoint.stats.refusals_sent["network_mismatch"] == is_network
    assert alice.endpoint.stats.refusals_received["network_mismatch"] == is_network
    dropped = (bob if who == "network" else alice).endpoint.stats.packets_dropped
    assert dropped["network_mismatch" if who == "network" else "identity_mismatch"] == 1


def test_another_version_is_refused_with_a_hint(network: StreamNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    alice, bob = network.add("alice"), network.add("bob")
    handle = alice.endpoint.connect(bob.address, network.now)
    network.is_blocked = True
    monkeypatch.setattr("node.transport.stream_records.VERSION", 9)
    network.run()
    monkeypatch.undo()
    network.is_blocked = False
    network.run()
    (closed,) = alice.of(Closed)
    assert (closed.connection, closed.hint) == (handle, "version_mismatch")
    assert bob.endpoint.stats.packets_dropped["unsupported_version"] == 1
    assert bob.endpoint.stats.refusals_sent["version_mismatch"] == 1
    assert alice.endpoint.stats.refusals_received["version_mismatch"] == 1


def test_dialling_oneself_is_noticed(network: StreamNetwork) -> None:
    alice = network.add("alice")
    alice.endpoint.connect(alice.address, network.now)
    network.run()
    assert set(alice.codes()) == {Code.SELF_CONNECTION}
    assert not alice.of(Connected)
    assert not alice.endpoint.snapshots()


def test_another_process_with_our_key_is_noticed(network: StreamNetwork) -> None:
    alice, twin = network.add("alice"), network.add("twin", seed="alice")
    alice.endpoint.connect(twin.address, network.now)
    network.run()
    assert alice.codes() == [Code.DUPLICATE_IDENTITY]
    assert not twin.of(Connected)


# --- two connections of one peer


def test_of_two_dials_at_once_the_smaller_keys_stays_at_both_ends(network: StreamNetwork) -> None:
    alice, bob = network.add("alice"), network.add("bob")
    handles = {
        alice.endpoint._identity.public_key: alice.endpoint.connect(bob.address, network.now),
        bob.endpoint._identity.public_key: bob.endpoint.connect(alice.address, network.now),
    }
    network.run()
    smaller, larger = sorted((alice, bob), key=lambda host: host.endpoint._identity.public_key)
    for host in (alice, bob):
        (snapshot,) = host.endpoint.snapshots()
        assert snapshot.is_initiator == (host is smaller)
    kept = smaller.endpoint.connection_of(larger.endpoint._identity.public_key)
    assert kept == handles[smaller.endpoint._identity.public_key]


def test_callers_find_the_connection_that_stayed_by_the_address_they_dialled(network: StreamNetwork) -> None:
    alice, bob = network.add("alice"), network.add("bob")
    alice.endpoint.connect(bob.address, network.now)
    bob.endpoint.connect(alice.address, network.now)
    network.run()
    for host, other in ((alice, bob), (bob, alice)):
        handle = host.endpoint.connection_at(other.address)
        assert handle == host.endpoint.connection_of(other.endpoint._identity.public_key)
        assert handle is not None
        host.endpoint.send(handle, reliable(b"found"), network.now)
    network.run()
    assert alice.received() == bob.received() == [b"found"]


def test_of_two_dials_by_one_end_the_later_stays_at_both_ends(network: StreamNetwork) -> None:
    alice, bob = network.add("alice"), network.add("bob")
    alice.endpoint.connect(bob.address, network.now)
    later = alice.endpoint.connect(bob.address, network.now)
    network.run()
    assert [snapshot.connection for snapshot in alice.endpoint.snapshots()] == [later]
    assert len(bob.endpoint.snapshots()) == 1
    alice.endpoint.send(later, reliable(b"alive"), network.now)
    network.run()
    assert bob.received() == [b"alive"]


def test_messages_of_a_replaced_connection_fail_after_the_new_one_is_reported(network: StreamNetwork) -> None:
    alice, bob, first = connected(network)
    network.is_blocked = True
    alice.endpoint.send(first, reliable(b"on the old one"), network.now)
    second = alice.endpoint.connect(bob.address, network.now)
    network.run()
    network._waiting.pop(0)  # the old connection is dead without anybody knowing
    network.is_blocked = False
    network.run()
    kinds = [(type(event), event.connection) for event in alice.events]
    assert kinds[1:] == [(Connected, second), (MessageFailed, first), (Closed, first)]
    assert alice.codes() == [Code.REPLACED]


def test_a_peer_that_was_started_again_replaces_its_former_self(network: StreamNetwork) -> None:
    _alice, bob, _ = connected(network)
    former = bob.endpoint.snapshots()[0].connection
    reborn = network.add("alice", process="second")
    reborn.endpoint.connect(bob.address, network.now)
    network.run()
    assert [event.connection for event in bob.of(Closed)] == [former]
    assert bob.codes() == [Code.REPLACED]
    assert len(bob.endpoint.snapshots()) == 1


def test_a_peer_that_lost_the_connection_gets_through_with_a_new_one(network: StreamNetwork) -> None:
    alice, bob, _handle = connected(network)
    larger = max((alice, bob), key=lambda host: host.endpoint._identity.public_key)
    other = bob if larger is alice else alice
    network.advance(30)
    (stream,) = larger.ends
    larger.ends[stream][0].ends.clear()
    larger.ends.clear()
    for connection in list(larger.endpoint._streams.values()):
        larger.endpoint._on_stream_closed(connection, "reset by peer")
    again = larger.endpoint.connect(other.address, network.now)
    network.run()
    assert larger.endpoint.connection_of(other.endpoint._identity.public_key) == again


# --- limits and junk


def test_connections_are_bounded_on_both_sides(network: StreamNetwork) -> None:
    hub = network.add("hub", settings=TransportSettings(max_connections=2))
    for number in range(4):
        network.add(f"spoke{number}").endpoint.connect(hub.address, network.now)
        network.run()
    assert len(hub.endpoint.snapshots()) == 2
    assert hub.endpoint.stats.packets_dropped["rate_limited"] == 2
    with pytest.raises(UsageError, match="max_connections"):
        hub.endpoint.connect(("spoke3", 1), network.now)


@pytest.mark.must("M22")
def test_two_that_have_room_for_one_peer_find_each_other_though_their_dials_cross(network: StreamNetwork) -> None:
    alone = TransportSettings(max_connections=1)
    alice, bob = network.add("alice", settings=alone), network.add("bob", settings=alone)
    alice.endpoint.connect(bob.address, network.now)
    bob.endpoint.connect(alice.address, network.now)
    network.run()
    assert [len(host.endpoint.snapshots()) for host in (alice, bob)] == [1, 1]
    assert alice.endpoint.connection_of(bob.endpoint._identity.public_key) is not None


# --- silence


@pytest.mark.must("M67")
@pytest.mark.parametrize("who", [(True, False), (False, True), (True, True)])
def test_keep_alive_of_either_end_keeps_both(network: StreamNetwork, who: tuple[bool, bool]) -> None:
    settings = [TransportSettings(idle_timeout=10 * SECOND, keep_alive=3 * SECOND * asks) for asks in who]
    alice, bob = network.add("alice", settings=settings[0]), network.add("bob", settings=settings[1])
    alice.endpoint.connect(bob.address, network.now)
    network.run()
    written = len(network.written[alice.address])
    network.advance(60)
    assert alice.codes() == bob.codes() == []
    # 20 times in a minute, and 19 bytes or 27 each.
    assert 20 * 19 <= len(network.written[alice.address]) - written <= 21 * 2 * 27


@pytest.mark.must("M67")
def test_a_peer_that_does_not_answer_is_not_kept_alive(network: StreamNetwork) -> None:
    settings = TransportSettings(idle_timeout=10 * SECOND, keep_alive=3 * SECOND)
    alice, bob = network.add("alice", settings=settings), network.add("bob", settings=settings)
    alice.endpoint.connect(bob.address, network.now)
    network.run()
    network.is_blocked = True
    network.advance(11)
    assert alice.codes() == [Code.IDLE_TIMEOUT]


def test_one_address_may_begin_so_many_handshakes_per_second_and_no_more(network: StreamNetwork) -> None:
    bob = network.add("bob", settings=TransportSettings(handshake_rate_per_address=10, handshake_rate=15))
    for stream in range(20):
        bob.endpoint.receive(StreamOpened(stream, ("stranger", stream), is_initiator=False), network.now)
    assert len(bob.endpoint._half_open) == 10
    for stream in range(20, 40):
        bob.endpoint.receive(StreamOpened(stream, (f"stranger {stream}", 1), is_initiator=False), network.now)
    assert len(bob.endpoint._half_open) == 15
    assert bob.endpoint.stats.packets_dropped["rate_limited"] == 25


def test_who_is_turned_away_learns_why_and_both_ends_count_it(network: StreamNetwork) -> None:
    hub = network.add("hub", settings=TransportSettings(max_connections=1))
    spokes = [network.add(f"spoke{number}") for number in range(2)]
    for spoke in spokes:
        spoke.endpoint.connect(hub.address, network.now)
        network.run()
    (closed,) = spokes[1].of(Closed)
    assert closed.hint == "busy"
    assert hub.endpoint.stats.refusals_sent["busy"] == spokes[1].endpoint.stats.refusals_received["busy"] == 1


def test_unfinished_handshakes_of_strangers_are_bounded_and_forgotten(network: StreamNetwork) -> None:
    bob = network.add("bob")
    for stream in range(HALF_OPEN_MAX + 5):
        bob.endpoint.receive(StreamOpened(stream, (f"stranger {stream}", 1), is_initiator=False), network.now)
    assert len(bob.endpoint._half_open) == HALF_OPEN_MAX
    assert bob.endpoint.stats.refusals_sent["busy"] == 5
    network.advance(6)
    assert not bob.endpoint._half_open
    assert not bob.endpoint._streams
    assert not bob.events
    assert bob.endpoint.next_timeout() is None


@given(st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=8))
def test_any_bytes_of_a_stranger_end_quietly(chunks: list[bytes]) -> None:
    network = StreamNetwork()
    bob = network.add("bob")
    bob.endpoint.receive(StreamOpened(1, ("stranger", 1), is_initiator=False), network.now)
    for chunk in chunks:
        bob.endpoint.receive(StreamData(1, chunk), network.now)
    network.advance(6)
    assert not bob.events
    assert not bob.endpoint._streams


@given(st.binary(min_size=1, max_size=300), st.integers(0, 2))
def test_any_bytes_of_whoever_was_dialled_end_as_a_failed_handshake(junk: bytes, repeats: int) -> None:
    network = StreamNetwork()
    alice, bob = network.add("alice"), network.add("bob")
    network.is_blocked = True
    alice.endpoint.connect(bob.address, network.now)
    network.run()
    (stream,) = alice.ends
    for _ in range(repeats + 1):
        alice.endpoint.receive(StreamData(stream, junk), network.now)
    network.advance(11)
    assert alice.codes() in ([Code.HANDSHAKE_FAILED], [Code.HANDSHAKE_TIMEOUT])


def test_handles_differ_from_those_of_udp(network: StreamNetwork) -> None:
    _, _, handle = connected(network)
    assert handle >= STREAM_HANDLE_FIRST


def test_connections_with_much_to_write_take_turns(network: StreamNetwork) -> None:
    hub = network.add("hub")
    handles = [hub.endpoint.connect(network.add(f"spoke{number}").address, network.now) for number in range(2)]
    network.run()
    for handle in handles:
        hub.endpoint.send(handle, reliable(bytes(200_000)), network.now)
    streams = []
    while (output := hub.endpoint.poll_transmit(network.now)) is not None:
        assert isinstance(output, StreamWrite)
        streams.append(output.stream)
    assert streams[:4] == [handles[0], handles[1]] * 2


def test_counters_survive_their_connections(network: StreamNetwork) -> None:
    alice, bob, handle = connected(network)
    alice.endpoint.send(handle, reliable(b"counted"), network.now)
    network.run()
    before = alice.endpoint.stats
    alice.endpoint.shutdown(network.now)
    network.run()
    after = alice.endpoint.stats
    assert before.handshakes_completed == after.handshakes_completed == 1
    assert after.packets_sent == before.packets_sent + 1
    assert after.bytes_sent == len(network.written[alice.address])
    assert bob.endpoint.stats.bytes_received == after.bytes_sent


def test_a_stream_that_is_gone_is_ignored(network: StreamNetwork) -> None:
    alice, bob, handle = connected(network)
    (stream,) = alice.ends
    alice.endpoint.disconnect(handle, network.now)
    alice.endpoint.receive(StreamData(stream, b"late"), network.now)
    alice.endpoint.receive(StreamOpened(stream, bob.address, is_initiator=True), network.now)
    alice.endpoint.disconnect(handle, network.now)
    network.run()
    assert len(alice.of(Closed)) == 1


def test_shutdown_of_a_dial_under_way_closes_its_stream(network: StreamNetwork) -> None:
    endpoint: StreamEndpoint = network.add("alice").endpoint
    handle = endpoint.connect(("bob", 1), network.now)
    endpoint.poll_transmit(network.now)
    endpoint.shutdown(network.now)
    assert endpoint.poll_transmit(network.now) == StreamShutdown(handle)
