"""The table of known nodes: the index by address, and who is forgotten."""

from __future__ import annotations

from node.messages.types import Carrier
from node.peers.actions import Link
from node.peers.records import Record
from node.peers.table import LinkState, Peer, PeerState, PeerTable
from node.types import Address, NodeId
from node.wire.limits import ADDRESSES_PER_PEER_MAX, PEERS_KNOWN_MAX


def key(number: int) -> NodeId:
    return NodeId(number.to_bytes(32, "big"))


def add(table: PeerTable, number: int, *, udp: int = 8888, tcp: int = 8889, host: str = "127.0.0.1") -> Peer:
    peer = table.add(key(number))
    assert peer is not None
    peer.record = Record(peer.node_id, host, udp, tcp)
    table.touch(peer)
    return peer


def test_udp_addresses_win_over_tcp_addresses_of_others() -> None:
    # On one host the TCP port of one node is often the UDP port of the next.
    table = PeerTable()
    add(table, 1, udp=9000, tcp=9001)
    second = add(table, 2, udp=9001, tcp=9002)
    assert table.at(("127.0.0.1", 9001)) is second
    assert table.at(("127.0.0.1", 9002)) is second
    assert table.at(("127.0.0.1", 9003)) is None


def test_an_active_peer_wins_over_one_that_had_the_address_before() -> None:
    table = PeerTable()
    add(table, 1)
    second = add(table, 2)
    second.state = PeerState.UP
    table.touch(second)
    assert table.at(("127.0.0.1", 8888)) is second


def test_aliases_and_connections_lead_to_a_peer_too() -> None:
    table = PeerTable()
    peer = add(table, 1, host="10.0.0.1")
    peer.add_alias(("192.0.2.1", 7))
    peer.links[Link(Carrier.TCP, 1)] = LinkState(("10.0.0.1", 50000), False, 0)
    table.touch(peer)
    assert table.at(("192.0.2.1", 7)) is peer
    assert table.at(("10.0.0.1", 50000)) is peer


def test_a_peer_keeps_its_latest_aliases() -> None:
    peer = Peer(key(1))
    addresses: list[Address] = [("10.0.0.1", port) for port in range(ADDRESSES_PER_PEER_MAX + 1)]
    for address in addresses:
        peer.add_alias(address)
    peer.add_alias(addresses[1])
    assert list(peer.aliases) == [*addresses[2:], addresses[1]]


def test_the_address_of_a_peer_is_the_one_to_dial() -> None:
    peer = Peer(key(1))
    assert peer.address == ("", 0)
    peer.links[Link(Carrier.UDP, 1)] = LinkState(("10.0.0.1", 40000), False, 0)
    assert peer.address == ("10.0.0.1", 40000)
    peer.record = Record(key(1), "10.0.0.9", 0, 8889)
    assert peer.address == ("10.0.0.9", 8889)


def test_the_newest_link_of_a_carrier_is_used() -> None:
    peer = Peer(key(1))
    for connection in (1, 2):
        peer.links[Link(Carrier.UDP, connection)] = LinkState(("10.0.0.1", 1), False, 0)
    assert peer.link(Carrier.UDP) == Link(Carrier.UDP, 2)
    assert peer.link(Carrier.TCP) is None


def test_a_full_table_forgets_strangers_first_and_connected_peers_never() -> None:
    table = PeerTable()
    for number in range(PEERS_KNOWN_MAX):
        peer = table.add(key(number))
        assert peer is not None
        peer.is_met = number != 7
        peer.down_at = 100 - number if number < 50 else 1000
        if number >= 10:
            peer.links[Link(Carrier.UDP, number)] = LinkState(("10.0.0.1", 1), False, 0)
    gone = []
    for number in range(PEERS_KNOWN_MAX, PEERS_KNOWN_MAX + 10):
        before = [peer.node_id for peer in table]
        added = table.add(key(number))
        assert added is not None
        added.links[Link(Carrier.UDP, number)] = LinkState(("10.0.0.1", 1), False, 0)
        gone += [node_id for node_id in before if table.get(node_id) is None]
    assert gone == [key(number) for number in (7, 9, 8, 6, 5, 4, 3, 2, 1, 0)]
    assert table.add(key(9999)) is None
    assert len(table) == PEERS_KNOWN_MAX
