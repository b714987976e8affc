"""Who gets a message, who is told of it, and when."""

from __future__ import annotations

from collections import deque
from random import Random

import pytest

from node.gossip.actions import Action, Send
from node.gossip.frames import Act
from node.gossip.lane import Lane, Rank
from node.gossip.mesh import Mesh, Wish
from node.gossip.settings import GossipSettings
from node.gossip.spread import UNSPREAD_BYTES_MAX, Spreader
from node.gossip.stats import GossipStats
from node.gossip.store import Retained, Store
from node.messages.frame import parse_frame
from node.types import SECOND, NodeId
from node.wire.limits import (
    HOPS_MAX,
    LANE_BYTES_MAX,
    LARGE_MESSAGE_BYTES,
    SERVES_MAX,
    SMALL_BODY_BYTES,
)

PEERS = [NodeId(bytes([number]) * 32) for number in range(1, 21)]
AUTHOR = NodeId(b"a" * 32)
ID = b"i" * 16


class Desk:
    """A spreader with twenty links in a network of a hundred nodes."""

    def __init__(self, *, population: int = 100) -> None:
        self.actions: deque[Action] = deque()
        self.mesh = Mesh(GossipSettings(network_id="net", epoch=1, wall_offset=0), random=Random(1))
        self.mesh.population = population
        self.store = Store(60 * SECOND, 1 << 30)
        self.spreader = Spreader(self.mesh, self.store, GossipStats(), self.actions, random=Random(1))
        for peer in PEERS:
            self.spreader.lanes[peer] = Lane(0, is_outbound=True)
            self.mesh.add(peer, 0, is_outbound=True)

    def message(self, size: int, *, hops: int = 1) -> Retained:
        message = Retained(bytes(size), bytes(64), AUTHOR, 1, 1, hops, 0)
        self.store.add(ID, message)
        return message

    def said(self) -> dict[Act, set[NodeId]]:
        """Whom anything was sent, by what it was."""
        said: dict[Act, set[NodeId]] = {}
        while self.actions:
            send = self.actions.popleft()
            assert isinstance(send, Send)
            act = parse_frame(send.data).fields[0]
            assert isinstance(act, int)
            said.setdefault(Act(act), set()).update(send.peers)
        return said


def test_an_author_pushes_a_small_body_to_the_mesh_and_to_as_many_others() -> None:
    desk = Desk()
    desk.spreader.publish(ID, desk.message(100, hops=0), 0)
    pushed = desk.said()[Act.MESSAGE]
    assert set(desk.mesh.members()) < pushed
    assert len(pushed) == 2 * len(desk.mesh)


def test_an_author_in_a_full_mesh_reaches_everybody_but_those_left_out() -> None:
    desk = Desk(population=5)
    desk.spreader.publish(ID, desk.message(100, hops=0), 0, exclude=PEERS[:3])
    assert desk.said() == {Act.MESSAGE: set(PEERS[3:])}


def test_a_relay_pushes_a_small_body_to_the_mesh_and_not_back() -> None:
    desk = Desk()
    via = desk.mesh.members()[0]
    desk.spreader.relay(ID, desk.message(SMALL_BODY_BYTES), [via], 0)
    assert desk.said() == {Act.MESSAGE: set(desk.mesh.members()) - {via}}


def test_a_larger_body_is_pushed_to_who_wants_it_and_the_others_are_told() -> None:
    desk = Desk()
    via, eager, *lazy = desk.mesh.members()
    for peer in lazy:
        desk.mesh.grafted(peer, Wish.NONE, 0)
    desk.spreader.relay(ID, desk.message(SMALL_BODY_BYTES + 1), [via], 0)
    # The eager one is asked for large bodies itself, so that it may be sending this one.
    assert desk.said() == {Act.MESSAGE: {eager}, Act.HAVE: {eager, *lazy}}


def test_who_may_be_sending_the_same_large_body_is_told_at_once_that_it_is_here() -> None:
    desk = Desk()
    via, eager, author, *lazy = desk.mesh.members()
    desk.mesh.grafted(eager, Wish.NONE, 0)
    message = desk.message(SMALL_BODY_BYTES + 1)
    message.origin = author
    asked = [peer for peer in desk.mesh.members() if Wish.EAGER in desk.mesh.wish(peer)]
    desk.spreader.relay(ID, message, [via, *lazy], 0)
    assert desk.said() == {Act.HAVE: {eager, author, *asked} - {via}}


@pytest.mark.parametrize(("loss", "copies"), [(0.05, 0), (0.2, 1)])
def test_where_much_is_lost_relays_help_the_author_of_a_large_body(loss: float, copies: int) -> None:
    desk = Desk(population=13)
    desk.spreader.loss = loss
    desk.spreader.relay(ID, desk.message(4000), PEERS[:1], 0)
    assert len(desk.said().get(Act.MESSAGE, ())) == copies


def test_a_copy_under_way_is_not_sent_again_on_request() -> None:
    desk = Desk()
    desk.message(4000)
    desk.spreader.serve(PEERS[0], [ID], 0)
    assert desk.said() == {Act.MESSAGE: {PEERS[0]}}
    desk.spreader.serve(PEERS[0], [ID], 0)
    assert desk.said() == {}
    desk.spreader.done(PEERS[0], [ID])
    desk.spreader.serve(PEERS[0], [ID], 0)
    assert desk.said() == {Act.MESSAGE: {PEERS[0]}}


def test_a_body_that_travels_over_tcp_is_told_of_only() -> None:
    desk = Desk()
    desk.spreader.relay(ID, desk.message(LARGE_MESSAGE_BYTES + 1), PEERS[-1:], 0)
    assert desk.said() == {Act.HAVE: set(desk.mesh.members())}


def test_a_message_at_the_hop_limit_goes_on_and_counts_no_further() -> None:
    desk = Desk()
    desk.spreader.relay(ID, desk.message(10, hops=HOPS_MAX), PEERS[-1:], 0)
    (sent,) = [action for action in desk.actions if isinstance(action, Send) and action.is_copy]
    assert parse_frame(sent.data).fields[1] == HOPS_MAX


def test_a_peer_that_told_of_a_message_is_not_told_of_it() -> None:
    desk = Desk(population=5)
    desk.spreader.relay(ID, desk.message(10), PEERS[:1], 0)
    pushed = desk.said()[Act.MESSAGE]
    teller = next(peer for peer in PEERS[1:] if peer not in pushed)
    desk.spreader.settle(teller, ID)
    desk.spreader.handle_timeout(SECOND)
    assert desk.said() == {Act.HAVE: set(PEERS[1:]) - pushed - {teller}}


def test_a_peer_that_is_gone_is_neither_served_nor_told() -> None:
    desk = Desk()
    desk.message(10)
    desk.spreader.serve(NodeId(b"x" * 32), [ID], 0)
    desk.spreader.failed(NodeId(b"x" * 32), [ID], 0)
    assert desk.said() == {}


def test_what_finds_no_room_is_not_counted_as_served() -> None:
    desk = Desk()
    lane = desk.spreader.lanes[PEERS[0]]
    while lane.offer(b"o" * 16, LANE_BYTES_MAX, Rank.RELAY, 0):
        pass
    message = desk.message(4000)
    for _ in range(2 * SERVES_MAX):
        desk.spreader.serve(PEERS[0], [ID], 0)
    assert (message.served, list(lane.owed)) == ({}, [ID])
    lane.due(10 * SECOND)
    for _ in range(2 * SERVES_MAX):
        desk.spreader.serve(PEERS[0], [ID], 100 * SECOND)
    assert message.served == {PEERS[0]: 1}
    assert (lane.owed, lane.size) == ({}, 0)


def test_large_bodies_that_nobody_has_yet_are_not_published_beyond_a_bound() -> None:
    desk = Desk()
    size = 1 << 17
    told: list[bytes] = []
    while desk.spreader.has_room(size):
        told.append(len(told).to_bytes(16, "big"))
        message = Retained(bytes(size), bytes(64), AUTHOR, 1, len(told), 0, 0)
        desk.store.add(told[-1], message)
        desk.spreader.publish(told[-1], message, 0)
    assert len(told) * size == UNSPREAD_BYTES_MAX
    assert desk.spreader.has_room(4000)
    desk.spreader.done(PEERS[0], told[:1])
    assert desk.spreader.has_room(size)
    assert not desk.spreader.has_room(size + 1)
    desk.spreader.settle(PEERS[1], told[1])
    assert desk.spreader.has_room(2 * size)


def test_who_has_no_peers_may_say_as_much_as_is_kept() -> None:
    desk = Desk()
    desk.spreader.lanes.clear()
    for number in range(100):
        desk.spreader.publish(number.to_bytes(16, "big"), desk.message(1 << 17, hops=0), 0)
        assert desk.spreader.has_room(1 << 17)
