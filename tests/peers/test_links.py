"""Which links a node wants."""

from __future__ import annotations

from random import Random
from typing import Any

from node.errors import Code
from node.messages.packing import pack
from node.messages.types import Carrier, MessageType
from node.peers.actions import Dial, Drop, Link
from node.peers.records import Record
from node.types import NodeId
from node.wire.limits import LINKS_ALL_MAX, LINKS_RANDOM
from tests.peers.test_peers import OWN, Desk, key


def people(count: int) -> list[NodeId]:
    random = Random(1)
    return [NodeId(random.randbytes(32)) for _ in range(count)]


def told_of(count: int, **changes: Any) -> tuple[Desk, list[NodeId]]:
    """A desk that was told of so many others by one peer."""
    desk, others = Desk(**changes), people(count)
    link = desk.greet(key("a"))
    for start in range(0, count, 100):
        rows: list[Any] = [
            Record(node_id, f"10.1.{number // 250}.{number % 250 + 1}", 8888, 0).fields()
            for number, node_id in enumerate(others[start : start + 100], start)
        ]
        desk.receive(link, key("a"), MessageType.PEER_ANNOUNCEMENT, rows)
    return desk, others


def accept_dials(desk: Desk, seconds: float) -> int:
    """Lets every dial succeed for so long; how many there were."""
    count = 0
    for _ in range(round(seconds / 0.1)):
        desk.run(0.1)
        dials = desk.take(Dial)
        for handle, dial in enumerate(dials, desk.next_handle - len(dials)):
            expected = dial.target.expected
            assert expected is not None
            count += 1
            link = desk.connected(expected, handle, is_initiator=True, address=dial.target.address)
            desk.receive(link, expected, MessageType.HANDSHAKE_ACK, 2, "peer", 8888, 0, "", 1, "test")
        for heard in desk.peers.table.active():
            desk.peers.heard(heard.node_id, desk.now)
    return count


def test_in_a_small_network_everybody_is_linked_with_everybody() -> None:
    desk, _ = told_of(LINKS_ALL_MAX - 1)
    accept_dials(desk, 1.5)
    assert len(desk.peers.table.active()) == LINKS_ALL_MAX


def test_in_a_large_network_links_are_few_whatever_its_size() -> None:
    desk, _ = told_of(900)
    accept_dials(desk, 1.5)
    assert len(desk.peers.table.active()) <= 1 + 8 + LINKS_RANDOM + 1
    assert set(desk.peers.links.neighbours) <= {peer.node_id for peer in desk.peers.table.active()}


def test_no_more_links_than_allowed_are_made() -> None:
    desk, _ = told_of(20, peers_max=5, outbound_max=5)
    accept_dials(desk, 1.5)
    assert len(desk.peers.table.active()) == 5


def test_whoever_is_too_many_is_sent_away_after_a_while_and_neighbours_stay() -> None:
    desk, others = told_of(100, peers_max=20)
    accept_dials(desk, 1.5)
    for number, node_id in enumerate(others[:40]):
        desk.greet(node_id, 5000 + number)
    desk.take(Drop)
    for _ in range(20):
        desk.run(0.25)
        for peer in desk.peers.table.active():
            desk.peers.heard(peer.node_id, desk.now)
    dropped = {drop.link: drop for drop in desk.take(Drop)}
    assert len(dropped) >= 15
    assert {drop.code for drop in dropped.values()} == {Code.CONNECTION_LIMIT}
    linked = {link: peer for peer in desk.peers.table.active() for link in peer.links}
    assert not {linked[link].node_id for link in dropped} & set(desk.peers.links.neighbours)


def test_the_few_that_showed_themselves_among_a_crowd_that_is_told_of_are_all_wanted() -> None:
    desk, others = told_of(300)
    for node_id in others[:20]:
        desk.peers.notice(MessageType.MEMBER, node_id, pack([7, "10.2.0.9", 8, 9, "shown"]), key("a"), desk.now)
    accept_dials(desk, 1.5)
    assert set(others[:20]) <= {peer.node_id for peer in desk.peers.table.active()}


def test_a_rush_of_newcomers_pushes_out_nobody_who_was_there() -> None:
    desk, others = told_of(100, peers_max=20)
    accept_dials(desk, 1.5)
    before = {peer.node_id for peer in desk.peers.table.active()}
    for turn in range(8):
        for number, node_id in enumerate(others[40 : 40 + 10 * turn]):
            desk.greet(node_id, 5000 + 100 * turn + number)
        desk.run(1)
        for peer in desk.peers.table.active():
            desk.peers.heard(peer.node_id, desk.now)
    linked = {link: peer.node_id for peer in desk.peers.table.active() for link in peer.links}
    assert not {linked[drop.link] for drop in desk.take(Drop) if drop.link in linked} & before


def test_a_node_that_has_no_room_is_not_picked_again_at_once() -> None:
    desk, _ = told_of(200)
    accept_dials(desk, 1.5)
    picked = next(iter(desk.peers.links._picked))
    peer = desk.peers.table.get(picked)
    assert peer is not None
    for link in list(peer.links):
        desk.closed(link, picked, Code.CONNECTION_LIMIT, by_peer=True)
    desk.run(2)
    assert picked not in desk.peers.links._picked
    assert len(desk.peers.links._picked) == LINKS_RANDOM


def keep_hearing(desk: Desk, seconds: float) -> None:
    for _ in range(round(seconds / 0.25)):
        desk.run(0.25)
        dials = [action for action in desk.actions if isinstance(action, Dial)]
        for handle in range(desk.next_handle - len(dials), desk.next_handle):
            desk.closed(Link(Carrier.UDP, handle), None)
        for drop in desk.take(Drop):
            peer = next((peer for peer in desk.peers.table.linked() if drop.link in peer.links), None)
            if peer is not None:
                desk.closed(drop.link, peer.node_id, drop.code, is_initiator=peer.links[drop.link].is_initiator)
        for peer in desk.peers.table.active():
            desk.peers.heard(peer.node_id, desk.now)


def directions(desk: Desk) -> tuple[int, int]:
    active = desk.peers.table.active()
    outbound = sum(peer.is_outbound for peer in active)
    return outbound, len(active) - outbound


def test_no_more_links_are_made_by_own_choice_than_outbound_max() -> None:
    desk, _ = told_of(20, peers_max=20, outbound_max=4)
    accept_dials(desk, 1.5)
    assert directions(desk)[0] == 4


def test_strangers_that_dial_in_cannot_take_the_room_of_links_that_this_node_chose() -> None:
    desk = Desk(peers_max=10, outbound_max=6, inbound_max=4)
    random = Random(7)
    for number in range(200):
        desk.greet(NodeId(random.randbytes(32)), 5000 + number)
    assert directions(desk)[1] == 4 * 4  # let in for a moment
    keep_hearing(desk, 4.0)
    assert directions(desk) == (0, 4)
    friends = people(9)
    rows: list[Any] = [
        Record(node_id, f"10.1.0.{number + 1}", 8888, 0).fields() for number, node_id in enumerate(friends)
    ]
    stranger = desk.peers.table.active()[0]
    desk.receive(next(iter(stranger.links)), stranger.node_id, MessageType.PEER_ANNOUNCEMENT, rows)
    accept_dials(desk, 1.5)
    assert directions(desk) == (6, 4)


def test_links_of_others_give_way_when_there_are_too_many_in_all() -> None:
    desk, _ = told_of(20, peers_max=8, outbound_max=6, inbound_max=7)
    for number, node_id in enumerate(people(40)[30:]):
        desk.greet(node_id, 5000 + number)
    accept_dials(desk, 1.5)
    keep_hearing(desk, 8.0)
    assert sum(directions(desk)) <= 8


def crowd(desk: Desk, count: int, first: int = 0) -> None:
    """Invented members that a peer brings notices of, each signed with its own key."""
    random = Random(f"crowd {first}")
    for number in range(first, first + count):
        host = f"10.{9 + number // 62500}.{number // 250 % 250}.{number % 250 + 1}"
        presence = pack([7, host, 8, 9, "invented"])
        desk.peers.notice(MessageType.MEMBER, NodeId(random.randbytes(32)), presence, key("a"), desk.now)


def vouch(desk: Desk, node_ids: list[NodeId]) -> None:
    """A peer tells that it is linked with these."""
    rows: list[Any] = [
        [*Record(node_id, f"10.1.0.{number + 1}", 8888, 0).fields(), 0, 4] for number, node_id in enumerate(node_ids)
    ]
    link = next(iter(desk.peers.table.active()[0].links))
    desk.receive(link, key("a"), MessageType.PEER_ANNOUNCEMENT, rows)


def refuse_dials(desk: Desk, seconds: float) -> int:
    """Lets every dial fail after a while; how many there were."""
    count = 0
    for _ in range(round(seconds / 0.5)):
        desk.run(0.5)
        dials = desk.take(Dial)
        for handle, dial in enumerate(dials, desk.next_handle - len(dials)):
            count += 1
            desk.closed(Link(dial.target.carrier, handle), None, Code.HANDSHAKE_TIMEOUT, address=dial.target.address)
        for heard in desk.peers.table.active():
            desk.peers.heard(heard.node_id, desk.now)
    return count


def test_a_crowd_of_invented_members_is_hardly_dialled() -> None:
    desk, met = Desk(), people(12)
    desk.greet(key("a"))
    for number, node_id in enumerate(met):
        desk.greet(node_id, 5000 + number, address=(f"10.3.0.{number + 1}", 8888))
    crowd(desk, 1000)
    first = refuse_dials(desk, 20)
    assert 8 <= first <= 40
    dials = 0
    for turn in range(1, 11):
        crowd(desk, 100, 1000 * turn)
        dials += refuse_dials(desk, 20)
    assert dials <= 20


def test_nodes_with_which_a_peer_is_linked_take_the_places_of_strangers_that_are_not_there() -> None:
    desk, others = told_of(300)
    refuse_dials(desk, 0.5)
    vouch(desk, others[:5])
    accept_dials(desk, 5)
    assert set(others[:5]) <= {peer.node_id for peer in desk.peers.table.active()}


def test_a_peer_that_says_it_is_linked_with_inventions_has_hardly_any_dialled() -> None:
    desk, others = told_of(300)
    for number, letter in enumerate("bcd", 10):
        desk.greet(key(letter), number)
    vouch(desk, others[:100])
    refuse_dials(desk, 30)
    assert refuse_dials(desk, 40) <= 12 + 40 / 4


def test_the_nearest_who_were_met_are_watched_among_a_crowd() -> None:
    desk, met = Desk(), people(12)
    desk.greet(key("a"))
    for number, node_id in enumerate(met):
        desk.greet(node_id, 5000 + number, address=(f"10.3.0.{number + 1}", 8888))
    crowd(desk, 1000)
    refuse_dials(desk, 20)
    nearest = set(desk.peers.members.met.neighbours(desk.peers._settings.own_id))
    assert len(nearest) >= 4
    assert nearest <= set(desk.peers.links.neighbours)


def test_the_few_who_were_met_all_watch_each_other_among_a_crowd() -> None:
    desk, met = Desk(), people(7)
    desk.greet(key("a"))
    for number, node_id in enumerate(met):
        desk.greet(node_id, 5000 + number, address=(f"10.3.0.{number + 1}", 8888))
    crowd(desk, 1000)
    refuse_dials(desk, 20)
    assert {key("a"), *met} <= set(desk.peers.links.neighbours)


def test_a_neighbour_that_cannot_be_reached_is_passed_over_for_the_next_and_asked_again() -> None:
    desk, _ = told_of(200)
    desk.run(0.1)
    first = dict(desk.peers.links.neighbours)
    dials = desk.take(Dial)
    gone = next(dial for dial in dials if dial.target.expected in first)
    handle = desk.next_handle - len(dials) + dials.index(gone)
    assert gone.target.expected is not None
    desk.closed(Link(gone.target.carrier, handle), None, Code.HANDSHAKE_TIMEOUT, address=gone.target.address)
    accept_dials(desk, 1.2)
    assert gone.target.expected not in desk.peers.links.neighbours
    assert len(desk.peers.links.neighbours) == len(first)
    accept_dials(desk, 5)
    assert gone.target.expected in {peer.node_id for peer in desk.peers.table.active()}
    assert gone.target.expected in desk.peers.links.neighbours


def test_strangers_that_are_there_are_linked_as_ever() -> None:
    desk, _ = told_of(900)
    assert accept_dials(desk, 3) <= 8 + LINKS_RANDOM + 2
    assert desk.peers.links.trials.doubts == 0
    assert list(desk.peers.links.neighbours) == desk.peers.members.rings.neighbours(desk.peers._settings.own_id)


def test_a_node_that_refused_is_left_alone_by_whoever_has_other_links() -> None:
    desk = Desk(peers_max=8)
    desk.greet(key("b"), 1)
    link = desk.greet(key("a"), 2)
    desk.run(1)
    desk.take(Dial)
    desk.closed(link, key("a"), Code.CONNECTION_LIMIT, by_peer=True)
    assert not desk.peers.links.is_desired(key("a"))
    keep_hearing(desk, 46)
    assert desk.peers.links.is_desired(key("a"))


def test_who_has_no_link_at_all_dials_whoever_refused_it() -> None:
    desk = Desk(peers_max=8)
    link = desk.greet(key("a"), 1)
    desk.closed(link, key("a"), Code.CONNECTION_LIMIT, by_peer=True)
    assert desk.peers.links.is_desired(key("a"))


def test_connections_without_an_introduction_yet_take_the_room_of_own_links() -> None:
    desk, others = told_of(20, peers_max=20, outbound_max=2)
    for number, node_id in enumerate(others[:2]):
        desk.connected(node_id, 900 + number, is_initiator=True)
    assert not desk.peers.links.is_desired(others[5])


def test_with_room_for_few_links_a_node_wants_those_ahead_on_the_rings_and_knows_those_behind_as_neighbours() -> None:
    desk, _ = told_of(40, peers_max=4)
    accept_dials(desk, 0.5)
    links, rings = desk.peers.links, desk.peers.members.rings
    around = rings.around(OWN, 1)
    assert list(links._picked) == [around[1][0], around[3][0]]
    assert list(links.neighbours) == [around[1][0], around[3][0], around[0][0], around[2][0]]
    assert not links.is_desired(around[5][0])


def test_links_of_its_own_that_are_too_many_are_given_up_before_those_of_others_that_have_room() -> None:
    desk, others = told_of(40, peers_max=6)  # three of either kind
    for number, node_id in enumerate(others[:5]):
        link = desk.connected(node_id, 900 + number, is_initiator=True)
        desk.receive(link, node_id, MessageType.HANDSHAKE_ACK, 2, "peer", 8888, 0, "", 1, "test")
    assert directions(desk) == (5, 1)
    keep_hearing(desk, 5)
    outbound, inbound = directions(desk)
    assert outbound <= 3
    assert inbound == 1
