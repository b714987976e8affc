"""What a node says of itself and others, and what it makes of what it is told."""

from __future__ import annotations

from collections import deque
from typing import Any

import pytest

from node.errors import DecodeError
from node.messages.packing import pack
from node.messages.types import MessageType
from node.peers.actions import Action, Publish
from node.peers.hello import Hello
from node.peers.members import MemberState
from node.peers.membership import CHALLENGE_INTERVAL, INCARNATION_BELIEVED_MAX, Membership
from node.peers.notices import Accused, accusation, parse_accusation, parse_presence
from node.peers.records import Record, Row
from node.peers.settings import PeersSettings
from node.peers.stats import PeerStats
from node.types import MILLISECOND, SECOND, Instant, NodeId
from node.wire.limits import HEARSAY_PER_BUCKET, HEARSAY_REACH, MEMBERS_MAX

GROUP, SHARE = b"group", HEARSAY_REACH * HEARSAY_PER_BUCKET
OWN, ANN, BEN, CAT, DAN, EVE = (NodeId(letter.encode() * 32) for letter in "oabcde")
DEAD = 2


class Desk:
    """One membership with a heartbeat every second."""

    def __init__(self) -> None:
        settings: dict[str, Any] = {
            "own_id": OWN,
            "network_id": "net",
            "hello": Hello(name="own", udp_port=1, tcp_port=2, host="", epoch=100, agent="test"),
            "enable_udp": True,
            "enable_tcp": True,
            "bootstrap": (),
            "heartbeat_interval": SECOND,
            "peers_max": 64,
        }
        self.actions: deque[Action] = deque()
        self.stats = PeerStats()
        self.membership = Membership(PeersSettings(**settings), self.actions, self.stats)

    def greet(self, node_id: NodeId, incarnation: int = 5, now: Instant = 0) -> bool:
        record = Record(node_id, "10.0.0.1", 1, 1)
        return self.membership.greeted(node_id, incarnation, record, "name", now)

    def among(self, *node_ids: NodeId) -> Desk:
        for node_id in node_ids:
            self.greet(node_id)
        return self

    def told(self, kind: MessageType) -> list[bytes]:
        taken = [action.payload for action in self.actions if isinstance(action, Publish) and action.kind == kind]
        self.actions.clear()
        return taken

    def state(self, node_id: NodeId) -> MemberState:
        member = self.membership.members.get(node_id)
        assert member is not None
        return member.state

    def accused(self, kind: MessageType, accuser: NodeId, node_id: NodeId, incarnation: int, now: Instant = 0) -> None:
        self.membership.notice(kind, accuser, accusation([Accused(node_id, incarnation)]), GROUP, now)


def test_whoever_stays_silent_is_accused_and_dies_when_it_does_not_refute() -> None:
    desk = Desk().among(ANN, BEN, CAT)
    desk.membership.silent(ANN, 0)
    (payload,) = desk.told(MessageType.SUSPECT)
    assert parse_accusation(payload) == [Accused(ANN, 5)]
    desk.membership.tick(4 * SECOND - 1)
    assert desk.state(ANN) is MemberState.SUSPECT
    desk.membership.tick(4 * SECOND)
    assert desk.state(ANN) is MemberState.DEAD
    (payload,) = desk.told(MessageType.DEAD)
    assert parse_accusation(payload) == [Accused(ANN, 5)]


@pytest.mark.parametrize(("others", "seconds"), [(0, 4.0), (1, 2.107), (2, 1.0), (5, 1.0)])
def test_every_other_accuser_shortens_the_time_to_refute(others: int, seconds: float) -> None:
    desk = Desk().among(ANN, BEN, CAT)
    desk.membership.silent(ANN, 0)
    for number in range(others):
        desk.accused(MessageType.SUSPECT, NodeId(bytes([number]) * 32), ANN, 5)
    desk.membership.tick(round(seconds * SECOND) - MILLISECOND)
    assert desk.state(ANN) is MemberState.SUSPECT
    desk.membership.tick(round(seconds * SECOND) + MILLISECOND)
    assert desk.state(ANN) is MemberState.DEAD


@pytest.mark.parametrize(
    ("others", "silent", "accusers", "seconds"),
    [((), (), 0, 1.0), ((BEN,), (), 0, 4.0), ((BEN,), (), 1, 1.0), ((BEN, CAT), (BEN, CAT), 0, 1.0)],
    ids=["of two", "of three, alone", "of three, together", "the last one"],
)
def test_nobody_waits_for_more_accusers_than_there_can_be(
    others: tuple[NodeId, ...], silent: tuple[NodeId, ...], accusers: int, seconds: float
) -> None:
    desk = Desk().among(ANN, *others)
    for node_id in (ANN, *silent):
        desk.membership.silent(node_id, 0)
    for accuser in others[:accusers]:
        desk.accused(MessageType.SUSPECT, accuser, ANN, 5)
    desk.membership.tick(round(seconds * SECOND) - MILLISECOND)
    assert desk.state(ANN) is MemberState.SUSPECT
    desk.membership.tick(round(seconds * SECOND) + MILLISECOND)
    assert desk.state(ANN) is MemberState.DEAD


def test_who_accuses_many_at_once_waits_for_the_others_all_the_same() -> None:
    everybody = (ANN, BEN, CAT, DAN, EVE)
    desk = Desk().among(*everybody)
    for node_id in everybody:
        desk.membership.silent(node_id, 0)
    desk.membership.tick(3 * SECOND)
    desk.membership.doubt_own_suspicions(3 * SECOND)
    desk.membership.tick(7 * SECOND - 1)
    assert desk.told(MessageType.DEAD) == []
    desk.membership.tick(7 * SECOND)
    assert len(desk.told(MessageType.DEAD)) == 5


def test_a_node_in_bad_health_gives_more_time() -> None:
    desk = Desk().among(ANN, BEN, CAT)
    desk.membership.health = lambda: 3
    desk.membership.silent(ANN, 0)
    desk.membership.tick(12 * SECOND - 1)
    assert desk.state(ANN) is not MemberState.ALIVE
    assert desk.told(MessageType.DEAD) == []


def test_a_sign_of_life_takes_an_accusation_back() -> None:
    desk = Desk()
    desk.greet(ANN)
    desk.membership.silent(ANN, 0)
    desk.membership.answered(ANN, SECOND)
    desk.membership.tick(20 * SECOND)
    assert desk.state(ANN) is MemberState.ALIVE
    assert desk.stats.false_suspicions == 1


def test_more_accusers_than_needed_stay_quiet() -> None:
    desk = Desk()
    desk.greet(ANN)
    for accuser in (BEN, CAT, NodeId(b"d" * 32)):
        desk.accused(MessageType.SUSPECT, accuser, ANN, 5)
    desk.membership.silent(ANN, 0)
    assert desk.told(MessageType.SUSPECT) == []


def test_whoever_hears_from_a_suspect_does_not_wait_for_it_to_refute() -> None:
    desk = Desk().among(ANN, BEN)
    for accuser in (CAT, DAN):
        desk.accused(MessageType.SUSPECT, accuser, ANN, 5)
    desk.membership.heard(ANN, SECOND)
    desk.membership.tick(20 * SECOND)
    assert desk.state(ANN) is MemberState.ALIVE
    assert desk.stats.false_suspicions == 0


def test_an_accused_node_refutes_with_its_next_incarnation_whatever_the_accuser_made_up() -> None:
    desk = Desk()
    for incarnation in (100, 1 << 60, INCARNATION_BELIEVED_MAX):
        before = desk.membership.incarnation
        desk.accused(MessageType.SUSPECT, ANN, OWN, incarnation)
        (payload,) = desk.told(MessageType.MEMBER)
        assert parse_presence(payload).incarnation == desk.membership.incarnation == before + 1


def test_an_accusation_that_was_refuted_already_is_not_answered() -> None:
    desk = Desk()
    desk.accused(MessageType.DEAD, ANN, OWN, 99)
    assert desk.told(MessageType.MEMBER) == []


def test_a_row_that_holds_this_node_for_dead_is_refuted_too() -> None:
    desk = Desk()
    desk.membership.receive_rows(GROUP, [Row(Record(OWN, "10.0.0.1", 1, 1), 100, DEAD)], 0)
    assert len(desk.told(MessageType.MEMBER)) == 1


@pytest.mark.parametrize("state", [0, 1, DEAD])
def test_a_node_whose_earlier_life_began_later_by_its_clock_rises_above_it(state: int) -> None:
    desk = Desk()
    desk.membership.receive_rows(GROUP, [Row(Record(OWN, "10.0.0.1", 1, 1), 30_100, state)], 0)
    (payload,) = desk.told(MessageType.MEMBER)
    assert parse_presence(payload).incarnation == desk.membership.incarnation == 30_101


def test_whoever_is_dead_for_a_peer_and_alive_here_is_asked_aloud_to_show_itself() -> None:
    desk = Desk()
    desk.greet(ANN)
    rows = [Row(Record(ANN, "10.0.0.1", 1, 1), 5, DEAD)]
    for now, asked in ((0, 1), (SECOND, 0), (CHALLENGE_INTERVAL, 1)):
        desk.membership.receive_rows(GROUP, rows, now)
        assert len(desk.told(MessageType.SUSPECT)) == asked
    assert desk.state(ANN) is MemberState.ALIVE


def test_a_leave_is_believed_of_the_node_itself() -> None:
    desk = Desk()
    desk.greet(ANN)
    desk.membership.notice(MessageType.LEAVE, ANN, pack([5]), GROUP, 0)
    assert desk.state(ANN) is MemberState.LEFT
    desk.membership.notice(MessageType.LEAVE, BEN, pack([5]), GROUP, 0)
    assert desk.membership.members.get(BEN) is None


def test_a_presence_places_a_node_and_its_address() -> None:
    desk = Desk()
    desk.membership.notice(MessageType.MEMBER, ANN, pack([7, "10.0.0.9", 8, 9, "ann"]), GROUP, 0)
    member = desk.membership.members.get(ANN)
    assert member is not None
    assert (member.incarnation, member.record, member.name) == (7, Record(ANN, "10.0.0.9", 8, 9), "ann")


def hearsay(number: int) -> list[Row]:
    return [Row(Record(NodeId(number.to_bytes(32, "big")), "10.0.0.1", 1, 1), 1, 0)]


def test_what_one_group_of_peers_tells_is_bounded() -> None:
    desk = Desk()
    for number in range(3 * SHARE):
        desk.membership.receive_rows(GROUP, hearsay(number), 0)
    assert len(desk.membership.members) <= SHARE
    assert desk.stats.addresses_refused == 3 * SHARE - len(desk.membership.members)


def test_hearsay_takes_the_place_of_nobody_who_showed_itself_and_is_gone() -> None:
    desk = Desk()
    desk.membership.greeted(ANN, 1, Record(ANN, "10.0.0.2", 1, 1), "ann", 0)
    desk.membership.left(ANN, 0)
    for group in range(16):
        for number in range(SHARE):
            desk.membership.receive_rows(bytes([group]), hearsay(group << 16 | number), 0)
    assert len(desk.membership.members) > MEMBERS_MAX * 9 // 10
    assert desk.membership.members.get(ANN) is not None


def test_who_was_met_is_no_hearsay_and_leaves_its_place_to_others() -> None:
    desk = Desk()
    desk.membership.receive_rows(GROUP, [Row(Record(ANN, "10.0.0.1", 1, 1), 1, 0)], 0)
    desk.membership.notice(MessageType.MEMBER, ANN, pack([7, "10.0.0.9", 8, 9, "ann"]), GROUP, 0)
    assert desk.membership.hearsay.all() == [ANN]
    desk.greet(ANN)
    assert desk.membership.hearsay.all() == []


def invent(desk: Desk, number: int, group: bytes = GROUP, kind: MessageType = MessageType.MEMBER) -> None:
    payload = pack([1, "10.9.9.9", 8, 9, "x"] if kind is MessageType.MEMBER else [2])
    desk.membership.notice(kind, NodeId(number.to_bytes(32, "big")), payload, group, 0)


def test_signed_members_that_nobody_met_are_bounded_per_group_of_those_who_bring_them() -> None:
    desk = Desk()
    for number in range(3 * SHARE):
        invent(desk, number)
    assert SHARE * 9 // 10 < desk.membership.members.population <= SHARE + 1


def test_who_signed_finds_room_among_a_flood_of_rows_and_keeps_it() -> None:
    desk = Desk()
    for number in range(3 * SHARE):
        desk.membership.receive_rows(GROUP, hearsay(number), 0)
    for number in range(1 << 20, (1 << 20) + 200):
        invent(desk, number)
    for group in (GROUP, b"other"):
        for number in range(1 << 21, (1 << 21) + 3 * SHARE):
            desk.membership.receive_rows(group, hearsay(number), 0)
    members = desk.membership.members
    assert all(members.is_present(NodeId(number.to_bytes(32, "big"))) for number in range(1 << 20, (1 << 20) + 200))


def test_a_crowd_of_invented_members_keeps_nobody_out_who_is_met() -> None:
    desk = Desk()
    desk.greet(ANN)
    desk.membership.left(ANN, 0)
    for number in range(2 * MEMBERS_MAX):
        invent(desk, number, group=bytes([number % 16]))
    assert desk.membership.members.get(ANN) is not None
    for number in range(1 << 20, (1 << 20) + 300):
        assert desk.greet(NodeId(number.to_bytes(32, "big"))) is False
        assert desk.membership.members.is_present(NodeId(number.to_bytes(32, "big")))
    assert len(desk.membership.members) <= MEMBERS_MAX


def test_invented_members_that_take_leave_fill_nothing_either() -> None:
    desk = Desk()
    desk.greet(ANN)
    desk.membership.left(ANN, 0)
    for number in range(2 * MEMBERS_MAX):
        invent(desk, number)
        invent(desk, number, kind=MessageType.LEAVE)
    assert len(desk.membership.members) <= MEMBERS_MAX
    assert desk.membership.members.get(ANN) is not None
    desk.greet(BEN)
    assert desk.state(BEN) is MemberState.ALIVE


def test_a_group_that_floods_leaves_room_for_what_others_tell() -> None:
    desk = Desk()
    for number in range(2 * MEMBERS_MAX):
        invent(desk, number)
    others = range(1 << 20, (1 << 20) + 200)
    for number in others:
        invent(desk, number, group=b"other")
    members = desk.membership.members
    assert sum(members.is_present(NodeId(number.to_bytes(32, "big"))) for number in others) > 190


def test_who_was_never_met_and_is_gone_comes_back_within_the_same_bound() -> None:
    desk = Desk()
    invent(desk, 1)
    invent(desk, 1, kind=MessageType.LEAVE)
    assert desk.membership.hearsay.all() == []
    desk.membership.notice(
        MessageType.MEMBER, NodeId((1).to_bytes(32, "big")), pack([3, "10.9.9.9", 8, 9, "x"]), GROUP, 0
    )
    assert len(desk.membership.hearsay) == 1
    assert desk.membership.members.population == 2


def test_who_was_met_in_an_earlier_life_is_moved_by_no_hearsay() -> None:
    desk = Desk()
    met = Record(ANN, "10.0.0.1", 1, 1)
    desk.membership.members.recall(met, 0)
    desk.membership.receive_rows(GROUP, [Row(Record(ANN, "6.6.6.6", 6, 6), 1, 0)], 0)
    member = desk.membership.members.get(ANN)
    assert member is not None
    assert member.record == met


def test_a_notice_of_another_kind_or_shape_is_refused() -> None:
    desk = Desk()
    for kind in (MessageType.HEARTBEAT, MessageType.MEMBER, MessageType.SUSPECT, MessageType.LEAVE):
        with pytest.raises(DecodeError):
            desk.membership.notice(kind, ANN, b"\xc1", GROUP, 0)
