"""The peer service by itself: introductions, exchange, dialling, with connections made by hand."""

from __future__ import annotations

from random import Random
from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import Code
from node.messages.frame import encode_frame
from node.messages.types import Carrier, MessageType
from node.peers.actions import Action, Dial, Down, Drop, Link, Publish, Report, Say, Up
from node.peers.hello import Hello
from node.peers.members import MemberState
from node.peers.notices import Accused, accusation, parse_presence
from node.peers.peers import Peers
from node.peers.records import Record
from node.peers.settings import PeersSettings
from node.peers.table import PeerState
from node.transport.events import Closed, Connected
from node.types import SECOND, Address, Instant, NodeId
from node.wire.limits import (
    HEARSAY_PER_BUCKET,
    HEARSAY_REACH,
    HELLO_TIMEOUT,
    ROWS_PER_MESSAGE_MAX,
    SUCCESSOR_TIME,
    VIOLATIONS_MAX,
)

OWN = NodeId(b"m" * 32)
ADDRESS = ("10.0.0.1", 8888)

_Action = TypeVar("_Action", bound=Action)


def key(letter: str) -> NodeId:
    return NodeId(letter.encode() * 32)


def hello(name: str, *, host: str = "", epoch: int = 1) -> list[Any]:
    return Hello(name=name, udp_port=8888, tcp_port=8889, host=host, epoch=epoch, agent="test").fields()


class Desk:
    """One service, the connections that were made for it, and everything it wanted."""

    def __init__(self, *bootstrap: Address, **changes: Any) -> None:
        settings = {
            "own_id": OWN,
            "network_id": "net",
            "hello": Hello(name="own", udp_port=1, tcp_port=2, host="", epoch=1, agent="test"),
            "enable_udp": True,
            "enable_tcp": True,
            "bootstrap": bootstrap,
            "heartbeat_interval": SECOND,
            "peers_max": 128,
            **changes,
        }
        self.now: Instant = 0
        self.peers = Peers(PeersSettings(**settings), random=Random(1))
        self.actions: list[Action] = []
        self.next_handle = 1
        self.peers.start(0)
        self.drain()

    def drain(self) -> None:
        while (action := self.peers.poll_action()) is not None:
            self.actions.append(action)
            if isinstance(action, Dial):
                self.peers.dialling(action.target, self.next_handle)
                self.next_handle += 1

    def take(self, kind: type[_Action]) -> list[_Action]:
        """Wishes of one kind since the last call of `take` for anything."""
        taken, self.actions = self.actions, []
        return [action for action in taken if isinstance(action, kind)]

    def run(self, seconds: float) -> None:
        end = self.now + round(seconds * SECOND)
        while (due := self.peers.next_timeout()) is not None and due <= end:
            self.now = max(due, self.now)
            self.peers.handle_timeout(self.now)
            self.drain()
        self.now = end

    def connected(
        self, peer: NodeId, handle: int = 1, *, is_initiator: bool = False, address: Address = ADDRESS
    ) -> Link:
        link = Link(Carrier.UDP, handle)
        event = Connected(connection=handle, peer_id=peer, address=address, is_initiator=is_initiator)
        self.peers.connected(link, event, self.now)
        self.drain()
        return link

    def closed(self, link: Link, peer: NodeId | None, code: Code = Code.IDLE_TIMEOUT, **facts: Any) -> None:
        event = Closed(
            **{
                "connection": link.connection,
                "peer_id": peer,
                "address": ADDRESS,
                "code": code,
                "reason": "",
                "by_peer": False,
                "is_initiator": True,
                **facts,
            }
        )
        self.peers.closed(link, event, self.now)
        self.drain()

    def receive(self, link: Link, peer: NodeId, kind: MessageType, *fields: Any) -> None:
        self.peers.receive(link, peer, kind, list(fields), self.now)
        self.drain()

    def greet(self, peer: NodeId, handle: int = 1, *, address: Address = ADDRESS, **facts: Any) -> Link:
        """A peer that dialled this node and introduced itself."""
        link = self.connected(peer, handle, address=address)
        self.receive(link, peer, MessageType.HANDSHAKE, *hello("peer", **facts))
        return link

    def said(self, kind: MessageType) -> list[Say]:
        return [say for say in self.take(Say) if say.kind is kind]


# --- introductions --------------------------------------------------------------------------------------------------


def test_the_node_that_dialled_introduces_itself_first() -> None:
    desk = Desk()
    link = desk.connected(key("a"), is_initiator=True)
    (say,) = desk.take(Say)
    assert (say.kind, say.link) == (MessageType.HANDSHAKE, link)
    desk.receive(link, key("a"), MessageType.HANDSHAKE_ACK, *hello("peer"))
    (up,) = desk.take(Up)
    assert (up.name, up.address, up.aliases) == ("peer", ("10.0.0.1", 8888), (ADDRESS,))


def test_the_node_that_was_dialled_answers() -> None:
    desk = Desk()
    link = desk.connected(key("a"), address=("10.0.0.7", 40000))
    assert desk.take(Say) == []
    desk.receive(link, key("a"), MessageType.HANDSHAKE, *hello("peer"))
    (answer, question) = desk.take(Say)
    assert (answer.kind, answer.link) == (MessageType.HANDSHAKE_ACK, link)
    assert question.kind is MessageType.PEER_DISCOVERY


def test_a_peer_is_not_active_before_it_introduced_itself() -> None:
    desk = Desk()
    desk.connected(key("a"))
    assert desk.take(Up) == []
    peer = desk.peers.table.get(key("a"))
    assert peer is not None
    assert peer.state is PeerState.CONNECTING


def test_the_advertised_host_wins_over_the_one_that_is_seen() -> None:
    desk = Desk()
    desk.greet(key("a"), host="192.0.2.9")
    assert desk.take(Up)[0].address == ("192.0.2.9", 8888)


def test_a_connection_without_an_introduction_is_dropped() -> None:
    desk = Desk()
    link = desk.connected(key("a"))
    desk.run(HELLO_TIMEOUT / SECOND + 1)
    drops = desk.take(Drop)
    assert drops
    assert (drops[0].link, drops[0].reason) == (link, "no introduction")


@pytest.mark.parametrize("kind", [MessageType.HANDSHAKE_ACK, MessageType.TRUST_UPDATE])
def test_a_frame_that_nobody_waits_for_is_counted_without_blame(kind: MessageType) -> None:
    desk = Desk()
    link = desk.connected(key("a"))
    desk.receive(link, key("a"), kind, *hello("peer"))
    assert desk.peers.stats.rejected["unexpected"] == 1
    peer = desk.peers.table.get(key("a"))
    assert peer is not None
    assert peer.violations == 0


def test_a_second_introduction_over_one_connection_is_unexpected() -> None:
    desk = Desk()
    link = desk.greet(key("a"))
    desk.receive(link, key("a"), MessageType.HANDSHAKE, *hello("other-name"))
    assert desk.peers.stats.rejected["unexpected"] == 1
    assert desk.take(Up)[0].name == "peer"


def test_too_many_malformed_frames_end_every_connection_of_the_peer() -> None:
    desk = Desk()
    link = desk.greet(key("a"))
    for _ in range(VIOLATIONS_MAX + 3):
        desk.receive(link, key("a"), MessageType.HEARTBEAT, "?")
    assert [drop.link for drop in desk.actions if isinstance(drop, Drop)] == [link]
    assert [report.kind for report in desk.take(Report)] == ["misbehaving_peer"]


# --- rise and fall --------------------------------------------------------------------------------------------------


def test_a_peer_goes_down_with_its_last_connection() -> None:
    desk = Desk()
    first = desk.greet(key("a"), 1)
    second = desk.connected(key("a"), 2)
    desk.closed(first, key("a"))
    assert desk.take(Down) == []
    desk.closed(second, key("a"), Code.RETRIES_EXHAUSTED)
    assert [down.reason for down in desk.take(Down)] == ["retries_exhausted"]


def test_a_peer_that_took_leave_has_left() -> None:
    desk = Desk()
    link = desk.greet(key("a"))
    desk.receive(link, key("a"), MessageType.DISCONNECT)
    assert [drop.link for drop in desk.take(Drop)] == [link]
    desk.closed(link, key("a"), Code.OK)
    assert [down.reason for down in desk.take(Down)] == ["left"]


def test_a_peer_whose_connection_was_replaced_stays_active_for_its_successor() -> None:
    desk = Desk()
    link = desk.greet(key("a"), 1)
    desk.closed(link, key("a"), Code.REPLACED, by_peer=True)
    desk.run(1)
    desk.greet(key("a"), 2)
    desk.run(5)
    downs = [action for action in desk.actions if isinstance(action, Down)]
    assert downs == []
    assert len(desk.take(Up)) == 1


def test_the_connections_of_an_earlier_process_are_dropped() -> None:
    desk = Desk()
    old = desk.greet(key("a"), 1, epoch=1)
    same = desk.greet(key("a"), 2, epoch=1)
    desk.greet(key("a"), 3, epoch=2)
    assert [drop.link for drop in desk.take(Drop)] == [old, same]


def test_a_successor_that_does_not_come_is_not_awaited_for_long() -> None:
    desk = Desk()
    link = desk.greet(key("a"), 1)
    desk.closed(link, key("a"), Code.REPLACED, by_peer=True)
    desk.run(SUCCESSOR_TIME / SECOND + 0.5)
    assert [down.reason for down in desk.take(Down)] == ["replaced"]


def test_a_peer_that_was_started_again_stays_active_until_it_is_met_again() -> None:
    desk = Desk()
    link = desk.greet(key("a"), 1)
    desk.closed(link, key("a"), Code.PEER_RESTARTED)
    desk.run(1)
    desk.greet(key("a"), 2, epoch=2)
    desk.run(5)
    assert [action for action in desk.actions if isinstance(action, Down)] == []


def test_a_restarted_peer_that_does_not_come_is_down_soon_and_nobody_has_usurped_anything() -> None:
    desk = Desk()
    for number in range(1, 6):
        desk.closed(desk.greet(key("a"), number), key("a"), Code.PEER_RESTARTED)
        desk.run(SUCCESSOR_TIME / SECOND + 0.5)
        said, desk.actions = desk.actions, []
        assert [down.reason for down in said if isinstance(down, Down)] == ["peer_restarted"]
        assert not any(isinstance(action, Report) for action in said)


def test_stopping_takes_leave_of_active_peers_and_asks_for_no_more_time() -> None:
    desk = Desk(("10.9.9.9", 1))
    desk.greet(key("a"))
    desk.take(Say)
    desk.peers.stop()
    desk.drain()
    assert [(say.peer, say.kind) for say in desk.take(Say)] == [(key("a"), MessageType.DISCONNECT)]
    assert desk.peers.next_timeout() is None


# --- exchange -------------------------------------------------------------------------------------------------------


def question(digest: int = 0) -> bytes:
    return digest.to_bytes(8, "big")


def test_a_question_is_answered_with_all_members_unless_the_asker_knows_them() -> None:
    desk = Desk()
    first = desk.greet(key("a"), 1, address=("10.0.0.1", 8888), epoch=5)
    desk.greet(key("b"), 2, address=("10.0.0.2", 8888), epoch=6)
    desk.connected(key("c"), 3, address=("10.0.0.3", 8888))
    desk.take(Say)
    desk.receive(first, key("a"), MessageType.PEER_DISCOVERY, question())
    (say,) = desk.said(MessageType.PEER_ANNOUNCEMENT)
    assert (say.peer, say.fields) == (
        key("a"),
        ([[key("a"), "10.0.0.1", 8888, 8889, 5, 4], [key("b"), "10.0.0.2", 8888, 8889, 6, 4]],),
    )
    desk.run(1)
    desk.take(Say)
    desk.receive(first, key("a"), MessageType.PEER_DISCOVERY, question(desk.peers.members.digest))
    assert desk.said(MessageType.PEER_ANNOUNCEMENT) == []


def test_questions_in_quick_succession_are_answered_once() -> None:
    desk = Desk()
    first = desk.greet(key("a"), 1)
    desk.greet(key("b"), 2)
    desk.take(Say)
    for _ in range(5):
        desk.receive(first, key("a"), MessageType.PEER_DISCOVERY, question())
    assert len(desk.said(MessageType.PEER_ANNOUNCEMENT)) == 1


def test_an_answer_holds_everybody_in_messages_of_bounded_size() -> None:
    desk = Desk()
    links = [
        desk.greet(NodeId(bytes([number]) * 32), number, address=(f"10.0.0.{number}", 8888))
        for number in range(110, 250)
    ]
    desk.take(Say)
    desk.receive(links[0], NodeId(bytes([110]) * 32), MessageType.PEER_DISCOVERY, question())
    pages = [say.fields[0] for say in desk.said(MessageType.PEER_ANNOUNCEMENT)]
    assert [len(page) for page in pages if isinstance(page, list)] == [ROWS_PER_MESSAGE_MAX, 140 - ROWS_PER_MESSAGE_MAX]


def test_a_node_tells_everybody_once_that_it_is_there_and_where_it_is_seen() -> None:
    desk = Desk()
    link = desk.connected(key("a"), 1)
    desk.receive(link, key("a"), MessageType.HANDSHAKE, *hello("peer")[:7], 1, "192.0.2.7")
    desk.greet(key("b"), 2)
    (told,) = desk.take(Publish)
    presence = parse_presence(told.payload)
    assert (told.kind, presence.host, presence.name) == (MessageType.MEMBER, "192.0.2.7", "own")


def test_a_node_that_was_held_for_dead_learns_of_it_and_both_show_their_lists() -> None:
    desk = Desk()
    link = desk.greet(key("a"), 1, epoch=5)
    for seconds, accuser in ((10, "x"), (11, "y")):
        desk.now = seconds * SECOND
        desk.peers.notice(MessageType.DEAD, key(accuser), accusation([Accused(key("a"), 5)]), key("x"), desk.now)
    desk.drain()
    assert {drop.link for drop in desk.take(Drop)} == {link}
    desk.closed(link, key("a"))
    desk.take(Say)
    desk.greet(key("a"), 2, epoch=5)
    first, *rest = desk.said(MessageType.PEER_ANNOUNCEMENT)
    assert first.fields == ([[key("a"), "10.0.0.1", 8888, 8889, 5, 2]],)
    assert len(rest) == 1
    member = desk.peers.members.get(key("a"))
    assert member is not None
    assert member.state is MemberState.ALIVE


def test_whoever_hears_from_a_node_itself_does_not_believe_that_it_is_dead() -> None:
    desk = Desk()
    desk.greet(key("a"), 1, epoch=5)
    for accuser in ("x", "y", "z"):
        desk.peers.notice(MessageType.DEAD, key(accuser), accusation([Accused(key("a"), 5)]), key("x"), desk.now)
    desk.drain()
    assert desk.take(Drop) == []


def test_somebody_who_is_gone_is_dialled_for_ever() -> None:
    desk = Desk()
    link = desk.greet(key("a"), 1, epoch=5)
    desk.receive(link, key("a"), MessageType.DISCONNECT)
    desk.closed(link, key("a"), Code.OK)
    for _ in range(50):
        desk.take(Dial)
        desk.run(3.2)
        (dial,) = desk.take(Dial)
        assert dial.target.expected == key("a")
        desk.closed(Link(Carrier.UDP, desk.next_handle - 1), None, Code.HANDSHAKE_TIMEOUT)


def announce(desk: Desk, link: Link, source: NodeId, *records: Record) -> None:
    desk.receive(link, source, MessageType.PEER_ANNOUNCEMENT, [record.fields() for record in records])


def test_the_node_with_the_smaller_key_dials_first() -> None:
    desk = Desk()
    link = desk.greet(key("a"))
    desk.take(Dial)
    announce(desk, link, key("a"), Record(key("z"), "10.0.0.9", 8888, 0), Record(key("b"), "10.0.0.8", 8888, 0))
    desk.run(0.2)
    assert [dial.target.expected for dial in desk.take(Dial)] == [key("z")]
    desk.run(0.8)
    assert [dial.target.expected for dial in desk.take(Dial)] == [key("b")]


def test_a_node_is_not_dialled_when_it_came_by_itself() -> None:
    desk = Desk()
    link = desk.greet(key("a"), 1)
    announce(desk, link, key("a"), Record(key("b"), "10.0.0.8", 8888, 0))
    desk.greet(key("b"), 2, address=("10.0.0.8", 8888))
    desk.take(Dial)
    desk.run(30)
    assert desk.take(Dial) == []


def test_records_of_this_node_and_of_connected_ones_are_ignored() -> None:
    desk = Desk()
    link = desk.greet(key("a"))
    announce(desk, link, key("a"), Record(OWN, "10.0.0.8", 8888, 0), Record(key("a"), "10.6.6.6", 6, 0))
    assert desk.peers.stats.addresses_learned == 0


def test_one_peer_cannot_fill_the_table() -> None:
    desk = Desk()
    link = desk.greet(key("a"))
    share = HEARSAY_REACH * HEARSAY_PER_BUCKET
    for number in range(2 * share):
        announce(desk, link, key("a"), Record(NodeId(number.to_bytes(32, "big")), "10.0.0.8", 1 + number, 0))
    assert len(desk.peers.table) <= share + 1
    assert desk.peers.stats.addresses_refused >= share


def test_hearsay_that_nobody_answers_to_is_forgotten() -> None:
    desk = Desk()
    link = desk.greet(key("a"))
    announce(desk, link, key("a"), Record(key("z"), "10.0.0.9", 8888, 0))
    for _ in range(20):
        desk.run(10)
        for handle in range(desk.next_handle):
            desk.closed(Link(Carrier.UDP, handle), None, Code.HANDSHAKE_TIMEOUT)
    assert desk.peers.table.get(key("z")) is None


def test_a_node_without_udp_is_dialled_over_tcp() -> None:
    desk = Desk(enable_udp=False)
    link = desk.greet(key("a"))
    announce(desk, link, key("a"), Record(key("z"), "10.0.0.9", 8888, 8889))
    desk.run(1)
    assert [dial.target[:2] for dial in desk.take(Dial)] == [(Carrier.TCP, ("10.0.0.9", 8889))]


# --- heartbeats -----------------------------------------------------------------------------------------------------


def test_active_peers_get_heartbeats_and_questions_get_answers() -> None:
    desk = Desk()
    link = desk.greet(key("a"))
    desk.take(Say)
    desk.run(0.5)
    (beat,) = desk.said(MessageType.HEARTBEAT)
    assert beat.fields[0] == 0
    desk.receive(link, key("a"), MessageType.HEARTBEAT, 1, 7)
    assert [say.fields for say in desk.said(MessageType.HEARTBEAT)] == [(2, 7)]
    desk.receive(link, key("a"), MessageType.HEARTBEAT, 2, 8)
    assert desk.said(MessageType.HEARTBEAT) == []


def test_a_heartbeat_is_a_small_datagram() -> None:
    assert len(encode_frame(MessageType.HEARTBEAT, [0, bytes(8), 1 << 51, 1 << 51, 1 << 30])) < 45


def test_a_silent_peer_is_given_up_and_dialled_again() -> None:
    desk = Desk()
    link = desk.greet(key("a"))
    desk.run(9)
    drops = desk.take(Drop)
    assert {drop.link for drop in drops} == {link}
    assert drops[0].code is Code.IDLE_TIMEOUT
    desk.closed(link, key("a"))
    desk.run(3)
    assert [dial.target.expected for dial in desk.take(Dial)] == [key("a")]


@given(
    st.sampled_from(MessageType),
    st.lists(st.none() | st.booleans() | st.integers() | st.binary(max_size=3) | st.just([]), max_size=8),
)
def test_no_fields_of_a_peer_ever_raise(kind: MessageType, fields: list[Any]) -> None:
    desk = Desk()
    link = desk.connected(key("a"))
    desk.receive(link, key("a"), kind, *fields)


def test_whoever_finds_no_room_is_told_of_others_and_sent_away_a_moment_later() -> None:
    desk = Desk(peers_max=2)
    for number in range(4):
        desk.greet(NodeId(bytes([100 + number]) * 32), 10 + number)
    desk.take(Drop)
    link = desk.greet(key("z"), 50)
    rows = [say.fields[0] for say in desk.said(MessageType.PEER_ANNOUNCEMENT) if say.peer == key("z")]
    assert [len(shown) for shown in rows if isinstance(shown, list)] == [4]
    peer = desk.peers.table.get(key("z"))
    assert peer is not None
    assert not peer.is_active
    desk.receive(link, key("z"), MessageType.HANDSHAKE, *hello("peer"))
    assert not peer.is_active
    assert link not in [drop.link for drop in desk.take(Drop)]
    desk.run(2)
    assert [drop.code for drop in desk.take(Drop) if drop.link == link] == [Code.CONNECTION_LIMIT]
