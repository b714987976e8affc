"""The gossip service by itself: a mesh of pure machines, with frames carried by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.errors import DecodeError, UsageError
from node.gossip.actions import Accuse, Blame, Deliver, Send
from node.gossip.gossip import Gossip
from node.gossip.settings import GossipSettings
from node.identity.keys import Identity
from node.messages.envelope import Envelope, Sealer
from node.messages.equivocation import Equivocation
from node.messages.frame import parse_frame
from node.messages.packing import Value, pack
from node.messages.types import MessageType
from node.types import MILLISECOND, SECOND, Instant, NodeId
from node.wire.limits import (
    ANNOUNCED_IDS_MAX,
    CLOCK_AHEAD_MAX,
    HOPS_MAX,
    LARGE_MESSAGE_BYTES,
    MESSAGE_AGE_MAX,
    SERVES_MAX,
)

WALL = 1_700_000_000 * SECOND
EPOCH = WALL // MILLISECOND
STRANGER, CAROL = Identity(b"s" * 32), Identity(b"c" * 32)


def make_gossip(identity: Identity, *, fanout: int = 3, epoch: int = EPOCH) -> Gossip:
    return Gossip(
        identity,
        GossipSettings(network_id="net", epoch=epoch, wall_offset=WALL, fanout=fanout, announce_interval=SECOND),
        random=Random(identity.node_id),
    )


class Mesh:
    """Gossip machines whose frames arrive after 10 ms, or fail when `loses` says so."""

    def __init__(self, size: int, *, fanout: int = 3) -> None:
        self.now: Instant = 0
        self.identities = [Identity(bytes([number + 1]) * 32) for number in range(size)]
        self.ids = [identity.public_key for identity in self.identities]
        self.nodes = {identity.public_key: make_gossip(identity, fanout=fanout) for identity in self.identities}
        self.delivered: dict[NodeId, list[Deliver]] = {node_id: [] for node_id in self.ids}
        self.blamed: list[Blame | Accuse] = []
        self.frames = 0
        self.under_way: list[tuple[NodeId, NodeId, Send]] = []
        self.loses: Callable[[NodeId, NodeId], bool] = lambda source, target: False

    def link(self, first: int, second: int) -> None:
        self.nodes[self.ids[first]].peer_up(self.ids[second], self.now)
        self.nodes[self.ids[second]].peer_up(self.ids[first], self.now)

    def link_all(self) -> None:
        for first in range(len(self.ids)):
            for second in range(first):
                self.link(first, second)

    def publish(self, number: int, payload: dict[str, Value]) -> bytes:
        return self.nodes[self.ids[number]].publish(payload, self.now)

    def run(self, seconds: float) -> None:
        end = self.now + round(seconds * SECOND)
        while self.now < end:
            self.step()

    def step(self) -> None:
        self.now += 10 * MILLISECOND
        arriving, self.under_way = self.under_way, []
        for source, target, send in arriving:
            if self.loses(source, target):
                self.nodes[source].send_failed(target, send.message_ids)
            else:
                self.frames += 1
                self.nodes[target].receive(source, parse_frame(send.data).fields, self.now)
        for node_id, node in self.nodes.items():
            due = node.next_timeout()
            if due is not None and due <= self.now:
                node.handle_timeout(self.now)
            self.drain(node_id)

    def drain(self, node_id: NodeId) -> None:
        while (action := self.nodes[node_id].poll_action()) is not None:
            match action:
                case Send():
                    self.under_way += [(node_id, peer, action) for peer in action.peers]
                case Deliver():
                    self.delivered[node_id].append(action)
                case Blame() | Accuse():
                    self.blamed.append(action)

    def counts(self, message_id: bytes) -> list[int]:
        """How often each node delivered that message."""
        return [[seen.message_id for seen in self.delivered[node_id]].count(message_id) for node_id in self.ids]


def test_a_broadcast_reaches_every_other_node_exactly_once_in_one_hop() -> None:
    mesh = Mesh(5)
    mesh.link_all()
    message_id = mesh.publish(0, {"text": "hello"})
    mesh.run(5)
    assert mesh.counts(message_id) == [0, 1, 1, 1, 1]
    assert {(seen.hops, str(seen.payload)) for node in mesh.ids[1:] for seen in mesh.delivered[node]} == {
        (1, "{'text': 'hello'}")
    }
    assert mesh.blamed == []


def test_copies_are_bounded_by_the_fanout_of_the_relays() -> None:
    mesh = Mesh(8, fanout=2)
    mesh.link_all()
    mesh.publish(0, {})
    mesh.run(0.5)
    assert mesh.frames == 7 + 7 * 2


def test_a_message_crosses_a_chain_of_nodes() -> None:
    mesh = Mesh(6)
    for number in range(5):
        mesh.link(number, number + 1)
    message_id = mesh.publish(0, {"n": 1})
    mesh.run(1)
    assert mesh.counts(message_id) == [0, 1, 1, 1, 1, 1]
    assert mesh.delivered[mesh.ids[5]][0].hops == 5


def test_announcements_reach_whom_the_fanout_left_out() -> None:
    # A star of stars: the hub may push to one of its seven leaves only.
    mesh = Mesh(9, fanout=1)
    for leaf in range(1, 9):
        mesh.link(0, leaf)
    message_id = mesh.publish(8, {"n": 1})
    mesh.run(3)
    assert mesh.counts(message_id) == [1, 1, 1, 1, 1, 1, 1, 1, 0]
    assert sum(node.stats.repaired for node in mesh.nodes.values()) == 6


@pytest.mark.parametrize("seed", range(5))
def test_failed_copies_are_repaired_at_heavy_loss(seed: int) -> None:
    mesh, random = Mesh(6), Random(seed)
    mesh.link_all()
    mesh.loses = lambda source, target: random.random() < 0.5
    message_ids = [mesh.publish(number % 6, {"n": number}) for number in range(60)]
    mesh.run(20)
    for number, message_id in enumerate(message_ids):
        assert mesh.counts(message_id) == [int(node != number % 6) for node in range(6)]


def test_a_peer_that_comes_up_late_gets_what_it_missed_once() -> None:
    mesh = Mesh(4)
    mesh.link(0, 1)
    message_ids = [mesh.publish(0, {"n": number}) for number in range(5)]
    mesh.run(1)
    mesh.link(1, 2)
    mesh.run(3)
    mesh.link(0, 2)
    mesh.link(0, 3)
    mesh.run(3)
    for message_id in message_ids:
        assert mesh.counts(message_id) == [0, 1, 1, 1]


def test_messages_from_before_a_restart_are_not_delivered_after_it() -> None:
    mesh = Mesh(2)
    mesh.link(0, 1)
    mesh.publish(0, {"n": 1})
    mesh.run(1)
    reborn = make_gossip(mesh.identities[1], epoch=EPOCH + 500)
    mesh.nodes[mesh.ids[1]] = reborn
    mesh.link(0, 1)
    mesh.run(3)
    assert len(mesh.delivered[mesh.ids[1]]) == 1
    assert reborn.stats.rejected["stale"] == 1
    later = mesh.publish(0, {"n": 2})
    mesh.run(1)
    assert mesh.counts(later) == [0, 1]


def test_a_large_message_is_pushed_by_its_author_and_announced_by_relays() -> None:
    mesh = Mesh(4)
    mesh.link_all()
    mesh.loses = lambda source, target: (source, target) == (mesh.ids[0], mesh.ids[3])
    message_id = mesh.publish(0, {"blob": bytes(2 * LARGE_MESSAGE_BYTES)})
    mesh.run(0.5)
    assert mesh.frames == 2
    mesh.run(3)
    assert mesh.counts(message_id) == [0, 1, 1, 1]


def test_memory_and_traffic_end_after_the_retention() -> None:
    mesh = Mesh(3)
    mesh.link_all()
    mesh.publish(0, {})
    mesh.run(65)
    assert [node.next_timeout() for node in mesh.nodes.values()] == [None, None, None]
    assert [node.stats.cached for node in mesh.nodes.values()] == [0, 0, 0]


# --- one node and hostile or unlucky input ------------------------------------------------------------------------


class Single:
    """One node with two peers."""

    def __init__(self) -> None:
        self.own = Identity(b"o" * 32)
        self.node = make_gossip(self.own)
        self.peer, self.other = NodeId(b"p" * 32), NodeId(b"q" * 32)
        self.node.peer_up(self.peer, 0)
        self.node.peer_up(self.other, 0)

    def receive(self, *fields: Value, now: Instant = 0) -> list[Any]:
        self.node.receive(self.peer, list(fields), now)
        return self.actions()

    def message(self, envelope: Envelope, hops: int = 1, now: Instant = 0) -> list[Any]:
        return self.receive(0, hops, envelope.body, envelope.signature, now=now)

    def actions(self) -> list[Any]:
        actions = []
        while (action := self.node.poll_action()) is not None:
            actions.append(action)
        return actions


def seal(
    payload: bytes = pack({}),
    *,
    author: Identity = STRANGER,
    kind: int = MessageType.GOSSIP_MESSAGE,
    network_id: str = "net",
    at: Instant = 0,
) -> Envelope:
    return Sealer(author, network_id=network_id, epoch=EPOCH).seal(kind, payload, WALL + at)


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
    single.node._origins.mark(STRANGER.public_key, EPOCH, 1)
    assert single.message(seal()) == []
    assert single.node.stats.rejected["replayed"] == 1


def test_a_message_from_the_future_is_accepted_once_its_time_is_near() -> None:
    single, envelope = Single(), seal(at=CLOCK_AHEAD_MAX + SECOND)
    assert single.message(envelope) == []
    assert any(isinstance(action, Deliver) for action in single.message(envelope, now=2 * SECOND))


@pytest.mark.parametrize("hops", [0, -1, HOPS_MAX + 1, 1 << 40])
def test_an_impossible_hop_count_is_refused_and_blocks_nothing(hops: int) -> None:
    single, envelope = Single(), seal()
    assert single.message(envelope, hops=hops) == [Blame(peer=single.peer, reason="too_many_hops")]
    assert any(isinstance(action, Deliver) for action in single.message(envelope))


def test_a_message_at_the_hop_limit_is_delivered_and_goes_no_further() -> None:
    single = Single()
    assert [type(action) for action in single.message(seal(), hops=HOPS_MAX)] == [Deliver]


def test_a_message_goes_neither_back_nor_to_its_author() -> None:
    single = Single()
    single.node.peer_up(STRANGER.public_key, 0)
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
