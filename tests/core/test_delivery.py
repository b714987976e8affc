"""The delivery map."""

from __future__ import annotations

import pytest

from node.core.delivery import DELIVERY, Route, route_of
from node.messages.types import Carrier, MessageType
from node.transport.events import Delivery
from node.transport.packet import Priority
from node.wire.limits import LARGE_MESSAGE_BYTES


def test_every_type_has_its_route() -> None:
    udp = Route(Carrier.UDP, Delivery.RELIABLE, Priority.CONTROL)
    tcp = Route(Carrier.TCP, Delivery.ORDERED)
    assert dict(DELIVERY) == {
        MessageType.HANDSHAKE: udp,
        MessageType.HANDSHAKE_ACK: udp,
        MessageType.HEARTBEAT: Route(Carrier.UDP, Delivery.UNRELIABLE, Priority.CONTROL),
        MessageType.PEER_DISCOVERY: udp,
        MessageType.PEER_ANNOUNCEMENT: udp,
        MessageType.GOSSIP_MESSAGE: Route(Carrier.UDP, Delivery.RELIABLE, Priority.RELAY),
        MessageType.TRUST_UPDATE: tcp,
        MessageType.TRUSTED_PEERS_REQUEST: tcp,
        MessageType.TRUSTED_PEERS_RESPONSE: tcp,
        MessageType.DISCONNECT: udp,
        MessageType.CUSTOM_DATA: Route(Carrier.UDP, Delivery.RELIABLE, Priority.OWN),
    }


@pytest.mark.parametrize("kind", [MessageType.GOSSIP_MESSAGE, MessageType.CUSTOM_DATA])
def test_large_bodies_prefer_tcp(kind: MessageType) -> None:
    assert route_of(kind, LARGE_MESSAGE_BYTES).carrier is Carrier.UDP
    assert route_of(kind, LARGE_MESSAGE_BYTES + 1) == Route(Carrier.TCP, Delivery.RELIABLE, Priority.BULK)


def test_an_unreliable_message_stays_a_datagram_whatever_its_size() -> None:
    assert route_of(MessageType.CUSTOM_DATA, 10**6, reliable=False) == Route(Carrier.UDP, Delivery.UNRELIABLE)
