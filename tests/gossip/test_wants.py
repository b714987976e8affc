"""Asking for what is missing: one announcer after the other, and not for ever."""

from __future__ import annotations

from node.gossip.wants import ROUNDS_MAX, Wants
from node.types import NodeId
from node.wire.limits import ANNOUNCERS_MAX, WANT_TIMEOUT, WANTED_MESSAGES_MAX

PEERS = [NodeId(bytes([number]) * 32) for number in range(ANNOUNCERS_MAX + 1)]
ID = b"i" * 16


def test_only_the_first_announcer_is_asked_at_once() -> None:
    wants = Wants()
    assert wants.announced(ID, PEERS[0], 0)
    assert not wants.announced(ID, PEERS[1], 0)
    assert ID in wants


def test_the_next_announcer_is_asked_when_the_first_does_not_answer() -> None:
    wants = Wants()
    wants.announced(ID, PEERS[0], 0)
    wants.announced(ID, PEERS[1], 0)
    assert wants.next_timeout() == WANT_TIMEOUT
    assert wants.overdue(WANT_TIMEOUT - 1) == {}
    assert wants.overdue(WANT_TIMEOUT) == {PEERS[1]: [ID]}
    assert wants.overdue(2 * WANT_TIMEOUT) == {PEERS[0]: [ID]}


def test_a_wish_ends_when_the_message_arrives() -> None:
    wants = Wants()
    wants.announced(ID, PEERS[0], 0)
    assert wants.arrived(ID)
    assert not wants.arrived(ID)
    assert wants.next_timeout() is None


def test_a_wish_that_nobody_fulfils_is_given_up() -> None:
    wants = Wants()
    wants.announced(ID, PEERS[0], 0)
    asked = 1 + sum(len(wants.overdue(turn * WANT_TIMEOUT)) for turn in range(1, 20))
    assert asked == ROUNDS_MAX
    assert ID not in wants


def test_announcers_and_wishes_are_bounded() -> None:
    wants = Wants()
    for peer in PEERS:
        wants.announced(ID, peer, 0)
    turns = [next(iter(wants.overdue(turn * WANT_TIMEOUT))) for turn in range(1, ANNOUNCERS_MAX + 1)]
    assert PEERS[-1] not in turns
    for number in range(WANTED_MESSAGES_MAX + 5):
        wants.announced(number.to_bytes(16, "big"), PEERS[0], 0)
    assert len(wants) == WANTED_MESSAGES_MAX
