"""The list of members, and what it takes to change it."""

from __future__ import annotations

from node.peers.members import SUSPICION_MAX, Members, MemberState
from node.peers.records import Record
from node.types import SECOND, NodeId
from node.wire.limits import DEAD_MEMORY, GONE_KEPT, MEMBERS_MAX

OWN, ANN, BEN, CAT = (NodeId(letter.encode() * 32) for letter in "oabc")


def members_with(node_id: NodeId = ANN, incarnation: int = 5) -> Members:
    members = Members(OWN)
    members.present_again(node_id, incarnation, 0)
    return members


def state(members: Members, node_id: NodeId = ANN) -> MemberState:
    member = members.get(node_id)
    assert member is not None
    return member.state


def test_a_suspect_refutes_with_a_higher_incarnation_only() -> None:
    members = members_with()
    assert members.suspect(ANN, BEN, 5, 0)
    assert not members.present_again(ANN, 5, 0)
    assert state(members) is MemberState.SUSPECT
    assert members.present_again(ANN, 6, 0)
    assert state(members) is MemberState.ALIVE


def test_an_accusation_of_an_earlier_incarnation_is_void() -> None:
    members = members_with()
    assert not members.suspect(ANN, BEN, 4, 0)
    assert not members.accuse(ANN, BEN, 4, 0)
    assert not members.accuse(ANN, CAT, 4, 0)
    assert state(members) is MemberState.ALIVE


def test_nobody_dies_by_the_word_of_one_accuser_however_often() -> None:
    members = members_with()
    for _ in range(10):
        assert not members.accuse(ANN, BEN, 5, 0)
    assert state(members) is MemberState.SUSPECT


def test_two_accusers_or_own_evidence_are_enough() -> None:
    members = members_with()
    members.accuse(ANN, BEN, 5, 0)
    assert members.accuse(ANN, CAT, 5, 0)
    assert state(members) is MemberState.DEAD
    members = members_with()
    assert members.accuse(ANN, OWN, 5, 0)


def test_any_number_of_accusers_leaves_time_to_refute() -> None:
    members = Members(OWN, SECOND)
    members.present_again(ANN, 5, 0)
    for number in range(9):
        assert not members.accuse(ANN, NodeId(bytes([number]) * 32), 5, 0)
    members.expire(SECOND - 1)
    assert state(members) is MemberState.SUSPECT
    assert members.present_again(ANN, 6, SECOND - 1)
    members.expire(SECOND)
    assert state(members) is MemberState.ALIVE


def test_who_did_not_refute_in_time_is_dead_by_the_word_of_two() -> None:
    members = Members(OWN, SECOND)
    members.present_again(ANN, 5, 0)
    members.accuse(ANN, BEN, 5, 0)
    members.accuse(ANN, CAT, 5, 0)
    members.expire(SECOND)
    assert state(members) is MemberState.DEAD
    members.present_again(ANN, 6, SECOND)
    members.suspect(ANN, BEN, 6, SECOND)
    members.accuse(ANN, BEN, 6, 2 * SECOND)
    assert members.accuse(ANN, CAT, 6, 2 * SECOND)


def test_a_refutation_voids_the_words_of_before() -> None:
    members = members_with()
    members.accuse(ANN, BEN, 5, 0)
    members.present_again(ANN, 6, 0)
    assert not members.accuse(ANN, CAT, 6, 0)


def test_a_suspicion_that_nobody_refutes_is_death_after_a_while() -> None:
    members = members_with()
    members.suspect(ANN, BEN, 5, 0)
    members.expire(SUSPICION_MAX - 1)
    assert state(members) is MemberState.SUSPECT
    members.expire(SUSPICION_MAX)
    assert state(members) is MemberState.DEAD


def test_no_accuser_raises_an_incarnation() -> None:
    members = members_with()
    members.suspect(ANN, BEN, 1 << 60, 0)
    assert members.present_again(ANN, 6, 0)


def test_hearsay_makes_known_and_revives_nobody() -> None:
    members = members_with()
    members.accuse(ANN, OWN, 5, 0)
    assert not members.heard_of(Record(ANN, "10.0.0.1", 1, 1), 0)
    assert state(members) is MemberState.DEAD
    assert members.heard_of(Record(BEN, "10.0.0.2", 1, 1), 0)
    assert state(members, BEN) is MemberState.ALIVE


def test_hearsay_does_not_move_somebody_who_spoke_for_itself() -> None:
    members = members_with()
    first = Record(ANN, "10.0.0.1", 1, 1)
    members.heard_of(first, 0)
    members.heard_of(Record(ANN, "6.6.6.6", 6, 6), 0)
    member = members.get(ANN)
    assert member is not None
    assert member.record == first


def test_the_digest_says_who_takes_part() -> None:
    members, other = Members(OWN), Members(ANN)
    members.present_again(ANN, 1, 0)
    members.present_again(BEN, 1, 0)
    other.present_again(BEN, 9, 0)
    other.present_again(OWN, 9, 0)
    assert members.digest == other.digest
    members.leave(BEN, 2, 0)
    assert members.digest != other.digest
    assert (members.population, other.population) == (2, 3)


def test_the_last_of_those_who_were_met_are_remembered_for_ever_and_others_for_a_day() -> None:
    members = Members(OWN)
    people = [NodeId(number.to_bytes(32, "big")) for number in range(GONE_KEPT + 10)]
    for at, node_id in enumerate([ANN, *people]):
        members.present_again(node_id, 5, 0)
        if node_id != ANN:
            members.meet(node_id, 0)
        members.accuse(node_id, OWN, 5, at * SECOND)
    members.expire(3 * DEAD_MEMORY)
    assert members.gone() == people[10:]


def test_the_dead_are_remembered_for_a_day() -> None:
    members = members_with()
    members.accuse(ANN, OWN, 5, 0)
    members.expire(DEAD_MEMORY - SECOND)
    assert members.gone() == [ANN]
    members.expire(DEAD_MEMORY)
    assert (members.gone(), len(members)) == ([], 0)


def test_every_change_is_told_once() -> None:
    members = members_with()
    for _ in range(3):
        members.suspect(ANN, BEN, 5, 0)
    members.accuse(ANN, OWN, 5, 0)
    assert [change.state for change in members.changes] == [MemberState.ALIVE, MemberState.SUSPECT, MemberState.DEAD]
    assert members.counts[MemberState.DEAD] == 1
    assert sum(members.counts.values()) == 1


def test_the_list_is_bounded_and_the_gone_make_room_first() -> None:
    members = members_with()
    members.accuse(ANN, OWN, 5, 0)
    for number in range(MEMBERS_MAX + 10):
        members.present_again(NodeId(number.to_bytes(32, "big")), 1, 0)
    assert len(members) == MEMBERS_MAX
    assert members.get(ANN) is None
    assert members.population <= MEMBERS_MAX + 1


def test_a_node_is_no_member_of_its_own_list() -> None:
    members = Members(OWN)
    assert not members.present_again(OWN, 5, 0)
    assert not members.heard_of(Record(OWN, "10.0.0.1", 1, 1), 0)
    assert len(members) == 0
