"""The three frames of trust: stating, asking, answering, and every wrong one of them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.messages.envelope import Envelope, Sealer
from node.messages.packing import Value
from node.messages.types import MessageType
from node.trust.actions import Say
from node.trust.statements import Statement, parse_statement
from node.types import SECOND, Instant, NodeId
from node.wire.limits import (
    STATEMENT_LIFE,
    STATEMENTS_BURST_MAX,
    STATEMENTS_PER_MESSAGE_MAX,
    STATEMENTS_PER_TICK_MAX,
)
from tests.trust.speakers import (
    LONG,
    OWN,
    REQUEST,
    RESPONSE,
    STRANGER,
    UPDATE,
    WALL,
    Speaker,
    actions,
    befriend,
    identity,
    make_trust,
    tell,
)

# --- statements as frames -----------------------------------------------------------------------------------------


def test_a_repeated_or_older_statement_changes_nothing() -> None:
    trust, speaker = make_trust(), Speaker(1)
    first, second = speaker.says(STRANGER, 1.0), speaker.says(STRANGER, 0.5, LONG)
    for envelope in (first, second, second, first):
        assert tell(trust, speaker.node_id, envelope, LONG) is None
    assert (trust.stats.statements_accepted, trust.stats.statements_repeated) == (2, 2)


def test_order_counts_and_not_the_way_that_a_statement_came() -> None:
    trust, speaker = make_trust(), Speaker(1)
    befriend(trust, speaker.node_id)
    older, newer = speaker.says(STRANGER, 1.0), speaker.says(STRANGER, -1.0, LONG)
    tell(trust, speaker.node_id, newer, LONG)
    tell(trust, speaker.node_id, older, LONG)
    assert trust.rank(STRANGER) == 0.0


def test_one_subject_is_spoken_of_once_per_minute() -> None:
    trust, speaker = make_trust(), Speaker(1)
    for second in range(0, 121, 10):
        tell(trust, speaker.node_id, speaker.says(STRANGER, 1.0, second * SECOND), second * SECOND)
    assert trust.stats.statements_accepted == 3
    assert trust.stats.statements_limited == 10


def test_a_flood_of_statements_is_limited_before_anything_is_verified() -> None:
    trust, speaker = make_trust(), Speaker(1)
    for number in range(STATEMENTS_BURST_MAX + 20):
        tell(trust, speaker.node_id, speaker.says(identity(100 + number).public_key, 1.0))
    assert trust.stats.statements_accepted == STATEMENTS_BURST_MAX
    assert trust.stats.statements_limited == 20


def test_leaving_and_coming_back_buys_no_second_burst() -> None:
    trust, speaker = make_trust(), Speaker(1)
    for number in range(2 * STATEMENTS_BURST_MAX):
        if number % 100 == 0:
            trust.peer_down(speaker.node_id)
            trust.peer_up(speaker.node_id)
        tell(trust, speaker.node_id, speaker.says(identity(100 + number).public_key, 1.0))
    assert trust.stats.statements_accepted == STATEMENTS_BURST_MAX


REFUSED: dict[str, tuple[Envelope, str, bool]] = {
    "another network": (Speaker(1, "other").says(STRANGER, 1.0), "wrong_network", True),
    "somebody else's": (Speaker(2).says(STRANGER, 1.0), "wrong_origin", True),
    "over": (Speaker(1).says(STRANGER, 1.0, -2 * STATEMENT_LIFE), "stale", False),
    "about itself": (Speaker(1).says(identity(1).public_key, 1.0), "malformed", True),
    "no statement": (Sealer(identity(1), network_id="net", epoch=1).seal(6, b"", WALL), "unexpected", False),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_wrong_statement_is_counted_and_the_peer_that_sent_it_answers_for_it(name: str) -> None:
    envelope, reason, is_blamed = REFUSED[name]
    trust = make_trust()
    assert tell(trust, identity(1).public_key, envelope) == (reason if is_blamed else None)
    assert trust.stats.rejected[reason] == 1
    assert trust.stats.statements_accepted == 0


def test_a_forged_statement_in_the_name_of_another_harms_only_who_brought_it() -> None:
    trust, victim = make_trust(), Speaker(2)
    bringer = identity(3).public_key
    trust.peer_up(bringer)
    trust.handle_timeout(LONG)
    envelope = victim.says(STRANGER, 1.0, LONG)
    forged: list[Value] = [[envelope.body, b"s" * 64]]
    assert trust.receive(bringer, RESPONSE, [b"", forged], LONG) == "bad_signature"
    trust.blame(bringer, "bad_signature", LONG)
    assert trust.rank(victim.node_id) == 0.0
    assert trust.rank(bringer) < 0


def test_two_statements_with_one_number_are_a_proof_against_their_issuer() -> None:
    trust = make_trust()
    first, second = Speaker(1).says(STRANGER, 1.0), Speaker(1).says(STRANGER, -1.0)
    tell(trust, identity(1).public_key, first)
    assert tell(trust, identity(1).public_key, second) is None
    assert trust.stats.penalties["equivocation"] == 1
    assert trust.stats.rejected["equivocating"] == 1


def test_statements_about_this_node_are_no_news_to_it() -> None:
    trust, speaker = make_trust(), Speaker(1)
    assert tell(trust, speaker.node_id, speaker.says(OWN.public_key, -1.0)) is None
    assert trust.stats.statements_accepted == 0


@pytest.mark.parametrize("kind", [UPDATE, REQUEST, RESPONSE])
@pytest.mark.parametrize("fields", [[], [1], [b"x" * 65], ["text", []]])
def test_a_frame_of_another_shape_is_refused(kind: MessageType, fields: list[Value]) -> None:
    trust, peer = make_trust(), identity(1).public_key
    trust.peer_up(peer)
    trust.receive(peer, kind, fields, 0)
    assert sum(trust.stats.rejected.values()) == 1


@settings(max_examples=60)
@given(st.sampled_from([UPDATE, REQUEST, RESPONSE]), st.binary(max_size=60))
def test_any_fields_are_survived(kind: MessageType, data: bytes) -> None:
    trust, peer = make_trust(), identity(1).public_key
    trust.peer_up(peer)
    trust.handle_timeout(LONG)
    trust.receive(peer, kind, [data, [[data, data]]], LONG)
    trust.receive(peer, kind, [data, data], LONG)


# --- stating and asking -------------------------------------------------------------------------------------------


class Room:
    """Trust services that hear each other at once."""

    def __init__(self, count: int) -> None:
        self.identities = [identity(number + 1) for number in range(count)]
        self.ids = [own.public_key for own in self.identities]
        self.nodes = {own.public_key: make_trust(own) for own in self.identities}
        self.now: Instant = 0
        self.blamed: list[str] = []
        self.frames: list[MessageType] = []
        for node_id, node in self.nodes.items():
            for other in self.ids:
                if other != node_id:
                    node.peer_up(other)

    def run(self, seconds: int) -> None:
        for _ in range(seconds):
            self.now += SECOND
            for node in self.nodes.values():
                node.handle_timeout(self.now)
            while self._exchange():
                pass

    def _exchange(self) -> bool:
        was_busy = False
        for node_id, node in self.nodes.items():
            for action in actions(node):
                was_busy = True
                assert isinstance(action, Say)
                for peer in action.peers:
                    self.frames.append(action.kind)
                    reason = self.nodes[peer].receive(node_id, action.kind, [*action.fields], self.now)
                    self.blamed += [reason] if reason else []
        return was_busy


def test_what_one_node_found_out_is_known_to_all_and_nobody_is_blamed_for_it() -> None:
    room = Room(5)
    culprit, finder = STRANGER, room.nodes[room.ids[0]]
    for _ in range(4):
        finder.blame(culprit, "impersonation", 0)
    actions(finder)
    room.run(200)
    for node in list(room.nodes.values())[1:]:
        assert [said.subject for said in node._statements.said_by(room.ids[0])] == [culprit]
    assert room.blamed == []


def test_a_node_states_again_only_what_changed_or_grew_old() -> None:
    room = Room(2)
    first = room.nodes[room.ids[0]]
    for second in range(300):
        first.delivered(STRANGER, OWN.public_key, (second - 300) * SECOND)
    room.run(180)
    early = room.frames.count(UPDATE)
    assert 1 <= early <= 2
    room.run(60)
    assert room.frames.count(UPDATE) - early <= 1


def test_a_node_with_much_to_say_says_it_little_by_little() -> None:
    trust = make_trust()
    trust.peer_up(identity(1).public_key)
    for number in range(STATEMENTS_PER_TICK_MAX + 50):
        trust.blame(identity(1000 + number).public_key, "impersonation", 0)
    trust.handle_timeout(LONG)
    assert sum(isinstance(said, Say) and said.kind is UPDATE for said in actions(trust)) == STATEMENTS_PER_TICK_MAX
    trust.handle_timeout(2 * LONG)
    assert sum(isinstance(said, Say) and said.kind is UPDATE for said in actions(trust)) == 50


def test_a_long_list_arrives_in_pages() -> None:
    room = Room(2)
    teller, asker = (room.nodes[node_id] for node_id in room.ids)
    speaker = Speaker(99)
    count = 5 * STATEMENTS_PER_MESSAGE_MAX + 7
    for number in range(count):
        teller._statements.add(
            make_statement(speaker.says(identity(1000 + number).public_key, 0.5), identity(1000 + number).public_key),
            speaker.node_id,
        )
    asker_id, teller_id = room.ids[1], room.ids[0]
    asker._ask(teller_id, b"", 100)
    now = 0
    while now < 2 * SECOND:
        # On a fast network the answer comes at once, and the next question must not come too soon for the other end.
        for action in actions(asker):
            assert teller.receive(asker_id, action.kind, [*action.fields], now) is None
        for action in actions(teller):
            assert asker.receive(teller_id, action.kind, [*action.fields], now) is None
        due = asker.next_timeout()
        assert due is not None
        now = due
        asker.handle_timeout(now)
    assert teller.stats.rejected["unexpected"] == 0
    assert asker.stats.statements_accepted == count
    assert teller.stats.lists_served == 6


def make_statement(envelope: Envelope, subject: NodeId) -> Statement:
    found = parse_statement(envelope, WALL)
    assert found.subject == subject
    return found


def test_a_list_that_nobody_asked_for_is_dropped() -> None:
    trust, speaker = make_trust(), Speaker(1)
    trust.peer_up(speaker.node_id)
    envelope = speaker.says(STRANGER, 1.0)
    trust.receive(speaker.node_id, RESPONSE, [b"", [[envelope.body, envelope.signature]]], 0)
    assert trust.stats.rejected["unexpected"] == 1
    assert trust.stats.statements_accepted == 0


def test_questions_too_close_together_are_not_answered() -> None:
    trust, peer = make_trust(), identity(1).public_key
    trust.peer_up(peer)
    for _ in range(10):
        trust.receive(peer, REQUEST, [b""], 0)
    assert len(actions(trust)) == 1
    assert trust.stats.rejected["unexpected"] == 9
