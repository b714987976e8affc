"""What one TCP connection does with messages and with damaged bytes, between two endpoints in virtual time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import Code
from node.transport.events import Closed, Connected, Delivery, MessageAcknowledged, MessageFailed, MessageReceived
from node.transport.packet import Message
from node.transport.stream import StreamData, StreamOpened, StreamWrite
from node.transport.stream_records import pack_ack, pack_length, pack_message
from node.types import SECOND
from node.wire.limits import HALF_OPEN_MAX, MESSAGE_BYTES_MAX, STREAM_ACK_DELAY, TAG_BYTES
from tests.transport.streams import StreamNetwork, connected, reliable


@pytest.fixture
def network() -> StreamNetwork:
    return StreamNetwork()


@pytest.mark.parametrize("size", [0, 1, 255, 256, 16_382, 16_383, 65_536, MESSAGE_BYTES_MAX])
def test_a_message_of_any_size_arrives_whole_and_is_acknowledged(network: StreamNetwork, size: int) -> None:
    alice, bob, handle = connected(network)
    data = bytes(index % 251 for index in range(size))
    message_id = alice.endpoint.send(handle, reliable(data), network.now)
    network.run()
    assert bob.received() == [data]
    assert alice.of(MessageAcknowledged) == [MessageAcknowledged(connection=handle, message_id=message_id)]


def test_messages_arrive_in_order_with_their_class(network: StreamNetwork) -> None:
    alice, bob, handle = connected(network)
    sent = [(bytes([number]) * (number * 997), Delivery(number % 3)) for number in range(40)]
    for data, delivery in sent:
        alice.endpoint.send(handle, Message(data[:16_000], delivery), network.now)
    network.run()
    assert [(event.data, event.delivery) for event in bob.of(MessageReceived)] == [(d[:16_000], k) for d, k in sent]


def test_nothing_of_a_message_travels_in_clear(network: StreamNetwork) -> None:
    alice, _bob, handle = connected(network)
    alice.endpoint.send(handle, reliable(b"a secret of some length"), network.now)
    network.run()
    assert b"secret" not in network.written[alice.address]
    assert bytes(alice.endpoint._identity.public_key) not in bytes(network.written[alice.address])


def test_no_acknowledgement_before_the_peer_has_the_message(network: StreamNetwork) -> None:
    alice, _bob, handle = connected(network)
    network.is_blocked = True
    alice.endpoint.send(handle, reliable(b"written, not received"), network.now)
    network.run()
    assert not alice.of(MessageAcknowledged)
    network.is_blocked = False
    network.run()
    assert alice.of(MessageAcknowledged)


def test_an_answer_travels_in_one_record_with_the_acknowledgement_of_its_question(network: StreamNetwork) -> None:
    alice, bob, handle = connected(network)
    alice.endpoint.send(handle, reliable(b"question"), network.now)
    question, answer = alice.endpoint.poll_transmit(network.now), bytes(100)
    assert isinstance(question, StreamWrite)
    bob.endpoint.receive(StreamData(1, question.data), network.now)
    received = bob.endpoint.poll_event()
    assert isinstance(received, MessageReceived)
    bob.endpoint.send(received.connection, reliable(answer), network.now)
    before = len(network.written[bob.address])
    network.run()
    assert alice.received() == [answer]
    assert alice.of(MessageAcknowledged)
    plaintext = len(pack_ack(1)) + len(pack_message(Delivery.RELIABLE, is_last=True, data=answer))
    assert len(network.written[bob.address]) - before == len(pack_length(plaintext)) + plaintext + TAG_BYTES


def test_while_both_ends_take_turns_acknowledgements_travel_with_messages_or_come_a_little_later(
    network: StreamNetwork,
) -> None:
    alice, bob, handle = connected(network)
    other = bob.of(Connected)[0].connection
    for _ in range(9):
        alice.endpoint.send(handle, reliable(b"question"), network.now)
        network.run()
        bob.endpoint.send(other, reliable(b"answer"), network.now)
        network.run()
    assert len(bob.of(MessageAcknowledged)) == 8
    network.advance(STREAM_ACK_DELAY / SECOND)
    assert len(bob.of(MessageAcknowledged)) == 9


def test_what_arrived_before_a_disconnect_is_acknowledged(network: StreamNetwork) -> None:
    alice, bob, handle = connected(network)
    alice.endpoint.send(handle, reliable(b"question"), network.now)
    while (output := alice.endpoint.poll_transmit(network.now)) is not None:
        assert isinstance(output, StreamWrite)
        bob.endpoint.receive(StreamData(1, output.data), network.now)
    bob.endpoint.shutdown(network.now)
    network.run()
    assert alice.of(MessageAcknowledged)
    assert not alice.of(MessageFailed)
    assert alice.codes() == [Code.SHUTDOWN]


@given(st.integers(0, 400), st.integers(1, 255))
def test_a_changed_byte_ends_the_connection_and_never_arrives(position: int, mask: int) -> None:
    network = StreamNetwork()
    alice, bob, handle = connected(network)
    network.is_blocked = True
    alice.endpoint.send(handle, reliable(bytes(400)), network.now)
    network.run()
    ((_, arrival),) = network._waiting
    assert isinstance(arrival, StreamData)
    damaged = bytearray(arrival.data)
    damaged[position] ^= mask
    network._waiting.clear()
    bob.endpoint.receive(StreamData(arrival.stream, bytes(damaged)), network.now)
    network.is_blocked = False
    network.advance(62)
    assert not bob.received()
    assert len(bob.of(Closed)) == 1


def test_a_byte_stream_that_repeats_an_old_record_is_cut(network: StreamNetwork) -> None:
    alice, bob, handle = connected(network)
    start = len(network.written[alice.address])
    alice.endpoint.send(handle, reliable(b"once"), network.now)
    network.run()
    bob.endpoint.receive(StreamData(1, bytes(network.written[alice.address][start:])), network.now)
    network.run()
    assert bob.received() == [b"once"]
    assert bob.codes() == [Code.FRAME_ENCODING]
    assert bob.endpoint.stats.packets_dropped["decrypt_failed"] == 1


def test_a_message_without_an_end_is_cut_at_the_limit(network: StreamNetwork) -> None:
    alice, bob, handle = connected(network)
    outbox = alice.endpoint._connections[handle].outbox
    outbox.push(0, reliable(bytes(MESSAGE_BYTES_MAX)))
    outbox._queue[0].data += b"and more"
    outbox._queue[0].size += 8
    alice.endpoint._mark_ready(alice.endpoint._connections[handle])
    network.run()
    assert not bob.received()
    assert bob.codes() == [Code.REASSEMBLY_LIMIT]


def test_an_acknowledgement_of_what_was_never_sent_is_a_violation(network: StreamNetwork) -> None:
    alice, bob, _handle = connected(network)
    connection = next(iter(bob.endpoint._connections.values()))
    connection._acks.messages, connection._acks.is_due = 7, True
    bob.endpoint._mark_ready(connection)
    network.run()
    assert alice.codes() == [Code.ACK_OF_UNSENT]
    assert bob.of(Closed)[0].by_peer


def test_a_key_is_not_used_beyond_its_limit(network: StreamNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    alice, _bob, handle = connected(network)
    monkeypatch.setattr("node.transport.stream_cipher.PACKET_NUMBER_MAX", 3)
    for _ in range(5):
        alice.endpoint.send(handle, reliable(b"x"), network.now)
        network.run()
        if alice.of(Closed):
            break
    assert alice.codes() == [Code.KEY_EXHAUSTED]


def test_what_is_sent_late_in_a_silence_does_not_fail_while_it_arrives(network: StreamNetwork) -> None:
    alice, bob, handle = connected(network)
    network.advance(59.9)
    message_id = alice.endpoint.send(handle, reliable(b"late"), network.now)
    alice.endpoint.handle_timeout(network.now + SECOND)
    network.run()
    assert bob.received() == [b"late"]
    assert [event.message_id for event in alice.of(MessageAcknowledged)] == [message_id]
    assert not alice.codes()
    alice.endpoint.send(handle, reliable(b"to nobody"), network.now)
    alice.endpoint.handle_timeout(network.now + 61 * SECOND)
    network.run()
    assert alice.codes() == [Code.IDLE_TIMEOUT]


@pytest.mark.must("M17")
def test_one_source_that_finishes_no_handshake_keeps_nobody_else_out(network: StreamNetwork) -> None:
    bob = network.add("bob")
    for stream in range(HALF_OPEN_MAX // 4 + 5):
        bob.endpoint.receive(StreamOpened(stream, ("10.6.6.6", 1_000 + stream), is_initiator=False), network.now)
    assert bob.endpoint.stats.refusals_sent["busy"] == 5
    alice = network.add("alice")
    alice.endpoint.connect(bob.address, network.now)
    network.run()
    assert alice.of(Connected)
    network.advance(6)
    bob.endpoint.receive(StreamOpened(999, ("10.6.6.6", 999), is_initiator=False), network.now)
    assert bob.endpoint.stats.refusals_sent["busy"] == 5, "those that are over are forgotten"
