"""Questions to silent peers, directly and through others."""

from __future__ import annotations

import pytest

from node.errors import Code
from node.messages.types import MessageType
from node.peers.actions import Changed, Down, Heard
from node.peers.members import MemberState
from node.peers.watch import DEAF_HEALTH
from node.types import SECOND
from tests.peers.test_peers import Desk, key

PING, ACK, RELAY, NACK = 1, 2, 3, 4


def beats(desk: Desk, act: int) -> list[tuple[bytes, tuple[object, ...]]]:
    return [(say.peer, say.fields[1:]) for say in desk.said(MessageType.HEARTBEAT) if say.fields[0] == act]


def test_a_relay_says_that_it_heard_asks_and_hands_the_answer_on() -> None:
    desk = Desk()
    asker, target = desk.greet(key("a"), 1), desk.greet(key("b"), 2)
    desk.said(MessageType.HEARTBEAT)
    desk.receive(asker, key("a"), MessageType.HEARTBEAT, RELAY, 7, key("b"))
    nack, ping = [(say.peer, say.fields) for say in desk.said(MessageType.HEARTBEAT)]
    assert nack == (key("a"), (NACK, 7))
    assert ping[0] == key("b")
    desk.receive(target, key("b"), MessageType.HEARTBEAT, ACK, ping[1][1])
    assert beats(desk, ACK) == [(key("a"), (7,))]


def test_a_relay_that_does_not_know_the_node_says_that_it_heard() -> None:
    desk = Desk()
    asker = desk.greet(key("a"), 1)
    desk.said(MessageType.HEARTBEAT)
    desk.receive(asker, key("a"), MessageType.HEARTBEAT, RELAY, 7, key("x"))
    assert [say.fields for say in desk.said(MessageType.HEARTBEAT)] == [(NACK, 7)]


def test_a_silent_peer_is_asked_through_the_others_and_lives_when_one_of_them_reaches_it() -> None:
    desk = Desk()
    desk.greet(key("a"), 1)
    other = desk.greet(key("b"), 2)
    relayed: list[object] = []
    for _ in range(60):
        desk.run(0.25)
        desk.peers.heard(key("b"), desk.now)
        for peer, fields in beats(desk, RELAY):
            if fields[1] == key("a"):
                relayed.append(peer)
                desk.receive(other, key("b"), MessageType.HEARTBEAT, ACK, fields[0])
    assert set(relayed) == {key("b")}
    member = desk.peers.members.get(key("a"))
    assert member is not None
    assert member.state is MemberState.ALIVE


def test_a_connection_that_breaks_off_is_asked_after_at_once() -> None:
    desk = Desk()
    link = desk.greet(key("a"), 1)
    desk.greet(key("b"), 2)
    desk.said(MessageType.HEARTBEAT)
    desk.closed(link, key("a"), Code.CONNECTION_LOST)
    assert [fields[1] for _, fields in beats(desk, RELAY)] == [key("a")]
    for _ in range(5):
        desk.run(0.25)
        desk.peers.heard(key("b"), desk.now)
    member = desk.peers.members.get(key("a"))
    assert member is not None
    assert member.state is MemberState.SUSPECT


@pytest.mark.parametrize("code", [Code.CONNECTION_LOST, Code.PEER_RESTARTED])
def test_a_peer_that_has_no_use_for_this_node_is_not_asked_after_though_its_word_is_lost_on_a_link(code: Code) -> None:
    desk = Desk()
    links = [desk.greet(key("a"), 1), desk.connected(key("a"), 2)]
    desk.greet(key("b"), 3)
    desk.take(Down)
    desk.closed(links[0], key("a"), Code.CONNECTION_LIMIT, by_peer=True)
    desk.closed(links[1], key("a"), code)
    assert [down.reason for down in desk.take(Down)] == ["connection_limit"]
    again = desk.greet(key("a"), 4)
    desk.said(MessageType.HEARTBEAT)
    desk.closed(again, key("a"), Code.CONNECTION_LOST)
    assert [fields[1] for _, fields in beats(desk, RELAY)] == [key("a")]


def test_a_peer_that_takes_leave_is_not_asked_after() -> None:
    desk = Desk()
    link = desk.greet(key("a"), 1)
    desk.greet(key("b"), 2)
    desk.take(Changed)
    desk.receive(link, key("a"), MessageType.DISCONNECT)
    assert [change.state for change in desk.take(Changed)] == [MemberState.LEFT]
    desk.closed(link, key("a"), Code.OK)
    assert beats(desk, RELAY) == []


def test_a_node_that_hears_nobody_of_many_doubts_itself_before_it_holds_them_for_dead() -> None:
    desk = Desk()
    for number, letter in enumerate("abcde", 1):
        desk.greet(key(letter), number)
    desk.run(11)
    assert desk.peers.stats.local_health == DEAF_HEALTH
    assert desk.peers.stats.accusations == 5
    assert desk.peers.members.gone() == []
    desk.run(3)
    assert len(desk.peers.members.gone()) == 5


def test_whoever_was_suspected_by_a_node_that_heard_nobody_may_refute_anew_once_it_hears() -> None:
    desk = Desk()
    for number, letter in enumerate("abcde", 1):
        desk.greet(key(letter), number)
    for _ in range(20):
        desk.run(1)
        if desk.now >= 11 * SECOND:
            desk.peers.heard(key("a"), desk.now)
        if desk.now == 14 * SECOND:
            assert desk.peers.members.gone() == []
    assert desk.peers.members.gone() == [key(letter) for letter in "bcde"]


def test_a_node_that_hears_its_relays_does_not_doubt_itself_though_their_answers_are_lost() -> None:
    desk = Desk()
    for number, letter in enumerate("abcd", 1):
        desk.greet(key(letter), number)
    for _ in range(20):
        desk.run(0.25)
        for letter in "bcd":
            desk.peers.heard(key(letter), desk.now)
    assert desk.peers.stats.accusations == 1
    assert desk.peers.stats.local_health == 1


def test_the_last_of_a_few_does_not_doubt_itself_and_soon_knows_that_it_is_alone() -> None:
    desk = Desk()
    for number, letter in enumerate("abc", 1):
        desk.greet(key(letter), number)
    desk.run(0.9)
    desk.peers.heard(key("c"), desk.now)
    desk.run(6.1)
    assert desk.peers.stats.local_health == 1
    assert desk.peers.members.gone() == [key(letter) for letter in "abc"]


def test_a_heartbeat_brings_a_digest_and_the_time() -> None:
    desk = Desk()
    link = desk.greet(key("a"), 1)
    desk.take(Heard)
    desk.receive(link, key("a"), MessageType.HEARTBEAT, 0, b"digest 8", 5, 0, 0)
    desk.receive(link, key("a"), MessageType.HEARTBEAT, 0, b"digest 8", 6, 3, 1)
    first, second = desk.take(Heard)
    assert (first.digest, first.clocks) == (b"digest 8", None)
    assert second.clocks is not None
    assert desk.now < SECOND
