"""The mouth of a machine that is made to misbehave."""

from __future__ import annotations

import pytest

from node.core.mouth import Mouth
from node.errors import UsageError
from node.gossip.frames import Act, encode
from node.messages.envelope import Sealer
from node.messages.packing import pack
from node.messages.types import MessageType
from node.sim.network import Network, NetworkSettings
from node.sim.nodes import WALL
from node.transport.endpoint import Endpoint


@pytest.fixture
def network() -> Network:
    """Three nodes that have met: messages go from the first to both others, and from those on."""
    network = Network(NetworkSettings(nodes=3))
    network.start_all()
    assert network.run_until(lambda: all(network.has_met(a, b) for a in range(3) for b in range(3) if a != b), 10)
    return network


def delivered(network: Network, message: str) -> list[int]:
    return sorted(record.node for record in network.history.of("delivered") if record.facts["message"] == message)


def test_what_is_withheld_reaches_nobody_and_is_not_waited_for(network: Network) -> None:
    mouth = Mouth(network.nodes[0].machine, withholds=lambda _: True)
    message = network.publish(0)
    network.run(0.5)
    assert delivered(network, message) == []
    assert mouth.withheld >= 2
    waiting = network.nodes[0].machine._router._switch._tracked
    assert not any(waiting.values())


def test_what_comes_by_is_kept_and_can_be_told_from_its_own(network: Network) -> None:
    mouth = Mouth(network.nodes[0].machine)
    network.publish(1)
    network.run(0.5)
    assert mouth.heard
    assert all(mouth.is_of_others(signed) for signed in mouth.heard)
    own = Sealer(network.nodes[0].identity, network_id="positron", epoch=1).seal(MessageType.GOSSIP_MESSAGE, b"", WALL)
    assert not mouth.is_of_others((own.body, own.signature))


def test_anything_can_be_said_past_the_services(network: Network) -> None:
    node = network.nodes[0]
    mouth = Mouth(node.machine, withholds=lambda _: True)
    envelope = Sealer(node.identity, network_id="positron", epoch=node.epoch + 1).seal(
        MessageType.GOSSIP_MESSAGE, pack({"said": True}), WALL + network.world.now
    )
    assert node.host is not None
    for peer in mouth.peers():
        frame = encode(Act.MESSAGE, 1, envelope.body, envelope.signature)
        mouth.say(peer, frame, network.world.clock_of(node.host))
    network.world.drain(node.host)
    network.run(0.5)
    assert mouth.said == 2
    assert len({record.node for record in network.history.of("delivered")}) == 2


def test_a_closed_mouth_leaves_the_machine_as_it_was(network: Network) -> None:
    machine = network.nodes[0].machine
    mouth = Mouth(machine, withholds=lambda _: True)
    mouth.close()
    assert not {"send", "poll_event"} & {*vars(machine.udp), *vars(machine.tcp)}
    message = network.publish(0)
    network.run(0.5)
    assert delivered(network, message) == [1, 2]


def test_a_machine_that_is_closed_up_is_a_mistake_of_the_caller(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As a compiled class does.
    def refuse(_endpoint: Endpoint, name: str, _value: object) -> None:
        raise AttributeError(f"'Endpoint' object attribute '{name}' is read-only")

    monkeypatch.setattr(Endpoint, "__setattr__", refuse)
    with pytest.raises(
        UsageError, match="a compiled node cannot be made hostile: allowed is one that runs from source"
    ):
        Mouth(network.nodes[0].machine)
