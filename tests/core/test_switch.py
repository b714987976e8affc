"""Which connection carries what, and what happens when it ends."""

from __future__ import annotations

from typing import Any

import pytest

from node.core.delivery import DELIVERY
from node.core.events import DataReceived, PeerDown, SendFinished
from node.core.stats import CoreStats
from node.core.switch import Endpoints, Outcome, Parcel, Switch
from node.errors import QueueFull
from node.messages.types import Carrier, MessageType
from node.transport.events import Closed, MessageFailed
from node.wire.limits import LARGE_MESSAGE_BYTES, PENDING_SENDS_MAX
from tests.core.network import Network, link, meshed

pytestmark = pytest.mark.simulator

LARGE = {"blob": bytes(4 * LARGE_MESSAGE_BYTES)}


def both(size: int, **settings: Any) -> Network:
    return meshed(size, enable_tcp=True, **settings)


def send(network: Network, number: int, target: int, payload: Any, **options: Any) -> int:
    token = network.machine(number).send(network.address(target), payload, network.world.now, **options)
    network.world.drain(network.hosts[number])
    return token


def carriers(network: Network, number: int) -> list[str]:
    return sorted(link.connection.transport for link in network.machine(number).snapshot(network.world.now).links)


def test_small_traffic_opens_no_stream() -> None:
    network = both(3)
    network.broadcast(0, {"n": 1})
    send(network, 0, 1, b"small")
    network.world.run(5)
    assert network.streams.opened == 0
    assert carriers(network, 0) == ["udp", "udp"]


def test_a_large_broadcast_goes_over_tcp_and_arrives_once() -> None:
    network = both(4)
    message_id = network.broadcast(0, LARGE)
    network.world.run(5)
    assert network.counts(message_id) == [0, 1, 1, 1]
    assert network.streams.opened == 3
    assert network.streams.bytes_carried > 3 * len(LARGE["blob"])


def test_later_large_messages_use_the_same_stream() -> None:
    network = both(2)
    tokens = [send(network, 0, 1, LARGE) for _ in range(10)]
    network.world.run(5)
    assert [finished.token for finished in network.events(0, SendFinished) if finished.error is None] == tokens
    assert network.streams.opened == 1
    assert len(network.events(1, DataReceived)) == 10


def test_large_messages_take_udp_while_tcp_is_blocked() -> None:
    network = both(3, default=link(loss=0.05))
    network.streams.is_blocked = True
    message_id = network.broadcast(0, LARGE)
    token = send(network, 0, 1, LARGE)
    network.world.run(10)
    assert network.counts(message_id) == [0, 1, 1]
    assert network.events(0, SendFinished) == [SendFinished(token=token, error=None)]
    assert network.events(0, PeerDown) == []


def test_a_stream_to_a_process_that_is_gone_delays_nobody_for_long() -> None:
    network = both(3)
    send(network, 0, 2, LARGE)
    network.world.run(2)
    network.kill(2)
    network.reboot(2)
    assert network.world.run_until(network.is_meshed, 10)
    message_id = network.broadcast(0, LARGE)
    network.world.run(3)
    assert network.counts(message_id) == [0, 1, 1]


def test_a_stream_that_carries_nothing_any_more_is_avoided() -> None:
    network = both(2)
    send(network, 0, 1, LARGE)
    network.world.run(2)
    network.streams.is_cut = True
    message_id = network.broadcast(0, LARGE)
    network.world.run(15)
    assert network.counts(message_id) == [0, 1]


def test_without_udp_everything_goes_over_tcp() -> None:
    network = Network(4, enable_udp=False, enable_tcp=True, bootstrap=(("10.0.0.1", 8889),))
    assert network.world.run_until(network.is_meshed, 10)
    small, large = network.broadcast(1, {"n": 1}), network.broadcast(2, LARGE)
    token = network.machine(3).send(("10.0.0.2", 8889), b"direct", network.world.now)
    network.world.drain(network.hosts[3])
    network.world.run(5)
    assert network.counts(small) == [1, 0, 1, 1]
    assert network.counts(large) == [1, 1, 0, 1]
    assert network.events(3, SendFinished) == [SendFinished(token=token, error=None)]
    network.world.run(30)
    assert [network.events(number, PeerDown) for number in range(4)] == [[]] * 4
    assert carriers(network, 0) == ["tcp"] * 3


def test_a_node_without_udp_joins_one_that_has_both() -> None:
    network = Network(1, enable_tcp=True)
    network.identities.append(Network(2, seed=9).identities[1])
    network.hosts.append(network.boot(1, enable_udp=False, bootstrap=(("10.0.0.1", 8889),)))
    assert network.world.run_until(network.is_meshed, 5)
    message_id = network.broadcast(0, {"n": 1})
    network.world.run(2)
    assert network.counts(message_id) == [0, 1]


def test_the_end_of_a_stream_leaves_the_peer_up() -> None:
    network = both(2)
    send(network, 0, 1, LARGE)
    network.world.run(2)
    assert carriers(network, 0) == ["tcp", "udp"]
    machine = network.machine(0)
    assert machine.tcp is not None
    connection = machine.tcp.connection_of(network.identities[1].public_key)
    assert connection is not None
    machine.tcp.disconnect(connection, network.world.now)
    machine.handle_timeout(network.world.now)
    network.world.drain(network.hosts[0])
    network.world.run(1)
    assert carriers(network, 0) == ["udp"]
    assert network.is_meshed()
    send(network, 0, 1, LARGE)
    network.world.run(2)
    assert len(network.events(1, DataReceived)) == 2


@pytest.mark.parametrize("seed", range(6))
def test_nothing_is_lost_or_doubled_while_connections_replace_each_other(seed: int) -> None:
    # Everybody sends from the first moment on, while duplicate connections are being sorted out.
    network = Network(5, seed=seed, default=link(loss=0.1))
    tokens: dict[int, list[int]] = {number: [] for number in range(5)}
    sent: dict[int, int] = dict.fromkeys(range(5), 0)
    for step in range(40):
        for number in range(5):
            target = (number + 1 + step % 4) % 5
            if network.is_active(number, target):
                tokens[number].append(send(network, number, target, {"step": step}))
                sent[target] += 1
        network.world.run(0.05)
    network.world.run(8)
    for number in range(5):
        finished = network.events(number, SendFinished)
        assert sorted(outcome.token for outcome in finished) == tokens[number]
        assert [outcome.error for outcome in finished if outcome.error is not None] == []
        assert len(network.events(number, DataReceived)) == sent[number]


class Hand:
    """A switch of its own on the UDP connection of the first of two nodes, which nothing leaves any more."""

    def __init__(self) -> None:
        self.network = meshed(2)
        machine = self.network.machine(0)
        self.now = self.network.world.now
        assert machine.udp is not None
        self.endpoint = machine.udp
        peer = machine.peers.table.get(self.network.identities[1].public_key)
        assert peer is not None
        self.peer = peer
        self.stats = CoreStats()
        self.switch = Switch(Endpoints(udp=machine.udp, tcp=None), self.stats)

    def send(self, name: bytes) -> None:
        route = DELIVERY[MessageType.GOSSIP_MESSAGE]
        parcel = Parcel(
            kind=MessageType.GOSSIP_MESSAGE, data=bytes(4000), route=route, deadline=None, purpose=name, name=name
        )
        self.switch.send(self.peer, parcel, self.now)

    def outcomes(self) -> list[Outcome]:
        while self.endpoint.poll_transmit(self.now) is not None:
            pass
        while (event := self.endpoint.poll_event()) is not None:
            assert isinstance(event, MessageFailed)
            assert self.switch.failed(Carrier.UDP, event, self.now)
        return list(iter(self.switch.poll_outcome, None))


def test_what_the_peer_has_from_others_is_given_up_as_if_it_were_acknowledged() -> None:
    hand = Hand()
    hand.send(b"first")
    hand.send(b"second")
    hand.switch.withdraw(hand.peer, b"second", hand.now)
    hand.switch.withdraw(hand.peer, b"second", hand.now)
    hand.switch.withdraw(hand.peer, b"third", hand.now)
    assert hand.outcomes() == [Outcome(hand.peer.node_id, b"second", None)]
    assert hand.stats.withdrawn == 1


def test_what_was_given_up_is_not_said_to_be_lost_with_its_connection() -> None:
    hand = Hand()
    hand.send(b"first")
    hand.send(b"second")
    hand.switch.withdraw(hand.peer, b"second", hand.now)
    (used,) = hand.peer.links
    hand.endpoint.disconnect(used.connection, hand.now)
    closed = hand.endpoint.poll_event()
    while not isinstance(closed, Closed):
        assert closed is not None
        closed = hand.endpoint.poll_event()
    hand.switch.closed(used, closed)
    assert {outcome.purpose: outcome.error is None for outcome in iter(hand.switch.poll_outcome, None)} == {
        b"first": False,
        b"second": True,
    }


def test_pending_messages_are_bounded() -> None:
    network = Network(1)
    for _ in range(PENDING_SENDS_MAX):
        network.machine(0).send(("10.7.7.7", 7), {}, network.world.now)
    with pytest.raises(QueueFull):
        network.machine(0).send(("10.7.7.7", 7), {}, network.world.now)


def test_carriers_have_the_names_of_snapshots() -> None:
    assert [carrier.value for carrier in Carrier] == ["udp", "tcp"]
