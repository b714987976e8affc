"""Two nodes that dial each other again and again end up with one connection that both of them use.

Dials cross, repeat and get lost; processes are killed and come back with their key at their address. When the network
is well again and nobody dials any more, each side holds one established connection, it is the same one, and messages
pass over it in both directions.
"""

from __future__ import annotations

from random import Random

import pytest

from node.errors import Code
from node.impairment.link import LinkSettings, Order
from node.transport.connection import Connection
from node.transport.endpoint import Endpoint
from node.transport.events import Closed, Connected, Delivery
from node.transport.packet import Message
from node.transport.settings import TransportSettings
from node.types import MILLISECOND, SECOND, Address, NodeId, from_seconds
from tests.pair import CLIENT, SERVER, Pair, Side, make_side

SEEDS = range(60)
WILD_SECONDS = 20.0
CLEAN = LinkSettings(delay=10 * MILLISECOND)


class Meeting:
    """Two nodes, their wild time, and the state in which it leaves them."""

    def __init__(self, seed: int) -> None:
        self.random = Random(f"meeting {seed}")
        self.settings = TransportSettings(min_rto=100 * MILLISECOND, idle_timeout=30 * SECOND)
        self.pair = Pair(seed=seed, link=self._link(), client_settings=self.settings)
        self.sides: dict[Address, Side] = {CLIENT: self.pair.client, SERVER: self.pair.server}
        self.ended: list[Side] = []

    def run(self) -> None:
        world, random = self.pair.world, self.random
        for _ in range(random.randrange(2, 12)):
            at = from_seconds(random.uniform(0, WILD_SECONDS))
            address = random.choice((CLIENT, SERVER))
            action = random.choice((self._dial, self._dial, self._dial, self._restart, self._disconnect, self._change))
            world.call_at(at, lambda action=action, address=address: action(address))
        # Dials that cross are what this is about, so every meeting has some.
        crossing = from_seconds(random.uniform(0, WILD_SECONDS))
        for address in (CLIENT, SERVER):
            at = crossing + random.randrange(0, 60) * MILLISECOND
            world.call_at(at, lambda address=address: self._dial(address))
        world.run(WILD_SECONDS)
        world.set_link(CLIENT, SERVER, CLEAN)
        self._settle()

    def _settle(self) -> None:
        """As nodes do: whoever has no connection dials, until both agree."""
        for _ in range(8):
            self.pair.world.run(12)
            if all(len(established(side)) == 1 for side in self.sides.values()):
                return
            for address, side in self.sides.items():
                if not established(side):
                    self._dial(address)

    def _link(self) -> LinkSettings:
        random = self.random
        return LinkSettings(
            delay=random.choice((1, 20, 100)) * MILLISECOND,
            jitter=random.choice((0, 20)) * MILLISECOND,
            order=random.choice(tuple(Order)),
            loss=random.choice((0.0, 0.1, 0.3)),
            duplicate=random.choice((0.0, 0.3)),
        )

    def _dial(self, address: Address) -> None:
        side = self.sides[address]
        if len(side.endpoint.snapshots()) < 20:
            side.connect(other(address))

    def _restart(self, address: Address) -> None:
        self.ended.append(self.sides[address])
        number = len(self.ended)
        identity = 1 if address == CLIENT else 2
        self.sides[address] = make_side(
            self.pair.world, address, self.settings, seed=f"{self.pair.seed} life {number}", identity=identity
        )
        self._dial(address)

    def _disconnect(self, address: Address) -> None:
        side = self.sides[address]
        for handle in established(side):
            side.endpoint.disconnect(handle, side.now)
        side.drain()

    def _change(self, _address: Address) -> None:
        self.pair.set_link(self._link())


def other(address: Address) -> Address:
    return SERVER if address == CLIENT else CLIENT


def key_of(endpoint: Endpoint) -> NodeId:
    return endpoint.identity.public_key


def established(side: Side) -> list[int]:
    return [snapshot.connection for snapshot in side.endpoint.snapshots() if snapshot.state == "established"]


def peer_cid(connection: Connection) -> int:
    assert connection._protection is not None
    return connection._protection.peer_cid


@pytest.mark.parametrize("seed", SEEDS)
def test_two_nodes_end_up_with_one_connection_that_both_use(seed: int) -> None:
    meeting = Meeting(seed)
    meeting.run()
    ends = []
    for address, side in meeting.sides.items():
        peer = meeting.sides[other(address)]
        (handle,) = established(side)
        assert side.endpoint.connection_of(key_of(peer.endpoint)) == handle
        ends.append(side.endpoint.connections[handle])
        side.endpoint.send(handle, Message(b"hello", Delivery.RELIABLE), side.now)
        side.drain()
    assert ends[0].origin.local_id == peer_cid(ends[1])
    assert ends[1].origin.local_id == peer_cid(ends[0])
    meeting.pair.world.run(5)
    assert all(b"hello" in side.received() for side in meeting.sides.values())


@pytest.mark.parametrize("seed", SEEDS)
def test_what_a_node_is_told_of_its_connections_adds_up(seed: int) -> None:
    meeting = Meeting(seed)
    meeting.run()
    for side in meeting.sides.values():
        open_now: list[int] = []
        for event in side.events:
            if isinstance(event, Connected):
                assert event.connection not in open_now
                open_now.append(event.connection)
            elif isinstance(event, Closed):
                if event.connection in open_now:
                    open_now.remove(event.connection)
                # Never more than the one in use and the one that it replaces.
                assert event.code is not Code.INTERNAL_ERROR
            assert len(open_now) <= 2
        assert open_now == established(side)
