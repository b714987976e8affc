"""Asking for what is missing: when it is time, one announcer after the other, and not for ever."""

from __future__ import annotations

import pytest

from node.gossip.pulls import DELAYS_MAX, PROGRESS_MIN, ROUNDS_MAX, Pulls
from node.types import SECOND, Instant, NodeId
from node.wire.limits import ANNOUNCERS_MAX, WANTED_MESSAGES_MAX

PEERS = [NodeId(bytes([number]) * 32) for number in range(ANNOUNCERS_MAX + 1)]
ID = b"i" * 16


def announce(pulls: Pulls, peer: NodeId, at: Instant = 0, *, message_id: bytes = ID, is_missed: bool = False) -> None:
    pulls.announced(message_id, peer, at, SECOND, is_missed=is_missed)


def test_nobody_is_asked_before_the_time_that_a_copy_under_way_needs() -> None:
    pulls = Pulls()
    announce(pulls, PEERS[0], 5)
    assert pulls.next_timeout() == 5
    assert pulls.overdue(4) == {}
    assert pulls.overdue(5) == {PEERS[0]: [ID]}


def test_a_more_urgent_announcement_brings_the_question_forward() -> None:
    pulls = Pulls()
    announce(pulls, PEERS[0], 5)
    announce(pulls, PEERS[1], 2)
    assert pulls.overdue(2) == {PEERS[0]: [ID]}


def test_one_request_is_under_way_and_the_next_announcer_follows_after_its_patience() -> None:
    pulls = Pulls()
    announce(pulls, PEERS[0])
    announce(pulls, PEERS[1])
    assert pulls.overdue(0) == {PEERS[0]: [ID]}
    assert pulls.overdue(SECOND - 1) == {}
    assert pulls.overdue(SECOND) == {PEERS[1]: [ID]}
    assert pulls.overdue(2 * SECOND) == {PEERS[0]: [ID]}


def test_a_wish_ends_when_the_message_arrives() -> None:
    pulls = Pulls()
    announce(pulls, PEERS[0])
    pulls.overdue(0)
    assert pulls.arrived(ID) is False
    assert pulls.arrived(ID) is None
    assert pulls.next_timeout() is None


def test_who_told_of_a_message_is_known_while_it_is_awaited() -> None:
    pulls = Pulls()
    assert pulls.announcers(ID) == ()
    for peer in PEERS:
        announce(pulls, peer)
    assert pulls.announcers(ID) == tuple(PEERS[:ANNOUNCERS_MAX])
    pulls.arrived(ID)
    assert pulls.announcers(ID) == ()


def test_a_message_that_came_before_anybody_was_asked_was_not_repaired() -> None:
    pulls = Pulls()
    announce(pulls, PEERS[0], 5)
    assert pulls.arrived(ID) is None


def test_a_wish_knows_that_a_sync_told_of_it() -> None:
    pulls = Pulls()
    announce(pulls, PEERS[0], is_missed=True)
    pulls.overdue(0)
    assert pulls.arrived(ID) is True


def test_a_peer_that_is_gone_is_not_asked() -> None:
    pulls = Pulls()
    announce(pulls, PEERS[0])
    announce(pulls, PEERS[1])
    pulls.forget(PEERS[0], 0)
    assert pulls.overdue(0) == {PEERS[1]: [ID]}
    pulls.forget(PEERS[1], 0)
    assert pulls.overdue(SECOND) == {}
    assert ID not in pulls


def test_a_wish_that_nobody_fulfils_is_given_up() -> None:
    pulls = Pulls()
    announce(pulls, PEERS[0])
    asked = sum(len(pulls.overdue(turn * SECOND)) for turn in range(20))
    assert asked == ROUNDS_MAX
    assert ID not in pulls


def test_announcers_wishes_and_deadlines_are_bounded() -> None:
    pulls = Pulls()
    for peer in PEERS:
        announce(pulls, peer)
    turns = [next(iter(pulls.overdue(turn * SECOND))) for turn in range(ANNOUNCERS_MAX)]
    assert PEERS[-1] not in turns
    for number in range(WANTED_MESSAGES_MAX + 5):
        announce(pulls, PEERS[0], message_id=number.to_bytes(16, "big"))
    assert len(pulls) == WANTED_MESSAGES_MAX
    for number in range(WANTED_MESSAGES_MAX + 5):
        pulls.arrived(number.to_bytes(16, "big"))
        announce(pulls, PEERS[0], message_id=b"x" * 16)
        pulls.arrived(b"x" * 16)
    assert len(pulls._deadlines) < 4 * WANTED_MESSAGES_MAX + 100


def test_where_the_asked_peer_is_gone_the_next_one_is_asked_at_once() -> None:
    pulls = Pulls()
    announce(pulls, PEERS[0])
    announce(pulls, PEERS[1])
    announce(pulls, PEERS[2])
    pulls.overdue(0)
    pulls.forget(PEERS[0], 5)
    assert pulls.next_timeout() == 5
    assert pulls.overdue(5) == {PEERS[1]: [ID]}
    pulls.forget(PEERS[2], 6)
    assert pulls.next_timeout() == 5 + SECOND
    assert pulls.overdue(5 + SECOND) == {PEERS[1]: [ID]}


def test_whose_turn_it_is_stays_the_same_when_another_is_gone() -> None:
    pulls = Pulls()
    for peer in PEERS[:4]:
        announce(pulls, peer)
    for second in range(6):
        pulls.overdue(second * SECOND)
    pulls.forget(PEERS[0], 5 * SECOND)
    assert [*pulls.overdue(6 * SECOND)] == [PEERS[2]]
    assert [*pulls.overdue(7 * SECOND)] == [PEERS[3]]
    assert [*pulls.overdue(8 * SECOND)] == [PEERS[1]]


def test_a_wish_that_only_the_gone_could_fulfil_ends() -> None:
    pulls = Pulls()
    announce(pulls, PEERS[0])
    pulls.overdue(0)
    pulls.forget(PEERS[0], 1)
    assert pulls.overdue(1) == {}
    assert ID not in pulls


def test_whoever_sends_something_large_is_waited_for_while_that_grows() -> None:
    pulls, arriving = Pulls(), dict.fromkeys(PEERS, 0)
    pulls.arriving = lambda peer, now: arriving[peer]
    announce(pulls, PEERS[0])
    announce(pulls, PEERS[1])
    assert pulls.overdue(0) == {PEERS[0]: [ID]}
    for second in range(1, DELAYS_MAX + 1):
        arriving[PEERS[0]] += PROGRESS_MIN
        assert pulls.overdue(second * SECOND) == {}
    arriving[PEERS[0]] += PROGRESS_MIN
    assert pulls.overdue((DELAYS_MAX + 1) * SECOND) == {PEERS[1]: [ID]}


@pytest.mark.parametrize("sender", PEERS[:2])
def test_a_trickle_or_what_somebody_else_sends_is_waited_for_by_nobody(sender: NodeId) -> None:
    pulls, arriving = Pulls(), dict.fromkeys(PEERS, 0)
    pulls.arriving = lambda peer, now: arriving[peer]
    announce(pulls, PEERS[0])
    announce(pulls, PEERS[1])
    assert pulls.overdue(0) == {PEERS[0]: [ID]}
    arriving[sender] += PROGRESS_MIN - 1 if sender == PEERS[0] else 10 * PROGRESS_MIN
    assert pulls.overdue(SECOND) == {PEERS[1]: [ID]}


def test_nobody_waits_for_a_peer_that_is_gone() -> None:
    pulls, arriving = Pulls(), dict.fromkeys(PEERS, 0)
    pulls.arriving = lambda peer, now: arriving[peer]
    announce(pulls, PEERS[0])
    announce(pulls, PEERS[1])
    assert pulls.overdue(0) == {PEERS[0]: [ID]}
    arriving[PEERS[1]] = 10 * PROGRESS_MIN
    pulls.forget(PEERS[0], 5)
    assert pulls.overdue(5) == {PEERS[1]: [ID]}
