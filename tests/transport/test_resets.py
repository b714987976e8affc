"""Stateless resets: a peer that was started again is noticed at once, and nobody else can end a connection."""

from __future__ import annotations

import pytest

from node.errors import Code
from node.identity.keys import Identity
from node.impairment.link import LinkSettings
from node.transport.events import Closed, Connected
from node.transport.packet import Datagram
from node.transport.resets import Resets
from node.types import MILLISECOND, SECOND, Address, ConnectionId
from node.wire.handshake import RESET_BYTES, pack_reset, parse_reset
from node.wire.header import Header, PacketType, pack_header, parse_header
from node.wire.limits import RESETS_PER_SECOND_MAX
from tests.pair import CLIENT, SERVER, Pair, make_side

HERE: Address = ("192.0.2.1", 9000)
IDENTITY = Identity(b"i" * 32)


def data_packet(size: int = 100, destination: int = 7) -> tuple[Header, Datagram]:
    data = pack_header(PacketType.DATA, destination, 5).ljust(size, b"x")
    return parse_header(data), Datagram(HERE, data)


# --- the whole


@pytest.mark.must("M30")
def test_a_restarted_peer_is_noticed_within_one_round_trip() -> None:
    pair = Pair()
    pair.connect()
    pair.run(1)
    pair.restart_server()
    begin = pair.world.now
    pair.client.send(b"are you there?")
    assert pair.run_until(lambda: bool(pair.client.of(Closed)), 5)
    assert pair.world.now - begin == 2 * 10 * MILLISECOND
    closed = pair.client.closed()
    assert closed is not None
    assert (closed.code, closed.by_peer) == (Code.PEER_RESTARTED, False)
    assert pair.server.endpoint.stats.resets_sent == pair.client.endpoint.stats.resets_received == 1
    assert pair.client.endpoint.snapshots() == []


@pytest.mark.must("M30")
def test_a_peer_that_is_started_again_in_the_middle_of_a_handshake_is_noticed_as_soon() -> None:
    pair = Pair()
    pair.client.connect(SERVER)
    pair.run(0.015)
    pair.restart_server()
    pair.run(0.026)
    assert [event.code for event in pair.client.of(Closed)] == [Code.PEER_RESTARTED]


def test_a_restarted_dialler_is_noticed_just_the_same() -> None:
    pair = Pair()
    pair.connect()
    pair.run(1)
    make_side(pair.world, CLIENT, pair.client_settings, seed="client again", identity=1)
    pair.server.send(b"are you there?")
    pair.run(0.021)
    assert [event.code for event in pair.server.of(Closed)] == [Code.PEER_RESTARTED]


def test_another_node_at_the_same_address_resets_nothing() -> None:
    pair = Pair()
    pair.connect()
    pair.run(1)
    other = make_side(pair.world, SERVER, pair.server_settings, seed="other", identity=3)
    pair.client.send(b"are you there?")
    pair.run(0.5)
    assert other.endpoint.stats.resets_sent >= 1
    assert pair.client.endpoint.stats.packets_dropped["unexpected"] >= 1
    assert pair.client.closed() is None


@pytest.mark.must("M32")
def test_a_connection_goes_on_while_resets_are_forged() -> None:
    pair = Pair()
    pair.connect()
    connection = pair.client.connection
    token = connection.reset_token
    for bit in range(8 * len(token)):
        forged = bytearray(token)
        forged[bit // 8] ^= 1 << bit % 8
        pair.world.inject(SERVER, CLIENT, pack_reset(connection.origin.local_id, bytes(forged)))
    pair.run(1)
    assert pair.client.closed() is None
    assert pair.client.endpoint.stats.packets_dropped["unexpected"] == 8 * len(token)


def test_no_connection_that_lives_is_reset_by_asking_for_it() -> None:
    pair = Pair()
    pair.connect()
    stranger: Address = ("10.6.6.6", 666)
    destination = pair.server.connection.origin.local_id
    for source in (stranger, CLIENT):
        pair.world.inject(source, SERVER, pack_header(PacketType.DATA, destination, 99) + bytes(100))
    pair.run(1)
    assert pair.server.endpoint.stats.resets_sent == 0
    assert pair.client.closed() is None


@pytest.mark.must("M31")
def test_resets_do_not_answer_each_other() -> None:
    pair = Pair()
    pair.world.inject(CLIENT, SERVER, pack_reset(ConnectionId(7), bytes(16)))
    pair.world.inject(CLIENT, SERVER, pack_header(PacketType.DATA, 7, 0) + bytes(100))
    pair.run(1)
    assert pair.world.link(SERVER, CLIENT).stats.offered == 1
    assert pair.world.link(CLIENT, SERVER).stats.offered == 2


def test_both_ends_restarted_at_once_find_each_other_again() -> None:
    pair = Pair(link=LinkSettings(delay=10 * MILLISECOND, loss=0.1))
    pair.connect()
    pair.run(1)
    pair.restart_server()
    pair.client = make_side(pair.world, CLIENT, pair.client_settings, seed="client again", identity=1)
    pair.connect()
    assert pair.server.of(Connected)


# --- the parts


def test_a_token_is_the_same_in_every_process_of_a_node_and_no_other() -> None:
    token = Resets(IDENTITY, "net").token(ConnectionId(7), HERE)
    assert token == Resets(Identity(b"i" * 32), "net").token(ConnectionId(7), HERE)
    others = [
        Resets(Identity(b"j" * 32), "net").token(ConnectionId(7), HERE),
        Resets(IDENTITY, "other").token(ConnectionId(7), HERE),
        Resets(IDENTITY, "net").token(ConnectionId(8), HERE),
        Resets(IDENTITY, "net").token(ConnectionId(7), (HERE[0], 9001)),
        Resets(IDENTITY, "net").token(ConnectionId(7), ("192.0.2.2", 9000)),
    ]
    assert len({token, *others}) == 6


@pytest.mark.must("M31")
def test_a_reset_is_smaller_than_what_it_answers() -> None:
    resets = Resets(IDENTITY, "net")
    for size in range(16, 40):
        answer = resets.answer(*data_packet(size), 0)
        assert (answer is not None) == (size > RESET_BYTES)
        assert answer is None or len(answer) < size


@pytest.mark.must("M14")
def test_only_what_a_connected_end_sends_is_answered() -> None:
    resets = Resets(IDENTITY, "net")
    for kind in set(PacketType) - {PacketType.DATA, PacketType.CONFIRM}:
        data = pack_header(kind, 7, 0) + bytes(100)
        assert resets.answer(parse_header(data), Datagram(HERE, data), 0) is None


@pytest.mark.must("M31")
def test_resets_are_few_per_second() -> None:
    resets = Resets(IDENTITY, "net")
    answers = [resets.answer(*data_packet(), 0) for _ in range(1_000)]
    assert sum(answer is not None for answer in answers) == RESETS_PER_SECOND_MAX
    assert resets.answer(*data_packet(), SECOND) is not None


def test_the_answer_names_the_connection_and_carries_its_token() -> None:
    resets = Resets(IDENTITY, "net")
    answer = resets.answer(*data_packet(), 0)
    assert answer is not None
    assert parse_header(answer).destination == 7
    assert parse_reset(answer) == resets.token(ConnectionId(7), HERE)
