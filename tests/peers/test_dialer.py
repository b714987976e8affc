"""What is dialled, and what the application learns of it."""

from __future__ import annotations

from node.errors import Code
from node.messages.types import Carrier, MessageType
from node.peers.actions import Dial, Dialled, Link, Report, Undialled
from node.types import SECOND, Address
from node.wire.limits import BOOTSTRAP_MAX, HANDSHAKE_TIMEOUT
from tests.peers.test_peers import Desk, hello, key

SEED: Address = ("10.0.0.1", 8888)


def targets(desk: Desk) -> list[Address]:
    return [dial.target.address for dial in desk.take(Dial)]


def test_bootstrap_addresses_are_dialled_at_once_for_anybody() -> None:
    desk = Desk(SEED, ("10.0.0.2", 8888))
    desk.run(0.1)
    dials = desk.take(Dial)
    assert [dial.target for dial in dials] == [
        (Carrier.UDP, SEED, None),
        (Carrier.UDP, ("10.0.0.2", 8888), None),
    ]


def test_without_udp_bootstrap_addresses_name_tcp_ports() -> None:
    desk = Desk(SEED, enable_udp=False)
    desk.run(0.1)
    assert [dial.target.carrier for dial in desk.take(Dial)] == [Carrier.TCP]


def test_a_failed_bootstrap_is_dialled_again_and_again_within_eight_seconds_each() -> None:
    desk = Desk(SEED)
    desk.run(0.1)
    for _ in range(50):
        handle = desk.next_handle - 1
        desk.closed(Link(Carrier.UDP, handle), None, Code.HANDSHAKE_TIMEOUT)
        desk.take(Dial)
        desk.run(8)
        assert targets(desk) == [SEED]


def test_a_bootstrap_address_is_left_alone_while_somebody_from_there_is_connected() -> None:
    desk = Desk(SEED)
    desk.greet(key("a"), 50, address=("10.0.0.1", 8888))
    desk.take(Dial)
    desk.run(60)
    assert targets(desk) == []


def test_a_lost_bootstrap_peer_is_dialled_for_anybody_again() -> None:
    desk = Desk(SEED)
    desk.run(0.1)
    link = desk.connected(key("a"), 1, is_initiator=True, address=SEED)
    desk.receive(link, key("a"), MessageType.HANDSHAKE_ACK, *hello("seed"))
    desk.take(Dial)
    desk.closed(link, key("a"))
    desk.run(1)
    assert [dial.target for dial in desk.take(Dial)] == [(Carrier.UDP, SEED, None)]


def test_bootstrap_addresses_are_bounded() -> None:
    desk = Desk()
    for port in range(1, BOOTSTRAP_MAX + 10):
        desk.peers.add_bootstrap(("10.0.0.1", port), 0)
    desk.run(60)
    for handle in range(1, 1000):
        desk.closed(Link(Carrier.UDP, handle), None, Code.HANDSHAKE_TIMEOUT)
        desk.run(0.1)
    assert len(set(targets(desk))) == BOOTSTRAP_MAX


def test_a_dial_by_hand_succeeds_with_the_introduction() -> None:
    desk = Desk()
    assert desk.peers.connect(SEED, 0) is None
    desk.run(0.1)
    link = desk.connected(key("a"), 1, is_initiator=True, address=SEED)
    assert desk.take(Dialled) == []
    desk.receive(link, key("a"), MessageType.HANDSHAKE_ACK, *hello("seed", host="192.0.2.1"))
    assert desk.take(Dialled) == [Dialled(address=SEED, peer=key("a"))]
    assert desk.peers.connect(SEED, desk.now) == key("a")


def test_a_dial_by_hand_that_is_taken_over_by_another_connection_succeeds_too() -> None:
    desk = Desk()
    desk.peers.connect(SEED, 0)
    desk.run(0.1)
    desk.greet(key("a"), 70, address=("10.0.0.1", 8888))
    assert desk.take(Dialled) == [Dialled(address=SEED, peer=key("a"))]


def test_a_dial_by_hand_that_loses_against_a_connection_known_under_another_address_succeeds() -> None:
    desk = Desk()
    desk.greet(key("a"), 70, address=("172.16.0.1", 8888))
    desk.peers.connect(SEED, desk.now)
    desk.run(0.1)
    desk.closed(Link(Carrier.UDP, 1), key("a"), Code.REPLACED)
    assert desk.take(Dialled) == [Dialled(address=SEED, peer=key("a"))]


def test_a_dial_by_hand_fails_once() -> None:
    desk = Desk()
    desk.peers.connect(SEED, 0)
    desk.run(0.1)
    desk.closed(Link(Carrier.UDP, 1), None, Code.HANDSHAKE_TIMEOUT, reason="no answer")
    (failed,) = desk.take(Undialled)
    assert (failed.address, failed.code, failed.reason, failed.is_final) == (
        SEED,
        Code.HANDSHAKE_TIMEOUT,
        "no answer",
        True,
    )
    desk.run(60)
    assert targets(desk) == []


def test_a_connection_that_ends_before_the_introduction_is_a_failure() -> None:
    desk = Desk()
    desk.peers.connect(SEED, 0)
    desk.run(0.1)
    link = desk.connected(key("a"), 1, is_initiator=True, address=SEED)
    desk.closed(link, key("a"), Code.APPLICATION)
    assert [failed.code for failed in desk.take(Undialled)] == [Code.APPLICATION]
    assert desk.peers.table.get(key("a")) is None


def test_an_address_of_this_node_itself_is_never_dialled_again() -> None:
    desk = Desk(SEED)
    desk.run(0.1)
    desk.closed(Link(Carrier.UDP, 1), key("m"), Code.SELF_CONNECTION)
    assert [failed.is_final for failed in desk.actions if isinstance(failed, Undialled)] == [True]
    desk.take(Dial)
    desk.run(120)
    assert targets(desk) == []
    desk.peers.connect(SEED, desk.now)
    desk.drain()
    assert [failed.code for failed in desk.take(Undialled)] == [Code.SELF_CONNECTION]


def test_another_process_with_this_key_is_reported() -> None:
    desk = Desk(SEED)
    desk.run(0.1)
    desk.closed(Link(Carrier.UDP, 1), key("m"), Code.DUPLICATE_IDENTITY)
    (report,) = desk.take(Report)
    assert report.kind == "identity_conflict"
    assert "10.0.0.1:8888" in report.text


def test_another_network_is_reported_with_its_name_and_dialled_on() -> None:
    desk = Desk(SEED)
    desk.run(0.1)
    desk.closed(Link(Carrier.UDP, 1), None, Code.HANDSHAKE_TIMEOUT, hint="network_mismatch")
    actions = [*desk.actions]
    (report,) = desk.take(Report)
    assert report.text == "the node at 10.0.0.1:8888 belongs to another network than 'net'"
    assert [(action.hint, action.is_final) for action in actions if isinstance(action, Undialled)] == [
        ("network_mismatch", False)
    ]
    desk.run(HANDSHAKE_TIMEOUT / SECOND)
    assert targets(desk) == [SEED]


def test_no_more_peers_than_wanted_are_dialled() -> None:
    desk = Desk(peers_max=1)
    link = desk.greet(key("a"))
    desk.receive(link, key("a"), MessageType.PEER_ANNOUNCEMENT, [[key("z"), "10.0.0.9", 8888, 0]])
    desk.run(30)
    assert targets(desk) == []


def test_a_dial_that_cannot_begin_is_a_failure() -> None:
    desk = Desk()
    desk.peers.connect(SEED, 0)
    desk.peers.handle_timeout(0)
    dial = desk.peers.poll_action()
    assert isinstance(dial, Dial)
    desk.peers.dial_refused(dial.target, "full", 0)
    desk.drain()
    assert [failed.reason for failed in desk.take(Undialled)] == ["full"]
