"""Whole nodes in virtual time: joining, spreading, losing and finding each other again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random

import pytest

from node.core.events import (
    BroadcastProgress,
    DataReceived,
    PeerDown,
    PeerUp,
    SendFinished,
)
from node.errors import Backpressure, NotRunning, UsageError
from node.identity.keys import Identity
from node.peers.table import PeerState
from node.sim.cheap import cheap_crypto
from node.sim.network import Network as Simulation
from node.sim.network import NetworkSettings as SimulationSettings
from node.types import MILLISECOND, SECOND
from node.wire.limits import LARGE_MESSAGE_BYTES
from tests.core.network import WALL, Network, link, meshed

pytestmark = pytest.mark.simulator


# --- joining --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "loss", "seconds"), [(2, 0.0, 0.5), (5, 0.0, 1.5), (5, 0.1, 4), (12, 0.1, 5)])
def test_every_node_finds_every_other_through_one_seed(size: int, loss: float, seconds: float) -> None:
    network = Network(size, default=link(loss=loss))
    assert network.world.run_until(network.is_meshed, seconds)


def test_each_peer_is_reported_once_with_its_name_and_address() -> None:
    network = meshed(4)
    network.world.run(5)
    for number in range(4):
        ups = network.events(number, PeerUp)
        others = [other for other in range(4) if other != number]
        assert sorted(up.name for up in ups) == [f"node-{other}" for other in others]
        assert sorted(up.address for up in ups) == [network.address(other) for other in others]
        assert network.events(number, PeerDown) == []


def test_a_node_is_ready_with_its_first_peer_and_a_seed_at_once() -> None:
    network = Network(2)
    assert network.machine(0).snapshot(0).is_ready
    assert not network.machine(1).snapshot(0).is_ready
    network.world.run(1)
    assert network.machine(1).snapshot(network.world.now).is_ready


def test_two_nodes_that_dial_each_other_at_once_stay_connected_once() -> None:
    network = Network(1)
    network.identities.append(Identity(b"z" * 32))
    network.hosts.append(network.boot(1))
    network.machine(0).add_bootstrap(network.address(1), network.world.now)
    network.world.drain(network.hosts[0])
    network.world.run(3)
    assert network.is_meshed()
    assert [len(network.machine(number).snapshot(network.world.now).links) for number in (0, 1)] == [1, 1]


def test_bootstrap_is_dialled_until_somebody_answers() -> None:
    network = Network(2)
    network.kill(0)
    network.world.run(60)
    network.reboot(0)
    assert network.world.run_until(network.is_meshed, 10)


# --- broadcast ------------------------------------------------------------------------------------------------------


def test_two_hundred_broadcasts_reach_every_node_exactly_once_at_ten_percent_loss() -> None:
    network = meshed(5, default=link(delay=0.02, loss=0.1))
    message_ids = []
    for number in range(200):
        message_ids.append(network.broadcast(number % 5, {"number": number}))
        network.world.run(0.02)
    network.world.run(5)
    for number, message_id in enumerate(message_ids):
        assert network.counts(message_id) == [int(node != number % 5) for node in range(5)]


def test_two_hundred_broadcasts_at_once_reach_every_node_exactly_once() -> None:
    network = meshed(5, default=link(delay=0.02, loss=0.1))
    message_ids = [network.broadcast(0, {"number": number}) for number in range(200)]
    network.world.run(10)
    for message_id in message_ids:
        assert network.counts(message_id) == [0, 1, 1, 1, 1]


def test_a_broadcast_carries_its_author_its_way_and_its_age() -> None:
    network = meshed(2, default=link(delay=0.02))
    message_id = network.broadcast(0, {"text": "hello", "list": [1, 2.5, None, b"bytes"]})
    network.world.run(1)
    (received,) = network.events(1, DataReceived)
    assert received.message_id == message_id
    assert received.origin == network.identities[0].public_key
    assert received.payload == {"text": "hello", "list": [1, 2.5, None, b"bytes"]}
    assert (received.hops, received.is_broadcast) == (1, True)
    assert 20 * MILLISECOND <= received.age <= 25 * MILLISECOND


def test_a_broadcast_goes_around_a_pair_that_cannot_reach_each_other() -> None:
    network = Network(4)
    network.world.set_link(network.address(1), network.address(2), link(loss=1.0))
    network.world.run(5)
    assert not network.is_active(1, 2)
    message_id = network.broadcast(1, {"n": 1})
    network.world.run(3)
    assert network.counts(message_id) == [1, 0, 1, 1]


def test_a_message_made_in_a_partition_reaches_the_other_side_when_it_heals() -> None:
    network = meshed(4)
    for left in (0, 1):
        for right in (2, 3):
            network.world.set_link(network.address(left), network.address(right), link(loss=1.0))
    network.world.run(20)
    assert not network.is_active(0, 2)
    message_id = network.broadcast(0, {"n": 1})
    network.world.run(10)
    assert network.counts(message_id) == [0, 1, 0, 0]
    for left in (0, 1):
        for right in (2, 3):
            network.world.set_link(network.address(left), network.address(right), link())
    assert network.world.run_until(network.is_meshed, 10)
    network.world.run(3)
    assert network.counts(message_id) == [0, 1, 1, 1]


def test_a_large_broadcast_arrives_without_tcp_too() -> None:
    network = meshed(4, default=link(loss=0.05))
    message_id = network.broadcast(0, {"blob": bytes(4 * LARGE_MESSAGE_BYTES)})
    network.world.run(10)
    assert network.counts(message_id) == [0, 1, 1, 1]


@pytest.mark.parametrize("skew", [-60 * SECOND, 60 * SECOND])
def test_a_clock_that_is_a_minute_wrong_changes_nothing(skew: int) -> None:
    network = meshed(3)
    network.kill(2)
    network.world.run(1)
    network.reboot(2, skew=skew)
    assert network.world.run_until(network.is_meshed, 10)
    from_it, to_it = network.broadcast(2, {"n": 1}), network.broadcast(0, {"n": 2})
    network.world.run(1)
    assert network.counts(from_it) == [1, 1, 0]
    assert network.counts(to_it) == [0, 1, 1]


# --- losing and finding ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [0, 2])
def test_a_node_that_is_killed_and_restarted_is_back_within_ten_seconds(number: int) -> None:
    network = meshed(4, default=link(loss=0.1))
    network.kill(number)
    network.world.run(2)
    network.reboot(number)
    assert network.world.run_until(network.is_meshed, 10)
    message_id = network.broadcast(number, {"n": 1})
    other = network.broadcast(1, {"n": 2})
    network.world.run(3)
    assert network.counts(message_id) == [int(node != number) for node in range(4)]
    assert network.counts(other) == [int(node != 1) for node in range(4)]


def test_a_seed_that_restarts_with_no_bootstrap_is_found_again_within_ten_seconds() -> None:
    network = meshed(3)
    network.kill(0)
    network.reboot(0)
    assert network.world.run_until(network.is_meshed, 10)


def test_a_killed_node_is_down_within_seven_heartbeats() -> None:
    network = meshed(3)
    network.kill(2)
    assert network.world.run_until(lambda: not network.is_active(0, 2) and not network.is_active(1, 2), 7.5)
    (down,) = network.events(0, PeerDown)
    assert (down.name, down.reason) == ("node-2", "idle_timeout")


def test_a_node_that_stops_is_down_at_once_and_said_so() -> None:
    network = meshed(3)
    network.stop(2)
    network.world.run(0.1)
    (down,) = network.events(0, PeerDown)
    assert (down.name, down.reason) == ("node-2", "left")
    assert network.machine(2).snapshot(network.world.now).state == "stopped"


def test_a_lost_peer_is_dialled_for_ever() -> None:
    network = meshed(2)
    network.kill(1)
    network.world.run(600)
    network.reboot(1, bootstrap=())
    assert network.world.run_until(network.is_meshed, 10)


def test_nobody_is_given_up_at_twenty_percent_loss() -> None:
    network = meshed(5, default=link(loss=0.2))
    network.world.run(120)
    assert [network.events(number, PeerDown) for number in range(5)] == [[]] * 5


def test_a_node_that_pauses_for_a_second_loses_nobody() -> None:
    network = meshed(6)
    for _ in range(10):
        network.world.pause(network.hosts[2], 1 * SECOND)
        network.world.run(2)
    assert [network.events(number, PeerDown) for number in range(6)] == [[]] * 6


def test_a_node_that_pauses_for_ten_seconds_is_back_everywhere_two_seconds_later_and_missed_nothing() -> None:
    network = meshed(6)
    network.world.pause(network.hosts[2], 10 * SECOND)
    network.world.run(8)
    assert not network.is_active(0, 2)
    message_id = network.broadcast(0, {"n": 1})
    network.world.run(2)
    assert network.world.run_until(network.is_meshed, 2)
    network.world.run(3)
    assert network.counts(message_id) == [0, 1, 1, 1, 1, 1]


def test_a_silent_peer_is_slow_first_and_up_again_when_it_is_heard() -> None:
    network = meshed(2)
    network.world.set_link(network.address(0), network.address(1), link(loss=1.0))
    network.world.run(2.2)
    peer = network.machine(0).find(network.address(1))
    assert peer is not None
    assert peer.state is PeerState.SLOW
    network.world.set_link(network.address(0), network.address(1), link())
    network.world.run(2)
    assert network.is_meshed()


# --- receipts and clocks --------------------------------------------------------------------------------------------


def test_a_followed_broadcast_reports_until_every_member_has_it_also_those_without_a_link() -> None:
    network = Network(40)
    assert network.world.run_until(lambda: network.machine(39).peers.members.population == 40, 10)
    network.world.run(5)
    machine = network.machine(3)
    assert len(machine.peers.table.active()) < 30
    message_id = machine.broadcast({"n": 1}, network.world.now, follow=True, visit=True)
    network.world.drain(network.hosts[3])
    network.world.run(3)
    last = network.events(3, BroadcastProgress)[-1]
    assert (last.message_id, last.covered, last.members) == (message_id, 39, 39)
    assert last.acked >= 6
    machine.unfollow(message_id)
    network.world.run(1)
    reports = len(network.events(3, BroadcastProgress))
    network.world.run(5)
    assert len(network.events(3, BroadcastProgress)) == reports


def followed(network: Network, number: int, *, visit: bool) -> Callable[[], BroadcastProgress]:
    """Broadcasts from that node; how far it has come when that is asked."""
    message_id = network.machine(number).broadcast({"n": 1}, network.world.now, follow=True, visit=visit)
    network.world.drain(network.hosts[number])

    def progress() -> BroadcastProgress:
        told = [event for event in network.events(number, BroadcastProgress) if event.message_id == message_id]
        return told[-1] if told else BroadcastProgress(message_id=message_id, acked=0, covered=0, members=-1)

    return progress


def covers(network: Network, progress: Callable[[], BroadcastProgress], seconds: float) -> bool:
    """Whether a broadcast covers everybody within that time."""
    return network.world.run_until(lambda: progress().covered == progress().members, seconds)


def settled() -> Network:
    """More nodes than are all linked, after they gave up the links that they need no more, some with the seed too."""
    network = Network(28)
    assert network.world.run_until(lambda: network.machine(27).peers.members.population == 28, 10)
    network.world.run(13)
    return network


def test_who_is_not_linked_with_the_seed_any_more_still_reaches_it() -> None:
    with cheap_crypto():
        network = settled()
        number = next(number for number in range(1, 28) if not network.is_active(number, 0))
        seed = network.identities[0].public_key
        token = network.machine(number).send(seed, {"n": 1}, network.world.now)
        network.world.drain(network.hosts[number])
        network.world.run(1)
        assert [event.error for event in network.events(number, SendFinished) if event.token == token] == [None]
        for each in (number + 1, 0):
            progress = followed(network, each, visit=True)
            assert covers(network, progress, 3), progress()


def test_receipts_count_who_has_it_from_others_and_who_lost_its_link_before_it_could_be_asked() -> None:
    with cheap_crypto():
        network = settled()
        progress = followed(network, 0, visit=False)
        network.world.run(1)
        assert progress().acked >= len(network.machine(0).peers.table.active()) - 1 > 17
        progress = followed(network, 0, visit=True)
        for peer in network.machine(0).peers.table.active():
            network.machine(0).mark_down(peer.node_id, network.world.now)
        network.world.drain(network.hosts[0])
        assert covers(network, progress, 5), progress()


def test_a_node_that_comes_after_a_broadcast_has_no_claim_to_it_and_nobody_waits_for_it() -> None:
    network = meshed(3)
    network.kill(1)  # nobody knows yet, so that the wait lasts
    progress = followed(network, 0, visit=True)
    network.world.run(0.5)
    network.identities.append(Identity(b"4" * 32))
    network.hosts.append(network.boot(3))
    assert covers(network, progress, 6), progress()
    assert progress().members == 1
    assert network.machine(0).peers.members.population == 3


def test_a_clock_that_is_set_while_the_node_runs_is_seen_by_everything_it_signs() -> None:
    network = meshed(3)
    network.machine(0).set_wall_offset(WALL + 60 * SECOND, network.world.now)
    first = network.broadcast(0, {"n": 1})
    network.world.run(2)
    second = network.broadcast(1, {"n": 2})
    network.world.run(2)
    assert network.counts(first) == [0, 1, 1]
    assert network.counts(second) == [1, 0, 1]
    ages = [event.age for event in network.events(0, DataReceived)]
    assert ages[-1] >= 60 * SECOND
    skew = network.machine(1).gossip.clocks.of(network.identities[0].public_key)
    assert skew is not None
    assert abs(skew - 60 * SECOND) < SECOND


# --- life cycle -----------------------------------------------------------------------------------------------------


def test_commands_before_start_and_after_stop_are_refused() -> None:
    network = Network(1)
    machine = network.machine(0)
    machine.stop(network.world.now)
    machine.stop(network.world.now)
    with pytest.raises(NotRunning):
        machine.broadcast({}, network.world.now)
    with pytest.raises(NotRunning):
        machine.send(network.address(0), {}, network.world.now)
    with pytest.raises(UsageError):
        machine.start(network.world.now)


def test_a_stopped_node_asks_for_no_more_time() -> None:
    network = meshed(3)
    network.stop(0)
    network.world.run(10)
    assert network.machine(0).next_timeout() is None


def test_the_same_seed_gives_the_same_run() -> None:
    digests = []
    for _ in range(2):
        network = Network(4, default=link(loss=0.1))
        network.world.run(3)
        network.broadcast(1, {"n": 1})
        network.world.run(2)
        digests.append(network.world.digest())
    assert digests[0] == digests[1]


def test_the_snapshot_names_links_peers_and_counters() -> None:
    network = meshed(3)
    network.broadcast(0, {"n": 1})
    network.world.run(2)
    snapshot = network.machine(1).snapshot(network.world.now)
    assert (snapshot.name, snapshot.network_id, snapshot.state) == ("node-1", "positron", "running")
    assert snapshot.active_peers == 2
    assert sorted(link.peer_name for link in snapshot.links) == ["node-0", "node-2"]
    assert {link.peer_state for link in snapshot.links} == {"up"}
    assert all(link.connection.smoothed_rtt is not None for link in snapshot.links)
    assert sorted(peer.address for peer in snapshot.peers) == [network.address(0), network.address(2)]
    assert snapshot.gossip.delivered == 1
    assert snapshot.tcp is None
    assert snapshot.uptime == network.world.now


# --- everything at once ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_churn_at_twenty_percent_loss_neither_loses_nor_doubles_a_message(seed: int) -> None:
    network = meshed(5, seed=seed, default=link(loss=0.2), enable_tcp=True)
    chance = Random(seed)
    born = dict.fromkeys(range(5), 0)
    published: list[tuple[int, int, str]] = []
    for step in range(60):
        author = chance.randrange(0, 5)
        size = 40_000 if step % 20 == 7 else chance.randrange(0, 3000)
        if author in born:
            published.append((network.world.now, author, network.broadcast(author, {"blob": bytes(size)})))
        if step % 15 == 10:
            victim = chance.choice(sorted(born))
            network.kill(victim)
            del born[victim]
        for number in range(5):
            if number not in born and chance.random() < 0.2:
                network.reboot(number)
                born[number] = network.world.now
        network.world.run(0.2 * chance.random())
    network.world.run(30)
    delivered = [Counter(event.message_id for event in network.events(number, DataReceived)) for number in range(5)]
    assert all(count == 1 for counts in delivered for count in counts.values())
    for at, author, message_id in published:
        # Promised are messages of authors that live on, to nodes that were there.
        witnesses = [number for number, since in born.items() if number != author and since < at]
        if author in born and born[author] <= at:
            assert [delivered[number][message_id] for number in witnesses] == [1] * len(witnesses)


def test_what_was_said_is_kept_for_as_long_and_as_much_as_configured() -> None:
    def kept(**core: int) -> tuple[int, int]:
        network = Simulation(SimulationSettings(nodes=2, seed=1, core=core))
        network.start_all()
        network.run_until(network.is_connected, 10)
        for _ in range(4):
            network.publish(0, size=2000)
        network.run(4)
        stats = network.nodes[1].machine.gossip.stats
        return stats.cached, stats.cached_bytes

    assert kept()[0] >= 4
    assert kept(gossip_retention=SECOND) == (0, 0)
    assert 0 < kept(gossip_retention_bytes=6000)[1] <= 6000


def test_both_ends_of_a_mesh_know_of_it_when_nodes_were_started_again() -> None:
    network = Simulation(SimulationSettings(nodes=18, has_met=True))
    network.start_all()
    network.run(4)
    for number in (3, 7, 11):
        network.restart(number, after=1)
    network.run(8)
    meshes = {node.node_id: set(node.machine.gossip.mesh.members()) for node in network.nodes}
    assert [(one, other) for one in meshes for other in meshes[one] if one not in meshes[other]] == []


def test_a_burst_of_large_messages_is_refused_or_reaches_everybody() -> None:
    network = Simulation(SimulationSettings(nodes=4, has_met=True))
    network.start_all()
    network.run(4)
    published, refused = [], 0
    for turn in range(90):
        try:
            published.append(network.publish(0, size=200_000))
        except Backpressure:
            refused += 1
        network.run(0.01 if turn >= 60 else 0)
    network.run(40)
    assert refused
    for number in range(1, 4):
        stats = network.nodes[number].machine.gossip.stats
        assert (stats.delivered, stats.accepted_large) == (len(published), len(published))
