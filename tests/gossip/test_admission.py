"""One gossip node and hostile or unlucky input."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.errors import DecodeError, UsageError
from node.gossip.actions import Accuse, Blame, Deliver, Send
from node.identity.keys import Identity
from node.messages.envelope import Sealer
from node.messages.equivocation import Equivocation
from node.messages.packing import Value, pack
from node.messages.types import MessageType
from node.types import SECOND
from node.wire.limits import (
    ANNOUNCED_IDS_MAX,
    BODIES_PER_SECOND,
    CLOCK_AHEAD_MAX,
    HOPS_MAX,
    MESSAGE_AGE_MAX,
    SERVES_MAX,
)
from tests.gossip.world import CAROL, EPOCH, STRANGER, WALL, Mesh, Single, seal

REFUSED = {
    "another network": (seal(network_id="other"), "wrong_network", True),
    "not signed": (replace(seal(), signature=bytes(64)), "unsigned", True),
    "signed with a wrong key": (replace(seal(), signature=CAROL.sign(seal().body)), "bad_signature", True),
    "altered": (replace(seal(), body=seal(pack({"n": 1})).body), "bad_signature", True),
    "too old": (seal(at=-MESSAGE_AGE_MAX - SECOND), "stale", False),
    "from the future": (seal(at=CLOCK_AHEAD_MAX + SECOND), "future", False),
    "this node's own name": (seal(author=Identity(b"o" * 32)), "own_origin", False),
    "a direct message of somebody": (seal(kind=MessageType.CUSTOM_DATA), "unexpected", True),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_wrong_message_is_refused_counted_and_blamed_on_the_link_peer_alone(name: str) -> None:
    envelope, reason, blamed = REFUSED[name]
    single = Single()
    actions = single.message(envelope)
    assert actions == ([Blame(peer=single.peer, reason=reason)] if blamed else [])
    assert single.node.stats.rejected[reason] == 1
    assert sum(single.node.stats.rejected.values()) == 1


def test_a_forged_copy_that_comes_first_does_not_block_the_true_one() -> None:
    single, envelope = Single(), seal()
    single.receive(0, 1, envelope.body, b"s" * 64)
    actions = single.message(envelope)
    assert any(isinstance(action, Deliver) for action in actions)


def test_a_kept_message_is_known_when_a_crowd_of_authors_had_its_author_forgotten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("node.gossip.window.ORIGINS_MAX", 3)
    single, first, second = Single(), seal(pack({"n": 1})), seal(pack({"n": 2}))
    single.message(first)
    for number in range(4):
        single.message(seal(author=Identity(bytes([number + 1]) * 32)))
    assert STRANGER.public_key not in single.node._admission.origins.origins()

    actions = single.message(second)
    assert [action for action in actions if isinstance(action, Deliver)] == []
    assert any(isinstance(action, Accuse) for action in actions)
    single.node._admission.seen._ids.clear()
    assert single.message(first) == []
    assert single.node.stats.rejected["replayed"] == 1
    single.node.handle_timeout(2 * MESSAGE_AGE_MAX)  # and whatever was kept can be let go
    assert single.node.stats.cached == 0


def test_a_forged_copy_is_verified_once() -> None:
    single, envelope = Single(), seal()
    for _ in range(3):
        single.receive(0, 1, envelope.body, b"s" * 64)
    assert single.node.stats.rejected["bad_signature"] == 1
    assert single.node.stats.duplicates == 2


def test_a_second_body_with_the_same_number_is_evidence_against_its_author_alone() -> None:
    single, first, second = Single(), seal(pack({"n": 1})), seal(pack({"n": 2}))
    assert any(isinstance(action, Deliver) for action in single.message(first))
    assert single.message(second) == [Accuse(evidence=Equivocation(first, second))]
    assert single.node.stats.rejected["equivocating"] == 1


def test_a_forged_second_body_is_blamed_on_the_link_peer_and_accuses_nobody() -> None:
    single, second = Single(), seal(pack({"n": 2}))
    single.message(seal(pack({"n": 1})))
    assert single.receive(0, 1, second.body, b"s" * 64) == [Blame(peer=single.peer, reason="bad_signature")]


def test_a_number_that_was_seen_long_ago_is_replayed() -> None:
    single = Single()
    single.node._admission.origins.mark(STRANGER.public_key, EPOCH, 1)
    assert single.message(seal()) == []
    assert single.node.stats.rejected["replayed"] == 1


def test_a_message_from_the_future_is_accepted_once_its_time_is_near() -> None:
    single, envelope = Single(), seal(at=CLOCK_AHEAD_MAX + SECOND)
    assert single.message(envelope) == []
    assert any(isinstance(action, Deliver) for action in single.message(envelope, now=2 * SECOND))


@pytest.mark.parametrize("kind", [16, 100, 127, 128, 1 << 31, (1 << 63) - 1])
def test_every_kind_of_a_later_version_is_passed_on_and_nobody_is_blamed(kind: int) -> None:
    mesh = Mesh(3, population=100)
    mesh.link(0, 1)
    mesh.link(1, 2)
    envelope = seal(kind=kind)
    mesh.nodes[mesh.ids[0]].receive(mesh.ids[1], [0, 1, envelope.body, envelope.signature], 0)
    mesh.drain(mesh.ids[0])
    mesh.run(3)
    assert mesh.counts(envelope.message_id) == [0, 0, 0]
    assert [node.stats.rejected["unknown_kind"] for node in mesh.nodes.values()] == [1, 1, 1]
    assert mesh.blamed == []


def test_a_thousand_topics_take_no_more_than_their_messages() -> None:
    mesh = Mesh(3)
    mesh.link_all()
    sealer = Sealer(CAROL, network_id="net", epoch=EPOCH)
    for number in range(1000):
        topic = ("", "é" * 16, "t" * 28 + f"{number:04}", f"価格/{number}")[number % 4]
        envelope = sealer.seal(6, pack({}), WALL + mesh.now, topic=topic)
        mesh.nodes[mesh.ids[0]].receive(mesh.ids[1], [0, 1, envelope.body, envelope.signature], mesh.now)
        mesh.drain(mesh.ids[0])
        mesh.run(0.05)
    mesh.run(3)
    assert [len(mesh.delivered[node_id]) for node_id in mesh.ids] == [1000] * 3
    assert [node.stats.cached for node in mesh.nodes.values()] == [1000] * 3
    assert mesh.blamed == []


@pytest.mark.parametrize("hops", [0, -1, HOPS_MAX + 1, 1 << 40])
def test_an_impossible_hop_count_is_refused_and_blocks_nothing(hops: int) -> None:
    single, envelope = Single(), seal()
    assert single.message(envelope, hops=hops) == [Blame(peer=single.peer, reason="too_many_hops")]
    assert any(isinstance(action, Deliver) for action in single.message(envelope))


def test_a_message_at_the_hop_limit_is_delivered() -> None:
    single = Single()
    assert [type(action) for action in single.message(seal(), hops=HOPS_MAX)] == [Deliver, Send]


def test_a_message_goes_neither_back_nor_to_its_author() -> None:
    single = Single()
    single.node.peer_up(STRANGER.public_key, 0)
    single.actions()
    sends = [action for action in single.message(seal()) if isinstance(action, Send)]
    assert [send.peers for send in sends] == [(single.other,)]


@pytest.mark.parametrize("payload", [b"", b"\xc1", pack([1]), pack("text")])
def test_a_signed_message_that_is_no_map_is_counted_and_not_delivered(payload: bytes) -> None:
    single = Single()
    actions = single.message(seal(payload))
    assert not any(isinstance(action, Deliver | Blame) for action in actions)
    assert single.node.stats.rejected["malformed"] == 1


def test_a_signed_message_of_a_later_version_is_relayed_and_not_delivered() -> None:
    single = Single()
    actions = single.message(seal(kind=100))
    assert [type(action) for action in actions] == [Send]
    assert single.node.stats.rejected["unknown_kind"] == 1


def test_a_later_gossip_action_is_counted_without_blame() -> None:
    single = Single()
    assert single.receive(9, "new") == []
    assert single.node.stats.rejected["unknown_kind"] == 1


@pytest.mark.parametrize(
    "fields",
    [
        [],
        ["0"],
        [0],
        [0, 1, b"body"],
        [0, "1", b"body", bytes(64)],
        [0, 1, "body", bytes(64)],
        [0, 1, b"", bytes(64)],
        [0, 1, b"body", b"short"],
        [1, b"id"],
        [1, [b"short"]],
        [1, ["text of 16 chars"]],
        [2, [1]],
        [3],
        [4, "10"],
        [5, 0, b"digest"],
        [5, 0, b"digest 8", 0, b"", b"", [[b"prefix", 1, 1, []]], 0],
        [5, 0, b"digest 8", 0, b"", b"", [[b"8 bytes.", 1, 1, [1, 2]]], 0],
        [6, "ids"],
        [-1],
    ],
)
def test_a_frame_of_another_shape_is_malformed(fields: list[Value]) -> None:
    single = Single()
    assert single.receive(*fields) == [Blame(peer=single.peer, reason="malformed")]


def test_a_list_with_too_many_ids_is_refused() -> None:
    single = Single()
    ids: list[Value] = [number.to_bytes(16, "big") for number in range(ANNOUNCED_IDS_MAX + 1)]
    assert single.receive(1, ids) == [Blame(peer=single.peer, reason="too_large")]


def test_a_peer_is_served_the_same_message_a_few_times_only() -> None:
    single = Single()
    message_id = single.node.publish({"n": 1}, 0)
    single.actions()
    answers = [single.receive(2, [message_id]) for _ in range(SERVES_MAX + 2)]
    assert [len(answer) for answer in answers] == [1] * SERVES_MAX + [0, 0]


def test_a_flood_is_dropped_before_it_is_verified() -> None:
    single = Single()
    for number in range(2 * BODIES_PER_SECOND):
        single.receive(0, 1, b"body", number.to_bytes(64, "big"))
    assert single.node.stats.rejected["malformed"] < BODIES_PER_SECOND
    assert single.node.stats.rate_limited > BODIES_PER_SECOND


def test_a_request_for_an_unknown_message_is_left_alone() -> None:
    assert Single().receive(2, [b"x" * 16]) == []


@pytest.mark.parametrize("payload", [[1], "text", None, {1: 2}, {"x": float("nan")}, {"x": "y" * 300_000}])
def test_what_cannot_be_broadcast_is_the_callers_mistake(payload: Any) -> None:
    single = Single()
    with pytest.raises(UsageError):
        single.node.publish(payload, 0)
    assert single.actions() == []
    assert single.node.stats.published == 0


values = st.recursive(
    st.integers(min_value=-2, max_value=3) | st.binary(max_size=70) | st.text(max_size=5) | st.none(),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=200)
@given(st.lists(values, max_size=6))
def test_no_fields_of_a_peer_ever_raise(fields: list[Any]) -> None:
    try:
        Single().receive(*fields)
    except DecodeError as error:  # pragma: no cover - the failure this test is for
        pytest.fail(f"{error} escaped")
