"""The gossip service by itself: a mesh of pure machines, with frames carried by hand."""

from __future__ import annotations

from random import Random

import pytest

from node.errors import Backpressure, MessageTooLarge
from node.gossip.actions import Send, Withdraw
from node.gossip.frames import Act, Urgency
from node.gossip.lane import WISHES_BURST
from node.identity.keys import Identity
from node.messages.envelope import Sealer
from node.messages.frame import parse_frame
from node.messages.packing import Value, pack
from node.types import MILLISECOND, SECOND
from node.wire.limits import (
    BUDGET_BURST,
    HOPS_MAX,
    IDS_PER_SECOND,
    LARGE_MESSAGE_BYTES,
    PAYLOAD_BYTES_MAX,
    SMALL_BODY_BYTES,
)
from tests.gossip.world import CAROL, EPOCH, WALL, Mesh, Single, make_gossip, seal


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


@pytest.mark.parametrize(("loss", "copies"), [(0.0, 1), (0.05, 2), (0.2, 5)])
def test_relays_in_a_full_mesh_push_by_the_loss_and_tell_the_rest(loss: float, copies: int) -> None:
    mesh = Mesh(10)
    mesh.link_all()
    for node in mesh.nodes.values():
        node.loss = lambda: loss
    mesh.run(2)
    mesh.publish(0, {})
    mesh.run(0.5)
    assert mesh.copies == 9 + 9 * copies
    assert sum(node.stats.announced for node in mesh.nodes.values()) <= 9 * (8 - copies)


def test_a_message_crosses_a_chain_of_nodes() -> None:
    mesh = Mesh(6)
    for number in range(5):
        mesh.link(number, number + 1)
    message_id = mesh.publish(0, {"n": 1})
    mesh.run(1)
    assert mesh.counts(message_id) == [0, 1, 1, 1, 1, 1]
    assert mesh.delivered[mesh.ids[5]][0].hops == 5


def test_who_told_of_a_message_is_sent_no_copy_of_it() -> None:
    single, envelope = Single(), seal()
    single.receive(Act.HAVE, [envelope.message_id], int(Urgency.SOON))
    single.node.receive(single.other, [0, 1, envelope.body, envelope.signature], 1)
    single.node.handle_timeout(SECOND)
    assert [action for action in single.actions() if isinstance(action, Send)] == []


@pytest.mark.parametrize(("size", "is_withdrawn"), [(SMALL_BODY_BYTES // 2, False), (2 * SMALL_BODY_BYTES, True)])
def test_a_large_copy_is_repeated_no_more_for_who_tells_of_the_message(size: int, *, is_withdrawn: bool) -> None:
    single = Single()
    message_id = single.node.publish({"blob": bytes(size)}, 0)
    single.actions()
    withdraw = Withdraw(peer=single.peer, message_id=message_id)
    assert (withdraw in single.receive(Act.HAVE, [message_id], int(Urgency.SOON))) is is_withdrawn
    assert withdraw not in single.receive(Act.HAVE, [message_id], int(Urgency.SOON))


@pytest.mark.parametrize("is_acked", [True, False])
def test_a_copy_whose_fate_is_known_is_not_withdrawn(*, is_acked: bool) -> None:
    single = Single()
    message_id = single.node.publish({"blob": bytes(4000)}, 0)
    if is_acked:
        single.node.send_acked(single.peer, [message_id])
    else:
        single.node.send_failed(single.peer, [message_id], 0)
    single.actions()
    assert not any(isinstance(action, Withdraw) for action in single.receive(Act.HAVE, [message_id], int(Urgency.SOON)))


@pytest.mark.parametrize(("loss", "round_trips"), [(0.0, 1.5), (0.05, 3.0)])
def test_who_is_told_of_a_message_waits_longer_for_a_copy_where_packets_are_lost(
    loss: float, round_trips: float
) -> None:
    single = Single()
    single.node.rtt = lambda peer: 40 * MILLISECOND
    single.node.loss = lambda: loss
    now = 2 * SECOND
    single.node.handle_timeout(now)
    single.receive(Act.HAVE, [seal().message_id], int(Urgency.SOON), now=now)
    single.node.handle_timeout(now + round(round_trips * 40 * MILLISECOND) - 1)
    assert not any(isinstance(action, Send) and action.is_request for action in single.actions())
    single.node.handle_timeout(now + round(round_trips * 40 * MILLISECOND))
    assert any(isinstance(action, Send) and action.is_request for action in single.actions())


def test_hints_reach_whom_the_copies_left_out() -> None:
    # A star: the hub pushes to one of its leaves only, since in a full mesh the author reaches everybody itself.
    mesh = Mesh(9)
    for leaf in range(1, 9):
        mesh.link(0, leaf)
    mesh.hears = lambda source, target: False
    message_id = mesh.publish(8, {"n": 1})
    mesh.run(1)
    assert mesh.counts(message_id) == [1, 1, 1, 1, 1, 1, 1, 1, 0]
    assert sum(node.stats.repaired["pull"] for node in mesh.nodes.values()) == 6


@pytest.mark.parametrize("seed", range(5))
def test_failed_copies_are_repaired_at_heavy_loss(seed: int) -> None:
    mesh, random = Mesh(6), Random(seed)
    mesh.link_all()
    mesh.loses = lambda source, target: random.random() < 0.5
    message_ids = [mesh.publish(number % 6, {"n": number}) for number in range(60)]
    # Nothing repeats a lost request here, which is why one may take a few rounds of 1.4 s.
    mesh.run(40)
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


def test_what_was_said_in_a_partition_of_minutes_reaches_the_other_side_within_six_seconds() -> None:
    mesh = Mesh(4)
    mesh.link(0, 1)
    mesh.link(2, 3)
    message_ids = []
    for number in range(90):
        message_ids.append(mesh.publish(number % 4, {"n": number}))
        mesh.run(3)
    mesh.link(1, 2)
    mesh.run(6)
    for number, message_id in enumerate(message_ids):
        assert mesh.counts(message_id) == [int(node != number % 4) for node in range(4)]


def test_members_of_the_mesh_that_drop_everything_are_got_around_by_digests() -> None:
    mesh = Mesh(4)
    mesh.link_all()
    # Node 3 gets copies and hints from nobody but hears heartbeats, and node 2 answers it.
    mesh.loses = lambda source, target: target == mesh.ids[3] and source != mesh.ids[2]
    mesh.nodes[mesh.ids[2]].mesh.pruned(mesh.ids[3], SECOND, 0)
    message_id = mesh.publish(0, {"n": 1})
    mesh.run(0.3)
    assert mesh.counts(message_id) == [0, 1, 1, 0]
    mesh.run(5)
    assert mesh.counts(message_id) == [0, 1, 1, 1]


def test_equal_nodes_with_unequal_histories_stop_asking_each_other() -> None:
    mesh = Mesh(2)
    early = make_gossip(Identity(b"e" * 32))
    early.peer_up(mesh.ids[0], 0)
    early.publish({"n": 1}, 0)
    mesh.nodes[mesh.ids[0]].publish({"n": 0}, 0)
    reborn = make_gossip(mesh.identities[1], epoch=EPOCH + 5000)
    mesh.nodes[mesh.ids[1]] = reborn
    mesh.now = 5 * SECOND
    mesh.link(0, 1)
    mesh.run(10)
    syncs = sum(node.stats.syncs for node in mesh.nodes.values())
    assert mesh.nodes[mesh.ids[0]].digest() != reborn.digest()
    mesh.publish(0, {"n": 2})
    mesh.run(30)
    assert sum(node.stats.syncs for node in mesh.nodes.values()) == syncs


def test_messages_from_before_a_restart_are_not_delivered_after_it() -> None:
    mesh = Mesh(2)
    mesh.link(0, 1)
    mesh.publish(0, {"n": 1})
    mesh.run(1)
    mesh.nodes[mesh.ids[1]] = make_gossip(mesh.identities[1], epoch=EPOCH + 500)
    mesh.link(0, 1)
    mesh.run(3)
    assert len(mesh.delivered[mesh.ids[1]]) == 1
    later = mesh.publish(0, {"n": 2})
    mesh.run(1)
    assert mesh.counts(later) == [0, 1]


@pytest.mark.parametrize("is_final", [True, False])
def test_a_node_that_remembers_gets_what_it_missed_and_nothing_twice(is_final: bool) -> None:
    mesh = Mesh(2)
    mesh.link(0, 1)
    seen = mesh.publish(0, {"n": 1})
    mesh.run(1)
    remembered = mesh.nodes[mesh.ids[1]].snapshot()
    mesh.cut(0, 1)
    missed = mesh.publish(0, {"n": 2})
    mesh.run(1)
    reborn = mesh.nodes[mesh.ids[1]] = make_gossip(mesh.identities[1], epoch=EPOCH + 2000)
    reborn.restore(remembered, since=0 if is_final else None)
    mesh.link(0, 1)
    mesh.run(5)
    assert mesh.counts(seen) == [0, 1]
    assert mesh.counts(missed) == [0, int(is_final)]


def test_a_clean_stop_does_not_bring_back_what_a_killed_life_before_it_delivered() -> None:
    mesh = Mesh(2)
    mesh.link(0, 1)
    remembered = mesh.nodes[mesh.ids[1]].snapshot()
    seen = mesh.publish(0, {"n": 1})
    mesh.run(1)  # and is killed, before the number of that message was written down
    mesh.cut(0, 1)
    short = make_gossip(mesh.identities[1], epoch=EPOCH + 1000)
    short.restore(remembered, since=None)
    mesh.run(1)
    missed = mesh.publish(0, {"n": 2})
    mesh.run(1)
    reborn = mesh.nodes[mesh.ids[1]] = make_gossip(mesh.identities[1], epoch=EPOCH + 3000)
    reborn.restore(short.snapshot(), since=short.since())
    mesh.link(0, 1)
    mesh.run(5)
    assert mesh.counts(seen) == [0, 1]
    assert mesh.counts(missed) == [0, 1]


def test_a_large_message_is_told_of_and_pulled_once_by_each() -> None:
    mesh = Mesh(4)
    mesh.link_all()
    message_id = mesh.publish(0, {"blob": bytes(2 * LARGE_MESSAGE_BYTES)})
    mesh.run(3)
    assert mesh.counts(message_id) == [0, 1, 1, 1]
    assert mesh.copies == 3


def test_a_middling_message_costs_few_copies_in_a_large_mesh() -> None:
    mesh = Mesh(20, population=100)
    mesh.link_all()
    mesh.run(5)
    for number in range(40):
        mesh.publish(number % 20, {"blob": bytes(5000)})
        mesh.run(1)
    delivered = sum(len(seen) for seen in mesh.delivered.values())
    assert delivered == 40 * 19
    # In lock step everything arrives at the same instant, which is the worst case for duplicates.
    assert mesh.copies - delivered <= 1.5 * delivered


def test_the_mesh_of_a_large_network_stays_within_its_bounds_on_both_ends() -> None:
    mesh = Mesh(40, population=100)
    mesh.link_all()
    mesh.run(5)
    sizes = [len(node.mesh) for node in mesh.nodes.values()]
    assert min(sizes) >= 6
    assert max(sizes) <= 12
    for node_id, node in mesh.nodes.items():
        assert all(node_id in mesh.nodes[member].mesh for member in node.mesh.members())


def test_what_was_agreed_with_a_process_does_not_bind_the_next_one() -> None:
    mesh = Mesh(20, population=100)
    mesh.link_all()
    mesh.run(5)
    mesh.nodes[mesh.ids[7]] = make_gossip(mesh.identities[7], epoch=EPOCH + 5000, population=100)
    for number, peer in enumerate(mesh.ids):
        if number != 7:
            mesh.nodes[mesh.ids[7]].peer_up(peer, mesh.now)
            mesh.nodes[peer].peer_up(mesh.ids[7], mesh.now)
    mesh.run(5)
    meshes = {node_id: node.mesh.members() for node_id, node in mesh.nodes.items()}
    assert {peer for peer, members in meshes.items() if mesh.ids[7] in members} == set(meshes[mesh.ids[7]])


def test_a_new_process_that_has_grafted_before_it_is_known_to_be_new_stays_in_both_meshes() -> None:
    mesh = Mesh(20, population=100)
    mesh.link_all()
    mesh.run(2)
    ids, fresh = mesh.ids, make_gossip(mesh.identities[7], epoch=EPOCH + 5000, population=100)
    mesh.nodes[ids[7]] = fresh
    for peer in ids[:7] + ids[8:]:
        fresh.peer_up(peer, mesh.now)
    mesh.run(0.1)  # what it grafts comes before the word that it is new
    for peer in ids[:7] + ids[8:]:
        mesh.nodes[peer].peer_up(ids[7], mesh.now)
    mesh.run(0.5)
    assert fresh.mesh.members()
    for peer in ids[:7] + ids[8:]:
        assert (peer in fresh.mesh) == (ids[7] in mesh.nodes[peer].mesh)


def test_a_peer_that_grafts_again_and_again_is_refused_once_a_second() -> None:
    mesh = Mesh(20, population=100)
    mesh.link_all()
    mesh.run(5)
    node = mesh.nodes[mesh.ids[0]]
    outsider = next(peer for peer in mesh.ids[1:] if peer not in node.mesh)
    for turn in range(100):
        node.receive(outsider, [Act.GRAFT, 1], mesh.now + turn * SECOND // 40)
    answers = [action for action in iter(node.poll_action, None) if isinstance(action, Send)]
    assert [(answer.peers, parse_frame(answer.data).fields[0]) for answer in answers] == [((outsider,), Act.PRUNE)] * 3
    assert outsider not in node.mesh


@pytest.mark.parametrize("fields", [[Act.GRAFT, 1], [Act.PRUNE, 0], [Act.HAVE, []], [Act.QUESTION, []]])
def test_a_flood_of_frames_that_carry_nothing_is_cut_short_and_counted(fields: list[Value]) -> None:
    mesh = Mesh(3)
    mesh.link_all()
    mesh.run(5)
    node, flooder = mesh.nodes[mesh.ids[0]], mesh.ids[1]
    for _ in range(2000):
        node.receive(flooder, fields, mesh.now)
    dropped = 2000 - (WISHES_BURST if fields[0] in (Act.GRAFT, Act.PRUNE) else IDS_PER_SECOND * BUDGET_BURST)
    assert (node.stats.rejected["rate_limited"], node.stats.rate_limited) == (dropped, dropped)
    mesh.run(70)
    assert node.mesh.members() == mesh.ids[1:]
    assert node.stats.rate_limited == dropped
    assert mesh.blamed == []


@pytest.mark.parametrize("size", [10, LARGE_MESSAGE_BYTES])
def test_a_message_travels_over_any_number_of_links_and_nobody_is_blamed(size: int) -> None:
    mesh = Mesh(HOPS_MAX + 6, population=100)
    for number in range(HOPS_MAX + 5):
        mesh.link(number, number + 1)
    message_id = mesh.publish(0, {"blob": bytes(size)})
    mesh.run(10)
    assert mesh.counts(message_id) == [0, *[1] * (HOPS_MAX + 5)]
    assert mesh.blamed == []


def test_nobody_keeps_a_message_away_by_a_number_of_hops_that_it_made_up() -> None:
    mesh = Mesh(8, population=100)
    for number in range(7):
        mesh.link(number, number + 1)
    envelope = Sealer(CAROL, network_id="net", epoch=EPOCH).seal(6, pack({}), WALL)
    mesh.nodes[mesh.ids[1]].receive(mesh.ids[0], [Act.MESSAGE, HOPS_MAX, envelope.body, envelope.signature], mesh.now)
    mesh.run(10)
    assert mesh.counts(envelope.message_id) == [1] * 8
    assert mesh.blamed == []


def test_memory_ends_after_the_retention() -> None:
    mesh = Mesh(3, retention=60 * SECOND)
    mesh.link_all()
    mesh.publish(0, {})
    mesh.run(65)
    assert [node.stats.cached for node in mesh.nodes.values()] == [0, 0, 0]


def test_a_burst_over_the_allowance_waits_its_turn_and_arrives() -> None:
    mesh = Mesh(2)
    mesh.link_all()
    message_ids = [mesh.publish(0, {"n": number}) for number in range(300)]
    mesh.run(0.1)
    assert sum(mesh.counts(message_id)[1] for message_id in message_ids) < 200
    mesh.run(8)
    assert all(mesh.counts(message_id) == [0, 1] for message_id in message_ids)
    assert mesh.nodes[mesh.ids[1]].stats.rate_limited == 0


def test_a_publisher_that_outruns_the_network_is_told_so() -> None:
    mesh = Mesh(2)
    mesh.link_all()

    def publish_much() -> None:
        for number in range(2000):
            mesh.publish(0, {"n": number, "blob": bytes(1000)})

    with pytest.raises(Backpressure):
        publish_much()
    mesh.run(8)
    mesh.publish(0, {"n": -1})


def test_what_no_message_can_hold_is_never_said_to_want_patience() -> None:
    mesh = Mesh(2)
    mesh.link_all()
    with pytest.raises(MessageTooLarge, match=str(PAYLOAD_BYTES_MAX)):
        mesh.publish(0, {"blob": bytes(PAYLOAD_BYTES_MAX)})


def test_who_acknowledged_a_copy_and_refused_it_is_not_said_to_have_it() -> None:
    mesh = Mesh(3)
    mesh.link_all()
    mesh.nodes[mesh.ids[1]].set_wall_offset(WALL + 1200 * SECOND)  # a clock so far ahead that all of it is too old
    message_id = mesh.nodes[mesh.ids[0]].publish({"n": 1}, mesh.now)
    mesh.nodes[mesh.ids[0]].follow(message_id, mesh.ids[1:], mesh.now, visit=False)
    mesh.run(2)
    assert mesh.nodes[mesh.ids[1]].stats.rejected["stale"] == 1
    assert mesh.followed[message_id].acked == 2
    assert mesh.followed[message_id].holders == (mesh.ids[2],)


def test_a_replayed_copy_of_what_an_earlier_life_delivered_is_passed_on_and_not_delivered() -> None:
    mesh = Mesh(2)
    mesh.link(0, 1)
    old = mesh.publish(0, {"n": 1})
    mesh.run(3)
    reborn = mesh.nodes[mesh.ids[1]] = make_gossip(mesh.identities[1], epoch=EPOCH + 3000)
    wall = mesh.now + WALL
    reborn.clocks.observe(mesh.ids[0], sent=wall, received_there=wall, sent_there=wall, received=wall)
    reborn.peer_up(mesh.ids[0], mesh.now)
    kept = mesh.nodes[mesh.ids[0]]._admission.store.get(old)
    assert kept is not None
    reborn.receive(mesh.ids[0], [0, 1, kept.body, kept.signature], mesh.now)
    mesh.run(7)
    assert mesh.counts(old) == [0, 1]
    assert reborn.stats.rejected["stale"] == 1
    assert reborn.stats.accepted == 1


@pytest.mark.parametrize("had_life", [True, False])
def test_what_a_life_delivered_that_left_no_memory_waits_for_its_authors_clock(had_life: bool) -> None:
    mesh = Mesh(2)
    mesh.link(0, 1)
    old = mesh.publish(0, {"n": 1})
    mesh.run(3)
    reborn = mesh.nodes[mesh.ids[1]] = make_gossip(mesh.identities[1], epoch=EPOCH + 3000)
    if had_life:
        reborn.restore([], since=None)
    reborn.peer_up(mesh.ids[0], mesh.now)
    kept = mesh.nodes[mesh.ids[0]]._admission.store.get(old)
    assert kept is not None
    reborn.receive(mesh.ids[0], [0, 1, kept.body, kept.signature], mesh.now)
    mesh.drain(mesh.ids[1])
    assert mesh.counts(old) == [0, 1 if had_life else 2]
    wall = mesh.now + WALL
    reborn.clocks.observe(mesh.ids[0], sent=wall, received_there=wall, sent_there=wall, received=wall)
    mesh.run(5)
    assert mesh.counts(old) == [0, 1 if had_life else 2]


def test_what_is_numbered_after_a_message_of_this_life_is_of_this_life_whatever_its_clock_says() -> None:
    mesh = Mesh(2)
    mesh.link_all()
    mesh.publish(0, {"n": 1})
    mesh.run(1)
    author, reader = (mesh.nodes[identifier] for identifier in mesh.ids)
    wall = mesh.now + WALL
    reader.clocks.observe(mesh.ids[0], sent=wall, received_there=wall, sent_there=wall, received=wall)
    author.set_wall_offset(WALL - 60 * SECOND)
    late = mesh.publish(0, {"n": 2})
    mesh.run(3)
    assert mesh.counts(late) == [0, 1]


def test_a_node_whose_own_clock_was_set_back_still_takes_what_others_say() -> None:
    mesh = Mesh(3)
    mesh.link_all()
    reader = mesh.nodes[mesh.ids[2]]
    reader.set_wall_offset(WALL - 60 * SECOND)
    wall = mesh.now + WALL
    ahead = wall + 60 * SECOND
    reader.clocks.observe(mesh.ids[0], sent=wall, received_there=ahead, sent_there=ahead, received=wall)
    told = mesh.publish(0, {"n": 1})
    mesh.run(3)
    assert mesh.counts(told) == [0, 1, 1]
