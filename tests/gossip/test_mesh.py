"""Who is in the mesh, and who of it is eager."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from node.gossip.mesh import BACKOFF, BACKOFF_MAX, Mesh, Wish
from node.gossip.settings import FULL_MESH_MAX, GossipSettings
from node.types import MILLISECOND, SECOND, NodeId

PEERS = [NodeId(bytes([number]) * 32) for number in range(30)]


def make_mesh(population: int = 100, **changes: Any) -> Mesh:
    mesh = Mesh(GossipSettings(network_id="net", epoch=1, wall_offset=0, **changes), random=Random(1))
    mesh.population = population
    return mesh


def linked(count: int, *, outbound: int = 0, population: int = 100) -> Mesh:
    mesh = make_mesh(population)
    for number in range(count):
        mesh.add(PEERS[number], 0, is_outbound=number < outbound)
    return mesh


def test_everybody_is_in_the_mesh_of_a_small_network() -> None:
    mesh = linked(FULL_MESH_MAX - 1, population=FULL_MESH_MAX)
    assert len(mesh) == FULL_MESH_MAX - 1


def test_a_link_that_comes_up_while_the_mesh_is_small_is_grafted_at_once() -> None:
    mesh = make_mesh()
    assert mesh.add(PEERS[0], 0, is_outbound=False) == [PEERS[0]]


def test_a_mesh_of_a_large_network_grafts_no_more_than_it_needs() -> None:
    assert len(linked(20)) == 6


def test_a_lost_member_is_made_up_for_at_once() -> None:
    mesh = linked(20)
    grafted = mesh.remove(mesh.members()[0], 0)
    assert len(grafted) == 2
    assert len(mesh) == 7
    assert all(Wish.NEEDY in mesh.wish(peer) for peer in grafted)


def test_links_that_this_node_dialled_hold_their_share() -> None:
    mesh = linked(20, outbound=0)
    for number in (20, 21, 22):
        mesh.add(PEERS[number], 0, is_outbound=True)
    for _ in range(3):
        mesh.maintain(0)
    assert {PEERS[20], PEERS[21], PEERS[22]} <= set(mesh.members())


def test_links_that_this_node_dialled_come_back_in_one_turn_when_they_may() -> None:
    mesh = linked(20, outbound=3)
    for number in range(3):
        mesh.pruned(PEERS[number], 10 * SECOND, 0)
    assert not set(PEERS[:3]) & set(mesh.members())
    assert set(PEERS[:3]) & set(mesh.maintain(9 * SECOND)[0]) == set()
    assert set(PEERS[:3]) <= set(mesh.maintain(10 * SECOND)[0])


def test_whoever_dials_cannot_push_out_what_this_node_dialled() -> None:
    mesh = linked(3, outbound=3)
    for number in range(3, 30):
        mesh.add(PEERS[number], 0, is_outbound=False)
        mesh.grafted(PEERS[number], Wish.NEEDY, 0)
    mesh.maintain(0)
    assert set(PEERS[:3]) <= set(mesh.members())
    assert len(mesh) <= 12


def test_a_graft_is_accepted_up_to_the_degree_and_of_a_needy_peer_up_to_the_limit() -> None:
    mesh = linked(0)
    for peer in PEERS:
        mesh.add(peer, 0, is_outbound=False)
    outside = mesh.others()
    accepted = sum(mesh.grafted(peer, Wish.EAGER, 0) for peer in outside)
    assert len(mesh) == 8
    needy = [peer for peer in mesh.others() if mesh.grafted(peer, Wish.NEEDY, 2 * SECOND)]
    assert (accepted, len(needy), len(mesh)) == (2, 4, 12)


def test_a_pruned_link_stays_out_for_its_time_and_is_refused_before() -> None:
    mesh = linked(7)
    member = mesh.members()[0]
    mesh.pruned(member, 5 * SECOND, 0)
    assert not mesh.grafted(member, Wish.EAGER, 4 * SECOND)
    assert mesh.grafted(member, Wish.EAGER, 5 * SECOND)


@pytest.mark.parametrize("backoff", [-SECOND, 0, 1000 * SECOND])
def test_no_peer_can_keep_itself_out_for_longer_than_the_limit(backoff: int) -> None:
    mesh = linked(1)
    mesh.pruned(PEERS[0], backoff, 0)
    assert mesh.graft(0) == []
    assert mesh.graft(BACKOFF_MAX) == [PEERS[0]]


def test_a_mesh_that_is_too_large_is_cut_and_keeps_the_trusted() -> None:
    mesh = linked(20, population=FULL_MESH_MAX)
    mesh.population = 100
    mesh.rank = lambda peer: float(peer in PEERS[:4])
    _, pruned, _ = mesh.maintain(0)
    assert len(mesh) == 8
    assert len(pruned) == 12
    assert set(PEERS[:4]) <= set(mesh.members())
    assert mesh.graft(BACKOFF - 1) == []


@pytest.mark.parametrize(("loss", "wanted"), [(0.0, 2), (0.01, 2), (0.05, 3), (0.1, 3), (0.2, 4), (0.9, 8)])
def test_the_number_of_eager_members_follows_the_loss(loss: float, wanted: int) -> None:
    mesh = linked(8)
    mesh.tune(loss, 0, 0)
    assert mesh.eager_wanted == wanted


def test_duplicates_of_large_messages_lower_the_number_of_eager_members() -> None:
    mesh = linked(8)
    for _ in range(5):
        mesh.tune(0.2, 100, 150)
    assert mesh.eager_wanted == 2
    for _ in range(5):
        mesh.tune(0.2, 100, 50)
    assert mesh.eager_wanted == 4


def test_the_members_that_come_first_become_eager_and_are_told() -> None:
    mesh = linked(6)
    for _ in range(20):
        for position, peer in enumerate(mesh.members()):
            mesh.arrived(peer, (6 - position) * MILLISECOND)
    _, _, changed = mesh.maintain(0)
    eager = [peer for peer in mesh.members() if Wish.EAGER in mesh.wish(peer)]
    assert eager == mesh.members()[-2:]
    assert set(eager) <= set(changed)


def test_a_busy_node_asks_for_small_messages_of_three_members_only() -> None:
    mesh = linked(6)
    mesh.is_guarded = True
    mesh.maintain(0)
    wishes = [mesh.wish(peer) for peer in mesh.members()]
    assert all(Wish.GUARDED in wish for wish in wishes)
    assert sum(Wish.EAGER in wish for wish in wishes) == 3


def test_a_member_gets_what_it_asked_for() -> None:
    mesh = linked(1)
    mesh.grafted(PEERS[0], Wish.NONE, 0)
    assert mesh.wants_body(PEERS[0], is_small=True)
    assert not mesh.wants_body(PEERS[0], is_small=False)
    mesh.grafted(PEERS[0], Wish.GUARDED, 0)
    assert not mesh.wants_body(PEERS[0], is_small=True)
    mesh.grafted(PEERS[0], Wish.EAGER | Wish.GUARDED, 0)
    assert mesh.wants_body(PEERS[0], is_small=False)


def test_a_mesh_that_was_full_makes_room_for_newcomers_when_the_network_grows() -> None:
    mesh = linked(FULL_MESH_MAX - 1, population=FULL_MESH_MAX)
    mesh.population = FULL_MESH_MAX + 1
    mesh.maintain(0)
    mesh.add(PEERS[20], 0, is_outbound=False)
    assert mesh.grafted(PEERS[20], Wish.NEEDY, 0)
