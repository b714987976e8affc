"""Two dials from opposite ends with any time between them: both ends keep the same one."""

from __future__ import annotations

import pytest

from node.errors import Code
from node.impairment.link import LinkSettings
from node.transport.duplicates import CROSSING_TIME, DUPLICATE_WINDOW
from node.transport.events import Closed
from node.types import MILLISECOND, SECOND, Duration, NodeId
from tests.pair import Pair, Side
from tests.transport.streams import StreamNetwork

DELAY = 10 * MILLISECOND


def key_of(side: Side) -> NodeId:
    return side.endpoint.identity.public_key


def established(side: Side) -> int:
    return sum(snapshot.state == "established" for snapshot in side.endpoint.snapshots())


@pytest.mark.parametrize("loss", [0.0, 0.2])
@pytest.mark.parametrize("is_smaller_first", [True, False])
@pytest.mark.parametrize("apart", [CROSSING_TIME, DUPLICATE_WINDOW])
@pytest.mark.must("M22")
def test_of_two_dials_whose_distance_the_ends_measure_differently_one_stays(
    apart: Duration, is_smaller_first: bool, loss: float
) -> None:
    for offset in range(-48, 49, 6):
        pair = Pair(seed=offset, link=LinkSettings(delay=2 * DELAY, loss=loss))
        sides = pair.sides if (key_of(pair.client) < key_of(pair.server)) is is_smaller_first else pair.sides[::-1]
        sides[0].connect(sides[1].address)
        pair.run((apart + offset * MILLISECOND) / SECOND)
        sides[1].connect(sides[0].address)
        pair.run(12)
        assert [established(side) for side in sides] == [1, 1], f"{offset} ms"


def test_a_peer_that_has_lost_its_connection_gets_through_with_its_second_dial() -> None:
    pair = Pair()
    larger, smaller = sorted(pair.sides, key=key_of, reverse=True)
    smaller.connect(larger.address)
    pair.run(1)
    pair.set_link(LinkSettings(loss=1.0))
    larger.endpoint.disconnect(larger.endpoint.snapshots()[0].connection, larger.now)
    larger.drain()
    pair.run(5)
    pair.set_link(LinkSettings(delay=DELAY))
    for _ in range(2):
        larger.connect(smaller.address)
        pair.run(0.1)
    assert established(larger) == established(smaller) == 1
    assert [event.code for event in smaller.of(Closed)] == [Code.REPLACED, Code.PEER_RESTARTED]


@pytest.mark.must("M22")
def test_a_dial_that_gives_way_to_an_old_connection_is_never_confirmed() -> None:
    network = StreamNetwork()
    alice, bob = network.add("alice"), network.add("bob")
    smaller, larger = sorted((alice, bob), key=lambda host: host.endpoint._identity.public_key)
    smaller.endpoint.connect(larger.address, network.now)
    network.advance(15)
    dial = larger.endpoint.connect(smaller.address, network.now)
    network.run()
    assert [(event.connection, event.code) for event in larger.of(Closed)] == [(dial, Code.REPLACED)]
    assert smaller.of(Closed) == []
    assert [len(host.endpoint.snapshots()) for host in (smaller, larger)] == [1, 1]
    assert not smaller.endpoint._half_open
    network.advance(15)
    again = larger.endpoint.connect(smaller.address, network.now)
    network.run()
    assert larger.endpoint.connection_of(smaller.endpoint._identity.public_key) == again
    assert [event.code for event in smaller.of(Closed)] == [Code.REPLACED]
