"""What passes between the parts of a node: direct messages, dials by hand, problems, hostile frames."""

from __future__ import annotations

from typing import Any

import pytest

from node.core.events import (
    DataReceived,
    DialFailed,
    DialSucceeded,
    PeerDown,
    PeerUp,
    Problem,
    SendFinished,
    TransportEvent,
)
from node.core.machine import Machine
from node.errors import Code, ConnectionFailed, MessageTooLarge, SendTimeout, UnknownPeer
from node.identity.keys import Identity
from node.messages.envelope import Sealer
from node.messages.frame import encode_frame
from node.messages.packing import pack
from node.messages.types import MessageType
from node.transport.events import Delivery, MessageReceived
from node.transport.packet import Datagram, Message
from node.transport.settings import TransportSettings
from node.types import MILLISECOND, SECOND, NodeId
from tests.core.network import WALL, Network, link, meshed

pytestmark = pytest.mark.simulator


# --- direct messages ------------------------------------------------------------------------------------------------


def send(network: Network, number: int, target: Any, payload: Any = b"Hello, peer!", **options: Any) -> int:
    token = network.machine(number).send(target, payload, network.world.now, **options)
    network.world.drain(network.hosts[number])
    return token


@pytest.mark.parametrize("payload", [{"k": "v"}, b"Hello, peer!", [1, 2], "text", None])
def test_a_direct_message_arrives_once_and_is_acknowledged(payload: Any) -> None:
    network = meshed(3, default=link(loss=0.1))
    token = send(network, 0, network.identities[1].public_key, payload)
    network.world.run(3)
    assert network.events(0, SendFinished) == [SendFinished(token=token, error=None)]
    (received,) = network.events(1, DataReceived)
    assert (received.payload, received.origin, received.is_broadcast) == (
        payload,
        network.identities[0].public_key,
        False,
    )
    assert network.events(2, DataReceived) == []


def test_a_direct_message_finds_its_peer_by_address() -> None:
    network = meshed(3)
    token = send(network, 2, network.address(1), {"n": 1})
    network.world.run(1)
    assert network.events(2, SendFinished) == [SendFinished(token=token, error=None)]
    assert len(network.events(1, DataReceived)) == 1


def test_a_direct_message_to_an_unknown_address_dials_it() -> None:
    network = Network(2, bootstrap=())
    token = send(network, 1, network.address(0), {"n": 1})
    network.world.run(1)
    assert network.events(1, SendFinished) == [SendFinished(token=token, error=None)]
    assert len(network.events(0, DataReceived)) == 1


def test_an_unreliable_message_is_finished_when_it_is_on_its_way() -> None:
    network = meshed(2)
    token = send(network, 0, network.address(1), {"n": 1}, reliable=False)
    assert network.events(0, SendFinished) == [SendFinished(token=token, error=None)]
    network.world.run(1)
    assert len(network.events(1, DataReceived)) == 1


def test_an_unreliable_message_that_fits_no_datagram_is_refused() -> None:
    network = meshed(2)
    with pytest.raises(MessageTooLarge):
        send(network, 0, network.address(1), bytes(2000), reliable=False)
    network.world.run(10)
    assert network.events(0, SendFinished) == []


def test_a_message_that_nobody_acknowledges_times_out() -> None:
    network = meshed(2)
    network.world.set_link(network.address(0), network.address(1), link(loss=1.0))
    token = send(network, 0, network.address(1), timeout=2 * SECOND)
    network.world.run(2.1)
    (finished,) = network.events(0, SendFinished)
    assert finished.token == token
    assert isinstance(finished.error, SendTimeout)


def test_a_message_to_an_address_where_nobody_is_fails() -> None:
    network = Network(1)
    token = send(network, 0, ("10.7.7.7", 7), timeout=30 * SECOND)
    network.world.run(15)
    (finished,) = network.events(0, SendFinished)
    assert finished.token == token
    assert isinstance(finished.error, ConnectionFailed)
    assert finished.error.code is Code.HANDSHAKE_TIMEOUT


def test_a_message_to_an_unknown_key_is_the_callers_mistake() -> None:
    network = Network(1)
    with pytest.raises(UnknownPeer):
        send(network, 0, NodeId(b"x" * 32))


def test_a_message_whose_connection_ends_fails_with_the_reason() -> None:
    network = meshed(2)
    network.world.set_link(network.address(0), network.address(1), link(loss=1.0))
    send(network, 0, network.address(1), timeout=60 * SECOND)
    network.world.run(10)
    (finished,) = network.events(0, SendFinished)
    assert isinstance(finished.error, ConnectionFailed)


def test_messages_under_way_survive_the_restart_of_the_connection() -> None:
    network = meshed(2)
    # The peer starts anew: what the old process did not acknowledge goes to the new one.
    network.kill(1)
    token = send(network, 0, network.address(1), {"n": 1}, timeout=20 * SECOND)
    network.reboot(1)
    network.world.run(5)
    assert network.events(0, SendFinished) == [SendFinished(token=token, error=None)]
    assert len(network.events(1, DataReceived)) == 1


def test_stopping_ends_what_is_pending() -> None:
    network = Network(1)
    send(network, 0, ("10.7.7.7", 7), timeout=30 * SECOND)
    network.stop(0)
    (finished,) = network.events(0, SendFinished)
    assert isinstance(finished.error, ConnectionFailed)
    assert finished.error.code is Code.SHUTDOWN


# --- dialling by hand -----------------------------------------------------------------------------------------------


def test_connecting_by_hand_reports_the_node_that_is_there() -> None:
    network = Network(2, bootstrap=())
    assert network.machine(1).connect(network.address(0), network.world.now) is None
    network.world.drain(network.hosts[1])
    network.world.run(1)
    own = network.identities[0].public_key
    assert network.events(1, DialSucceeded) == [DialSucceeded(address=network.address(0), node_id=own)]
    assert network.machine(1).connect(network.address(0), network.world.now) == own


def test_connecting_by_hand_to_nobody_fails_once_and_is_not_repeated() -> None:
    network = Network(1)
    network.machine(0).connect(("10.7.7.7", 7), network.world.now)
    network.world.drain(network.hosts[0])
    network.world.run(60)
    (failed,) = network.events(0, DialFailed)
    assert (failed.address, failed.code, failed.is_final) == (("10.7.7.7", 7), Code.HANDSHAKE_TIMEOUT, True)


def test_dialling_oneself_is_found_out_and_not_repeated() -> None:
    network = Network(1, bootstrap=(("10.0.0.1", 8888),))
    network.world.run(30)
    (failed,) = network.events(0, DialFailed)
    assert (failed.code, failed.is_final) == (Code.SELF_CONNECTION, True)
    assert network.machine(0).peers.stats.dials == 1
    assert network.events(0, Problem) == []


# --- problems -------------------------------------------------------------------------------------------------------


def test_a_node_of_another_network_is_a_problem_with_a_clear_text() -> None:
    network = Network(1)
    network.identities.append(Identity(b"z" * 32))
    network.hosts.append(network.boot(1, transport=TransportSettings(network_id="other")))
    network.world.run(30)
    problems = network.events(1, Problem)
    assert [(problem.kind, problem.text) for problem in problems] == [
        ("network_mismatch", "the node at 10.0.0.1:8888 belongs to another network than 'other'")
    ]
    assert network.events(1, DialFailed)[0].hint == "network_mismatch"
    assert network.events(0, PeerUp) == []


def test_a_second_process_with_the_same_key_is_a_problem() -> None:
    network = meshed(2)
    network.identities.append(network.identities[0])
    network.hosts.append(network.boot(2))
    network.world.run(5)
    kinds = [problem.kind for number in (0, 2) for problem in network.events(number, Problem)]
    assert "identity_conflict" in kinds


def test_two_nodes_with_one_key_that_never_meet_are_a_problem_too() -> None:
    network = meshed(2)
    network.identities.append(network.identities[1])
    network.hosts.append(network.boot(2))
    network.world.run(30)
    problems = [problem for number in (1, 2) for problem in network.events(number, Problem)]
    assert {problem.kind for problem in problems} == {"identity_conflict"}
    assert "the same key" in problems[0].text


def inject(network: Network, number: int, target: int, data: bytes) -> None:
    """Sends bytes as a message over the connection of a node that otherwise behaves."""
    machine = network.machine(number)
    assert machine.udp is not None
    connection = machine.udp.connection_of(network.identities[target].public_key)
    assert connection is not None
    machine.udp.send(connection, Message(data, Delivery.RELIABLE), network.world.now)
    network.world.drain(network.hosts[number])


BAD_FRAMES = {
    "a frame cut short": (b"\x93\x06", "malformed"),
    "gossip of another shape": (encode_frame(MessageType.GOSSIP_MESSAGE, ["?"]), "malformed"),
    "a hello of another shape": (encode_frame(MessageType.HANDSHAKE, []), "malformed"),
    "an announcement without a list": (encode_frame(MessageType.PEER_ANNOUNCEMENT, []), "malformed"),
    "a direct message of another shape": (encode_frame(MessageType.CUSTOM_DATA, [1]), "malformed"),
    "a heartbeat of another shape": (encode_frame(MessageType.HEARTBEAT, []), "malformed"),
    "a type of a later version": (b"\x91\x7f", "unknown_kind"),
}


def rejected(machine: Machine, reason: str) -> int:
    return machine.stats.rejected[reason] + machine.gossip.stats.rejected[reason] + machine.peers.stats.rejected[reason]


@pytest.mark.parametrize("name", BAD_FRAMES)
def test_a_bad_frame_is_counted_and_changes_nothing(name: str) -> None:
    data, reason = BAD_FRAMES[name]
    network = meshed(2)
    inject(network, 1, 0, data)
    network.world.run(2)
    assert rejected(network.machine(0), reason) == 1
    assert network.is_meshed()


def test_a_direct_message_of_somebody_else_is_refused() -> None:
    network = meshed(3)
    sealer = Sealer(network.identities[2], network_id="positron", epoch=WALL // MILLISECOND)
    envelope = sealer.seal(MessageType.CUSTOM_DATA, pack({"n": 1}), WALL + network.world.now)
    inject(network, 1, 0, encode_frame(MessageType.CUSTOM_DATA, [envelope.body, envelope.signature]))
    network.world.run(1)
    assert rejected(network.machine(0), "wrong_origin") == 1
    assert network.events(0, DataReceived) == []


def test_a_replayed_direct_message_is_delivered_once() -> None:
    network = meshed(2)
    sealer = Sealer(network.identities[1], network_id="positron", epoch=WALL // MILLISECOND)
    envelope = sealer.seal(MessageType.CUSTOM_DATA, pack({"n": 1}), WALL + network.world.now)
    for _ in range(2):
        inject(network, 1, 0, encode_frame(MessageType.CUSTOM_DATA, [envelope.body, envelope.signature]))
    network.world.run(1)
    assert len(network.events(0, DataReceived)) == 1
    assert network.machine(0).stats.duplicates == 1


def test_raw_bytes_of_somebody_who_uses_the_transport_directly_are_passed_on() -> None:
    network = meshed(2)
    inject(network, 1, 0, b"Hello, peer!")
    network.world.run(1)
    raw = [event.event for event in network.events(0, TransportEvent) if isinstance(event.event, MessageReceived)]
    assert [event.data for event in raw] == [b"Hello, peer!"]
    assert rejected(network.machine(0), "malformed") == 0


def test_junk_datagrams_are_dropped_and_counted() -> None:
    network = meshed(2)
    for number in range(2000):
        network.machine(0).receive(
            Datagram(("10.6.6.6", 6), bytes([number % 256]) * (number % 1400)), network.world.now
        )
    network.world.drain(network.hosts[0])
    stats = network.machine(0).snapshot(network.world.now).udp
    assert stats is not None
    assert sum(stats.packets_dropped.values()) == 2000
    assert network.is_meshed()


# --- trust --------------------------------------------------------------------------------------------------------


def test_a_peer_that_breaks_the_rules_is_banned_and_turned_away_and_the_others_are_not() -> None:
    network = meshed(3)
    for _ in range(8):
        inject(network, 1, 0, b"\x93\x06")
    network.world.run(20)
    (down,) = network.events(0, PeerDown)
    assert (down.name, down.reason) == ("node-1", "protocol_violation")
    assert [problem.kind for problem in network.events(0, Problem)] == ["banned_peer"]
    assert not network.is_active(0, 1)
    assert network.is_active(0, 2)
    assert network.is_active(2, 1)


def test_nothing_is_said_of_keys_that_nobody_had_to_do_with() -> None:
    network = meshed(2)
    wall = WALL + network.world.now
    for number in range(20):
        for text in (b"one", b"two"):
            sealer = Sealer(Identity(bytes([100 + number]) * 32), network_id="positron", epoch=wall // MILLISECOND)
            envelope = sealer.seal(MessageType.GOSSIP_MESSAGE, text, wall)
            inject(network, 1, 0, encode_frame(MessageType.GOSSIP_MESSAGE, [0, 1, envelope.body, envelope.signature]))
    network.world.run(1)
    assert network.machine(0).trust.stats.bans == 20
    assert network.events(0, Problem) == []
    assert network.is_active(0, 1)


def test_messages_of_a_banned_author_are_delivered_all_the_same() -> None:
    network = meshed(3)
    for _ in range(8):
        inject(network, 1, 0, b"\x93\x06")
    network.world.run(5)
    message_id = network.broadcast(1, {"n": 1})
    network.world.run(5)
    assert network.counts(message_id) == [1, 0, 1]


def test_first_deliveries_are_credited_to_the_peer_that_brought_them_and_not_to_authors() -> None:
    network = meshed(3)
    network.broadcast(1, {"n": 1})
    network.world.run(2)
    trust = network.machine(0).trust
    assert trust.rank(network.identities[1].public_key) == 0.0
    assert trust.stats.credits == 0


def test_statements_travel_between_nodes_and_change_the_order_only() -> None:
    network = meshed(3)
    culprit = NodeId(b"x" * 32)
    for _ in range(3):
        network.machine(1).trust.blame(culprit, "impersonation", network.world.now)
    network.world.run(200)
    assert network.machine(0).trust.stats.statements_accepted >= 1
    assert network.machine(0).trust.rank(culprit) == 0.0
    assert network.machine(0).stats.received["trust_update"] >= 1
    assert network.is_meshed()


def test_statements_arrive_once_each_although_the_tcp_connection_dies_under_them() -> None:
    network = meshed(2, enable_tcp=True)
    teller, hearer = network.machine(0).trust, network.machine(1).trust
    subjects = [NodeId(number.to_bytes(32, "big")) for number in range(1, 201)]
    for subject in subjects:
        teller.blame(subject, "impersonation", network.world.now)
    assert network.world.run_until(lambda: hearer.stats.statements_accepted > 0, 120)
    network.streams.is_cut = True
    for subject in subjects:
        teller.blame(subject, "impersonation", network.world.now)
    network.world.run(150)
    network.streams.is_cut = False
    network.world.run(150)
    told = {said.subject: said.order for said in teller._statements.said_by(network.identities[0].public_key)}
    heard = {said.subject: said.order for said in hearer._statements.said_by(network.identities[0].public_key)}
    assert sorted(heard) == subjects
    assert heard == told


def test_a_trust_frame_of_another_shape_is_blamed_on_the_peer_that_sent_it() -> None:
    network = meshed(2)
    inject(network, 1, 0, encode_frame(MessageType.TRUST_UPDATE, [1]))
    network.world.run(1)
    assert network.machine(0).trust.stats.penalties["malformed"] == 1
    assert network.machine(0).trust.rank(network.identities[1].public_key) < 0


def test_the_clocks_of_peers_are_measured_and_a_wrong_one_is_told_to_its_owner_alone() -> None:
    network = meshed(4)
    network.kill(3)
    network.world.run(1)
    network.reboot(3, skew=30 * SECOND)
    network.world.run(10)
    skews = [peer.clock_skew for peer in network.machine(3).snapshot(network.world.now).peers]
    assert len(skews) == 3
    assert all(skew is not None and abs(skew + 30 * SECOND) < SECOND // 20 for skew in skews)
    assert [problem.kind for problem in network.events(3, Problem)] == ["clock_skew"]
    for number in range(3):
        assert "clock_skew" not in [problem.kind for problem in network.events(number, Problem)]
    message_id = network.broadcast(3, {"n": 1})
    network.world.run(2)
    assert network.counts(message_id) == [1, 1, 1, 0]


def test_a_peer_whose_clock_is_so_wrong_that_it_is_refused_is_told_of_once_by_everybody() -> None:
    network = meshed(4)
    network.kill(3)
    network.world.run(1)
    network.reboot(3, skew=-300 * SECOND)
    network.world.run(150)
    assert {problem.kind for problem in network.events(3, Problem)} == {"clock_skew"}
    for number in range(3):
        told = [problem.text for problem in network.events(number, Problem) if problem.kind == "peer_clock_skew"]
        assert len(told) == 1
        assert "at 10.0.0.4:8888 is 300 s behind this one" in told[0]
