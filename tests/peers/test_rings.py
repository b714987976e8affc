"""Who watches whom."""

from __future__ import annotations

from random import Random

from node.peers.rings import Rings
from node.types import NodeId


def keys(count: int) -> list[NodeId]:
    random = Random(1)
    return [NodeId(random.randbytes(32)) for _ in range(count)]


def test_watching_is_mutual_whoever_draws_the_rings() -> None:
    members = keys(50)
    views = {}
    for own in members:
        rings = Rings(own)
        for other in members:
            if other != own:
                rings.add(other)
        views[own] = rings.neighbours(own)
    assert all(own in views[other] for own in members for other in views[own])
    assert all(6 <= len(around) <= 8 for around in views.values())


def test_in_a_small_network_everybody_watches_everybody() -> None:
    members = keys(5)
    rings = Rings(members[0])
    for other in members[1:]:
        rings.add(other)
    assert sorted(rings.neighbours(members[0])) == sorted(members[1:])


def test_a_node_alone_watches_nobody() -> None:
    (own,) = keys(1)
    assert Rings(own).neighbours(own) == []


def test_who_is_gone_is_nobodys_neighbour() -> None:
    members = keys(30)
    rings = Rings(members[0])
    for other in members[1:]:
        rings.add(other)
    for other in rings.neighbours(members[0]):
        rings.remove(other)
        assert other not in rings.neighbours(members[0])
    rings.remove(NodeId(bytes(32)))
    assert len(rings) >= 20


def test_the_places_around_somebody_who_is_not_there_are_known() -> None:
    own, gone, *others = keys(20)
    rings = Rings(own)
    for other in others:
        rings.add(other)
    assert 1 <= len(rings.neighbours(gone)) <= 8
    assert gone not in rings.neighbours(gone)


def test_those_around_a_member_come_in_eight_directions_the_nearest_first() -> None:
    own, *others = keys(40)
    rings = Rings(own)
    for other in others:
        rings.add(other)
    around = rings.around(own, 3)
    assert [len(near) for near in around] == [3] * 8
    assert list(dict.fromkeys(near[0] for near in around)) == rings.neighbours(own)
    for nearest in {near[0] for near in around}:
        rings.remove(nearest)
    assert {near[1] for near in around} - set(rings.neighbours(own)) <= {near[0] for near in around}


def test_nobody_is_around_a_node_alone() -> None:
    (own,) = keys(1)
    assert Rings(own).around(own, 8) == [[]] * 8
