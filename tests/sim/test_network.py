"""A network of whole nodes does to them what it says, and writes down what happened."""

from __future__ import annotations

import json

import pytest

from node.errors import UsageError
from node.impairment.link import LinkSettings
from node.sim.history import NETWORK
from node.sim.hostile import FORGER
from node.sim.network import Network, NetworkSettings
from node.types import MILLISECOND


def network(nodes: int = 3, *, seed: int = 1, **settings: object) -> Network:
    made = Network(NetworkSettings(nodes=nodes, seed=seed, **settings))  # type: ignore[arg-type]
    made.start_all()
    assert made.run_until(lambda: all(made.has_met(a, b) for a in range(nodes) for b in range(nodes) if a != b), 10)
    return made


def delivered(made: Network, message: str) -> list[int]:
    return sorted(record.node for record in made.history.of("delivered") if record.facts["message"] == message)


def test_broadcast_reaches_everybody_else_and_is_written_down() -> None:
    made = network()
    message = made.publish(1)
    made.run(1)
    assert delivered(made, message) == [0, 2]
    record = made.history.of("delivered", 2)[0]
    assert record.facts["origin"] == 1
    assert isinstance(record.facts["latency"], int)
    assert 22 * MILLISECOND <= record.facts["latency"] <= 80 * MILLISECOND
    assert json.loads(json.dumps(record.as_json()))["node"] == "node-2"


def test_large_broadcast_travels_over_streams() -> None:
    made = network()
    message = made.publish(0, size=60_000)
    made.run(10)
    assert delivered(made, message) == [1, 2]
    assert made.streams.bytes_carried > 60_000


def test_direct_message_is_received_and_its_fate_told() -> None:
    made = network()
    token = made.send(0, 2, {"to": "you"})
    made.run(1)
    assert [record.facts["origin"] for record in made.history.of("received", 2)] == [0]
    assert made.history.of("sent", 0)[0].facts == {"token": token, "error": None}


def test_crashed_node_is_noticed_and_comes_back_with_a_higher_epoch() -> None:
    made = network()
    epoch = made.nodes[2].epoch
    made.crash(2)
    assert made.run_until(lambda: bool(made.history.of("peer_down", 0)), 20)
    made.start(2)
    assert made.run_until(lambda: made.has_met(2, 0), 20)
    assert made.nodes[2].epoch > epoch
    assert [record.facts["life"] for record in made.history.of("started", 2)] == [1, 2]


def test_node_that_stops_takes_leave() -> None:
    made = network()
    made.stop(2)
    made.run(2)
    assert [record.facts["reason"] for record in made.history.of("peer_down", 0)] == ["left"]


def test_restart_takes_the_time_that_was_given() -> None:
    made = network()
    made.restart(1, after=3)
    assert not made.nodes[1].is_alive
    made.run(3.1)
    assert made.nodes[1].is_alive


def test_paused_node_does_nothing_and_then_catches_up() -> None:
    made = network()
    made.pause(2, 1.0)
    message = made.publish(0)
    made.run(0.9)
    assert delivered(made, message) == [1]
    made.run(1)
    assert delivered(made, message) == [1, 2]
    assert [record.kind for record in made.history if record.node == 2][-3:].count("resumed") == 1


def test_partition_stops_messages_until_it_is_healed() -> None:
    made = network(4)
    cut = made.partition([[0, 1], [2, 3]])
    message = made.publish(0)
    made.run(2)
    assert delivered(made, message) == [1]
    made.heal(cut)
    assert made.run_until(lambda: delivered(made, message) == [1, 2, 3], 30)
    assert [record.kind for record in made.history if record.node == NETWORK] == ["cut", "healed"]


def test_one_way_cut_leaves_the_other_direction_alone() -> None:
    made = network(2)
    made.cut_one_way([0], [1])
    before = made.world.cut_off
    made.publish(1)
    made.run(0.2)
    assert made.history.of("delivered", 0)
    made.publish(0)
    made.run(0.2)
    assert not made.history.of("delivered", 1)
    assert made.world.cut_off > before


def test_links_are_set_for_all_or_for_some_and_one_way() -> None:
    made = network()
    made.set_links(LinkSettings(loss=0.5))
    made.set_links(LinkSettings(loss=1.0), [0], [2])
    links = {
        (source, target): made.world.link(made.nodes[source].address, made.nodes[target].address).settings.loss
        for source in range(3)
        for target in range(3)
        if source != target
    }
    assert links.pop((0, 2)) == 1.0
    assert set(links.values()) == {0.5}


def test_wall_clock_that_is_wrong_shows_in_the_age_of_messages_only() -> None:
    made = network()
    made.set_clock(1, skew=5.0, drift=200)
    made.restart(1)
    made.run(0.1)
    assert made.run_until(lambda: made.has_met(1, 0) and made.has_met(1, 2), 20)
    message = made.publish(1)
    made.run(1)
    assert delivered(made, message) == [0, 2]


def test_commands_to_a_node_that_does_not_run_are_refused() -> None:
    made = network()
    made.crash(1)
    for command in (made.crash, made.stop, made.publish):
        with pytest.raises(UsageError, match="node-1 does not run"):
            command(1)
    with pytest.raises(UsageError, match="runs already"):
        made.start(0)


def test_settings_that_make_no_network_are_refused() -> None:
    with pytest.raises(UsageError):
        NetworkSettings(nodes=2, seeds=3)


def test_same_seed_gives_the_same_run_and_another_seed_another() -> None:
    def digest(seed: int) -> str:
        made = network(4, seed=seed, link=LinkSettings(delay=20 * MILLISECOND, jitter=5 * MILLISECOND, loss=0.1))
        for number in range(4):
            made.publish(number, size=20_000 * (number == 3))
        made.restart(2, after=1)
        made.run(10)
        return made.digest()

    assert digest(1) == digest(1) != digest(2)


def test_history_that_is_not_kept_still_reaches_its_listeners() -> None:
    made = network(keeps_history=False)
    kinds: list[str] = []
    made.history.listen(lambda record: kinds.append(record.kind))
    made.publish(0)
    made.run(1)
    assert len(made.history) == 0
    assert kinds == ["published", "delivered", "delivered"]


def test_rebound_node_keeps_its_links_and_its_peers() -> None:
    made = network()
    made.set_links(LinkSettings(delay=40 * MILLISECOND), [1], [2])
    made.rebind(1)
    host = made.nodes[1].host
    assert host is not None
    assert host.address == ("10.0.0.1", 8889)
    assert made.world.link(host.address, made.nodes[2].address).settings.delay == 40 * MILLISECOND
    message = made.publish(1)
    assert made.run_until(lambda: delivered(made, message) == [0, 2], 10)


def test_node_is_hostile_for_as_long_as_it_was_told() -> None:
    made = network()
    made.turn_hostile(2, FORGER, 3)
    made.run(5)
    said = made.nodes[2].bag["villain"].mouth.said
    assert said > 0
    assert made.history.of("turned", 2)[0].facts["role"] == "forger"
    made.run(3)
    assert made.nodes[2].bag["villain"].mouth.said == said


def test_clock_that_is_set_while_the_node_runs_shows_in_its_next_message() -> None:
    made = network()
    made.set_clock(1, skew=-30.0)
    message = made.publish(1)
    made.run(1)
    ages = [record.facts["age"] for record in made.history.of("delivered") if record.facts["message"] == message]
    assert len(ages) == 2
    assert all(isinstance(age, int) and 30_000 * MILLISECOND < age < 31_000 * MILLISECOND for age in ages)


def test_nodes_that_have_met_announce_nobody_and_find_their_links() -> None:
    network = Network(NetworkSettings(nodes=30, has_met=True))
    network.start_all()
    network.run(3)
    machines = [node.machine for node in network.nodes]
    assert network.is_connected()
    assert {machine.peers.members.population for machine in machines} == {30}
    assert sum(machine.gossip.stats.published for machine in machines) == 0
    message = network.publish(7)
    network.run(1)
    assert len([one for one in network.history.of("delivered") if one.facts["message"] == message]) == 29


def test_nodes_that_have_met_know_the_true_incarnation_of_each_other() -> None:
    network = Network(NetworkSettings(nodes=5, has_met=True))
    network.start_all()
    true = {node.node_id: node.machine.peers.membership.incarnation for node in network.nodes}
    for node in network.nodes:
        known = {member.node_id: member.incarnation for member in node.machine.peers.members.all()}
        assert known == {node_id: true[node_id] for node_id in true if node_id != node.node_id}


def test_a_node_that_has_met_the_others_refutes_a_false_suspicion_everywhere() -> None:
    network = Network(NetworkSettings(nodes=30, has_met=True))
    network.start_all()
    network.run(3)
    accuser, accused = network.nodes[20], network.nodes[4]
    assert accuser.host is not None
    now = network.world.clock_of(accuser.host)
    accuser.machine.peers.membership.silent(accused.node_id, now)
    accuser.machine.handle_timeout(now)
    network.world.drain(accuser.host)
    network.run(12)
    others = [node.machine.peers.members for node in network.nodes if node is not accused]
    assert all(accused.node_id in [member.node_id for member in members.present()] for members in others)
    assert not any(members.suspects() for members in others)
    assert accused.machine.peers.stats.own_refutations == 1


def test_nodes_that_have_met_start_at_once() -> None:
    with pytest.raises(UsageError, match="start_spread 3"):
        NetworkSettings(nodes=30, has_met=True, start_spread=3)
