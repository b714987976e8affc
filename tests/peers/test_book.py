"""The address book as plain data."""

from __future__ import annotations

from random import Random

import pytest

from node.errors import DecodeError
from node.messages.packing import Value, pack, unpack
from node.messages.types import Carrier
from node.peers.actions import Dial, Link
from node.peers.book import anchors_of, known_rows, parse_anchors, parse_known
from node.peers.hello import Hello
from node.peers.peers import Peers
from node.peers.records import Record
from node.peers.settings import PeersSettings
from node.peers.table import LinkState, Peer, PeerState, PeerTable
from node.types import SECOND, Instant, NodeId
from node.wire.limits import ANCHORS_ALONE, ANCHORS_MAX, DEAD_MEMORY, GONE_KEPT, TRIED_PER_BUCKET, TRIED_REACH

WALL = 1_700_000_000 * SECOND
OWN = NodeId(b"o" * 32)


def key(number: int) -> NodeId:
    return NodeId(number.to_bytes(32, "big"))


def met(table: PeerTable, number: int, *, heard_at: Instant = 0) -> Peer:
    peer = table.add(key(number))
    assert peer is not None
    peer.is_met, peer.name, peer.heard_at = True, f"node-{number}", heard_at
    peer.record = Record(peer.node_id, f"10.0.0.{number}", 8888, 8889)
    return peer


def active(table: PeerTable, number: int, since: Instant, *, is_initiator: bool) -> Peer:
    peer = met(table, number)
    peer.state, peer.connected_at = PeerState.UP, since
    peer.links[Link(Carrier.UDP, number)] = LinkState(("10.0.0.1", 1), is_initiator, since)
    table.touch(peer)
    return peer


def make_peers() -> Peers:
    hello = Hello(name="own", udp_port=8888, tcp_port=8889, host="", epoch=1, agent="test")
    settings = PeersSettings(
        own_id=OWN,
        network_id="net",
        hello=hello,
        enable_udp=True,
        enable_tcp=True,
        bootstrap=(),
        heartbeat_interval=SECOND,
        peers_max=128,
    )
    return Peers(settings, random=Random(1))


def test_only_who_was_met_is_written_down() -> None:
    table = PeerTable()
    met(table, 1, heard_at=5)
    hearsay = met(table, 2)
    hearsay.is_met = False
    (row,) = known_rows(table, WALL)
    assert parse_known(unpack(pack(row))) == (Record(key(1), "10.0.0.1", 8888, 8889), "node-1", WALL + 5)


def test_anchors_are_the_oldest_peers_that_this_node_chose_itself() -> None:
    table = PeerTable()
    for number in range(1, 9):
        active(table, number, since=100 - number, is_initiator=number % 2 == 0)
    assert anchors_of(table) == [key(8), key(6), key(4)]
    assert len(anchors_of(table)) == ANCHORS_MAX


@pytest.mark.parametrize(
    "row", [None, [], [[], "name", 1], [[b"k" * 32, "10.0.0.1", 1, 1], 7, 1], [[b"k" * 32, "0.0.0.0", 1, 1], "name", 1]]
)
def test_a_row_of_another_shape_is_refused(row: Value) -> None:
    with pytest.raises(DecodeError):
        parse_known(row)


@pytest.mark.parametrize("row", [None, 1, [b"short"], ["text"]])
def test_anchors_of_another_shape_are_refused(row: Value) -> None:
    with pytest.raises(DecodeError):
        parse_anchors(row)


def dials(peers: Peers, now: Instant) -> list[NodeId | None]:
    peers.handle_timeout(now)
    found = []
    while (action := peers.poll_action()) is not None:
        if isinstance(action, Dial):
            found.append(action.target.expected)
    return found


def test_anchors_are_dialled_first_and_the_others_soon() -> None:
    table, peers = PeerTable(), make_peers()
    for number in (1, 2, 3):
        met(table, number)
    assert peers.book.restore(known_rows(table, WALL), [key(2)], 0, WALL) == 0
    peers.start(0)
    assert dials(peers, ANCHORS_ALONE - 1) == [key(2)]
    assert sorted(filter(None, dials(peers, 2 * ANCHORS_ALONE))) == [key(1), key(3)]


def test_who_was_not_heard_for_a_day_is_forgotten_and_useless_rows_are_counted() -> None:
    table, peers = PeerTable(), make_peers()
    met(table, 1)
    for number in range(2, 2 + GONE_KEPT + 5):
        met(table, number, heard_at=100 * SECOND)
    rows: list[Value] = [*known_rows(table, WALL), [1, 2]]
    assert peers.book.restore(rows, "nobody", 0, WALL + DEAD_MEMORY + SECOND) == 2
    assert [peer.node_id for peer in peers.table] == [key(number) for number in range(2, 2 + GONE_KEPT + 5)]


def test_the_last_who_were_heard_are_remembered_however_long_ago_that_was() -> None:
    table, peers = PeerTable(), make_peers()
    for number in range(1, 1 + GONE_KEPT + 5):
        met(table, number, heard_at=number * SECOND)
    peers.book.restore(known_rows(table, WALL), [], 0, WALL + 30 * DEAD_MEMORY)
    assert [peer.node_id for peer in peers.table] == [key(number) for number in range(6, 1 + GONE_KEPT + 5)]


def test_what_was_restored_is_kept_for_the_next_life_too() -> None:
    table, peers = PeerTable(), make_peers()
    met(table, 1, heard_at=7)
    rows = known_rows(table, WALL)
    peers.book.restore(rows, [], 0, WALL + SECOND)
    assert peers.book.snapshot(WALL + SECOND)["known"] == rows


def meet(peers: Peers, number: int, host: str, now: Instant) -> None:
    """A node introduced itself over a connection with that host, and went."""
    peer = met(peers.table, number, heard_at=now)
    peer.record = Record(peer.node_id, host, 8888, 8889)
    peers.book.met(peer, host, now)


def test_many_keys_of_few_groups_displace_nobody_in_the_book() -> None:
    peers, now = make_peers(), SECOND
    peers.start(0)
    for number in range(1, 41):
        meet(peers, number, f"{10 + number}.1.0.1", now)
    for number in range(1000, 3500):
        now += SECOND // 4
        meet(peers, number, f"6.{number % 2}.{number >> 8}.{number & 255}", now)
        for dialled in dials(peers, now):
            if dialled is not None and dialled < key(1000) and (honest := peers.table.get(dialled)) is not None:
                honest.heard_at = now
    known = [parse_known(row)[0] for row in peers.book.snapshot(WALL)["known"]]
    hosts = [record.host for record in known]
    assert sum(not host.startswith("6.") for host in hosts) == 40
    assert len(hosts) - 40 <= 2 * TRIED_REACH * TRIED_PER_BUCKET


def test_whoever_would_lose_its_place_is_dialled_first() -> None:
    peers = make_peers()
    peers.start(0)
    for number in range(1, TRIED_PER_BUCKET + 1):
        meet(peers, number, "6.6.6.6", number)
    assert dials(peers, SECOND) == []
    meet(peers, 999, "6.6.6.6", 2 * SECOND)
    assert dials(peers, 2 * SECOND) + dials(peers, 3 * SECOND) == [key(1)]


def test_no_group_is_dialled_before_all_others_after_a_restart() -> None:
    peers = make_peers()
    hosts = [*(f"6.6.0.{number}" for number in range(1, 30)), "7.7.0.1", "8.8.0.1"]
    rows: list[Value] = [
        [Record(key(number), host, 8888, 8889).fields(), "", WALL] for number, host in enumerate(hosts, start=1)
    ]
    peers.book.restore(rows, [], 0, WALL)
    assert [peer.record.host[0] for peer in peers.table if peer.record is not None][:3] == ["6", "7", "8"]


def test_anchors_are_of_different_groups_where_there_are_some() -> None:
    table = PeerTable()
    for number in range(1, 6):
        peer = active(table, number, since=number, is_initiator=True)
        group = 1 if number < 4 else number
        peer.record = Record(peer.node_id, f"10.{group}.0.{number}", 8888, 8889)
    assert anchors_of(table) == [key(1), key(4), key(5)]
