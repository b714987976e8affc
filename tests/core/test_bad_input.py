"""Each way in which a message can be wrong, said over an authenticated link by a peer with a key of its own.

One row per way: it has its own counter, the peer that passed it on answers for it or nobody does, the author that it
names never does, and everybody stays connected.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from node.core.events import DataReceived, PeerDown
from node.gossip.frames import Act, Urgency, encode, encode_ids
from node.messages.envelope import Envelope, Sealer, message_id
from node.messages.packing import pack, unpack_list
from node.messages.types import MessageType
from node.peers.notices import INCARNATION_MAX, Accused, Presence, accusation
from node.transport.events import Delivery
from node.transport.packet import Message
from node.types import MILLISECOND, SECOND, Duration
from node.wire.limits import CLOCK_AHEAD_MAX, CLOCK_SKEW_MAX, MESSAGE_AGE_MAX, PAYLOAD_BYTES_MAX
from tests.core.network import WALL, Network, meshed

pytestmark = pytest.mark.simulator

VICTIM, AUTHOR, RELAY = 0, 1, 2
"""Who receives, whom the message names as its author, and who says it."""

EPOCH = WALL // MILLISECOND + 1
"""Of the author's stream that the test makes: its own node broadcasts under another one."""


@dataclass
class Bench:
    """A network of three, and envelopes as its second node would sign them.

    is_told: the victim is told of each message first, and asks for it. asked: how often it has.
    """

    network: Network
    sealer: Sealer
    is_told: bool = False
    asked: int = 0

    def seal(
        self, *, at: Duration = 0, kind: int = MessageType.GOSSIP_MESSAGE, payload: bytes = pack({"n": 1})
    ) -> Envelope:
        return self.sealer.seal(kind, payload, WALL + self.network.world.now + at)

    def signed(self, who: int, *, network_id: str = "positron", sequence: int = 1) -> Envelope:
        sealer = Sealer(self.network.identities[who], network_id=network_id, epoch=EPOCH)
        for _ in range(sequence - 1):
            sealer.seal(MessageType.GOSSIP_MESSAGE, b"", WALL)
        return sealer.seal(MessageType.GOSSIP_MESSAGE, pack({"n": 2}), WALL + self.network.world.now)

    def say(self, body: bytes, signature: bytes) -> None:
        """The relay says it to the victim alone."""
        if self.is_told:
            self._send(encode_ids(Act.HAVE, [message_id(body, signature)], Urgency.NOW))
            assert self.network.machine(VICTIM).gossip.stats.requested == self.asked + 1
            self.asked += 1
        self._send(encode(Act.MESSAGE, 1, body, signature))

    def _send(self, frame: bytes) -> None:
        network = self.network
        endpoint = network.machine(RELAY).tcp or network.machine(RELAY).udp
        assert endpoint is not None
        handle = endpoint.connection_of(network.identities[VICTIM].public_key)
        assert handle is not None
        deadline = network.world.now + 5 * SECOND
        endpoint.send(handle, Message(frame, Delivery.RELIABLE, deadline), network.world.now)
        network.world.drain(network.hosts[RELAY])
        network.world.run(1)

    def wait(self, seconds: float) -> None:
        self.network.world.run(seconds)


Wrong = Callable[[Bench], tuple[bytes, bytes]]


def unsigned(bench: Bench) -> tuple[bytes, bytes]:
    return bench.seal().body, b""


def signed_with_zeros(bench: Bench) -> tuple[bytes, bytes]:
    return bench.seal().body, bytes(64)


def wrong_key(bench: Bench) -> tuple[bytes, bytes]:
    """Signed by the relay itself, in the author's name."""
    fields = unpack_list(bench.signed(RELAY).body, 9)
    fields[2] = bench.network.identities[AUTHOR].public_key
    body = pack(fields)
    domain = bench.network.machine(RELAY).gossip._admission._domain
    return body, bench.network.identities[RELAY].sign(domain + body)


def altered(bench: Bench) -> tuple[bytes, bytes]:
    envelope = bench.seal()
    return envelope.body.replace(b"n\x01", b"n\x02"), envelope.signature


def made_up(bench: Bench) -> tuple[bytes, bytes]:
    return bench.seal().body, b"s" * 64


def delivered_and_then_unsigned(bench: Bench) -> tuple[bytes, bytes]:
    envelope = bench.seal()
    bench.say(envelope.body, envelope.signature)
    return envelope.body, bytes(64)


def delivered_and_then_altered(bench: Bench) -> tuple[bytes, bytes]:
    """The same body with another signature."""
    envelope = bench.seal()
    bench.say(envelope.body, envelope.signature)
    return envelope.body, envelope.signature[::-1]


def in_the_name_of_the_victim(bench: Bench) -> tuple[bytes, bytes]:
    envelope = bench.signed(VICTIM)
    return envelope.body, b"s" * 64


def an_earlier_life_of_the_victim(bench: Bench) -> tuple[bytes, bytes]:
    envelope = bench.signed(VICTIM)
    return envelope.body, envelope.signature


def replayed(bench: Bench) -> tuple[bytes, bytes]:
    """Delivered once, and forgotten by its id since."""
    envelope = bench.seal()
    bench.say(envelope.body, envelope.signature)
    bench.network.machine(VICTIM).gossip._admission.seen._ids.clear()
    return envelope.body, envelope.signature


def old(bench: Bench) -> tuple[bytes, bytes]:
    envelope = bench.seal(at=-MESSAGE_AGE_MAX - CLOCK_SKEW_MAX - SECOND)
    return envelope.body, envelope.signature


def future(bench: Bench) -> tuple[bytes, bytes]:
    envelope = bench.seal(at=CLOCK_AHEAD_MAX + CLOCK_SKEW_MAX + SECOND)
    return envelope.body, envelope.signature


def wrong_network(bench: Bench) -> tuple[bytes, bytes]:
    envelope = bench.signed(AUTHOR, network_id="elsewhere")
    return envelope.body, envelope.signature


def oversized(bench: Bench) -> tuple[bytes, bytes]:
    fields = unpack_list(bench.seal().body, 9)
    fields[7] = bytes(PAYLOAD_BYTES_MAX + 1)
    body = pack(fields)
    domain = bench.network.machine(AUTHOR).gossip._admission._domain
    return body, bench.network.identities[AUTHOR].sign(domain + body)


def equivocating(bench: Bench) -> tuple[bytes, bytes]:
    first, second = bench.seal(), bench.signed(AUTHOR)
    assert (first.epoch, first.sequence) == (second.epoch, second.sequence)
    bench.say(first.body, first.signature)
    return second.body, second.signature


def unknown_kind(bench: Bench) -> tuple[bytes, bytes]:
    envelope = bench.seal(kind=100)
    return envelope.body, envelope.signature


# What it is, its counter, whether the peer that said it answers for it, whether the author does, deliveries before it.
TABLE: tuple[tuple[Wrong, str, bool, bool, int], ...] = (
    (unsigned, "unsigned", True, False, 0),
    (signed_with_zeros, "unsigned", True, False, 0),
    (wrong_key, "wrong_key", True, False, 0),
    (altered, "bad_signature", True, False, 0),
    (made_up, "bad_signature", True, False, 0),
    (delivered_and_then_unsigned, "unsigned", True, False, 1),
    (delivered_and_then_altered, "bad_signature", True, False, 1),
    (in_the_name_of_the_victim, "bad_signature", True, False, 0),
    (an_earlier_life_of_the_victim, "own_origin", False, False, 0),
    (replayed, "replayed", False, False, 1),
    (old, "stale", False, False, 0),
    (future, "future", False, False, 0),
    (wrong_network, "wrong_network", True, False, 0),
    (oversized, "too_large", True, False, 0),
    (equivocating, "equivocating", False, True, 1),
    (unknown_kind, "unknown_kind", False, False, 0),
)


@pytest.mark.parametrize("way", [{}, {"enable_udp": False, "enable_tcp": True}, {"is_told": True}])
@pytest.mark.parametrize(("wrong", "reason", "blames_relay", "blames_author", "delivered"), TABLE)
def test_each_wrong_message_has_its_counter_and_harms_nobody_but_who_is_to_blame(
    wrong: Wrong, reason: str, blames_relay: bool, blames_author: bool, delivered: int, way: dict[str, bool]
) -> None:
    is_told, carriers = way.get("is_told", False), {name: value for name, value in way.items() if name != "is_told"}
    seed = ("10.0.0.1", 8889 if carriers else 8888)
    network = meshed(3, bootstrap=(seed,), **carriers)
    bench = Bench(network, Sealer(network.identities[AUTHOR], network_id="positron", epoch=EPOCH), is_told)
    body, signature = wrong(bench)
    bench.say(body, signature)
    victim = network.machine(VICTIM)
    counted = {name: count for name, count in victim.gossip.stats.rejected.items() if count}
    assert counted == {reason: 1}
    assert len(network.events(VICTIM, DataReceived)) == delivered
    entries = {entry.node_id: entry for entry in victim.trust.overview(network.world.now).entries}
    blamed = {who: bool(entries[network.identities[who].public_key].penalties) for who in (AUTHOR, RELAY)}
    assert blamed == {AUTHOR: blames_author, RELAY: blames_relay}
    if not blames_author:
        assert network.events(VICTIM, PeerDown) == []
        assert network.is_meshed()


def test_a_hundred_forgeries_in_the_name_of_a_peer_cost_it_nothing() -> None:
    network = meshed(3)
    bench = Bench(network, Sealer(network.identities[AUTHOR], network_id="positron", epoch=EPOCH))
    for number in range(100):
        if not network.is_active(RELAY, VICTIM):
            break
        bench.say(bench.seal().body, bytes([number]) * 64)
    author, relay = (network.identities[who].public_key for who in (AUTHOR, RELAY))
    victim = network.machine(VICTIM)
    assert victim.trust.is_banned(relay, network.world.now)
    assert victim.trust.rank(author) >= 0
    assert [event.node_id for event in network.events(VICTIM, PeerDown)] == [relay]
    message = network.broadcast(AUTHOR, {"still": "heard"})
    network.world.run(2)
    assert network.counts(message)[VICTIM] == 1


@pytest.mark.parametrize("kind", [MessageType.SUSPECT, MessageType.DEAD])
def test_a_connected_peer_is_not_cut_off_by_the_word_of_another(kind: MessageType) -> None:
    network = meshed(3)
    author = network.identities[AUTHOR].public_key
    for incarnation in (1, EPOCH, INCARNATION_MAX):
        for _ in range(5):
            payload = accusation([Accused(author, incarnation)])
            network.machine(RELAY).gossip.notify(kind, payload, network.world.now)
            network.machine(RELAY).handle_timeout(network.world.now)
            network.world.drain(network.hosts[RELAY])
            network.world.run(1)
    assert network.events(VICTIM, PeerDown) == []
    assert network.is_meshed()
    # However high the incarnation was, the next true accusation and refutation still count.
    assert network.machine(AUTHOR).peers.membership.incarnation < INCARNATION_MAX // 2


@pytest.mark.parametrize("kind", [MessageType.MEMBER, MessageType.LEAVE])
def test_a_connected_peer_is_neither_moved_nor_sent_away_in_its_name(kind: MessageType) -> None:
    network = meshed(3)
    author = network.identities[AUTHOR].public_key
    before = network.machine(VICTIM).peers.table.get(author)
    assert before is not None
    address, record = before.address, before.record
    presence = Presence(incarnation=2 * EPOCH, host="10.6.6.6", udp_port=6, tcp_port=6, name="taken")
    payload = presence.packed() if kind is MessageType.MEMBER else pack([2 * EPOCH])
    bench = Bench(network, Sealer(network.identities[AUTHOR], network_id="positron", epoch=EPOCH))
    envelope = bench.seal(kind=kind, payload=payload)
    bench.say(envelope.body, bytes(64))
    bench.say(envelope.body, network.identities[RELAY].sign(envelope.body))
    network.world.run(10)
    after = network.machine(VICTIM).peers.table.get(author)
    assert after is not None
    assert (after.address, after.record, after.name) == (address, record, "node-1")
    assert network.events(VICTIM, PeerDown) == []
    assert network.is_meshed()
