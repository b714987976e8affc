"""The delivery map: which message travels how. The one place that decides it.

Small and frequent things go over UDP, ordered and large ones over TCP. The map is total: where a carrier is switched
off, or a peer lacks it, the other one carries everything, with guarantees that are the same or better.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from node.messages.types import Carrier, MessageType
from node.transport.events import Delivery
from node.transport.packet import Priority
from node.wire.limits import LARGE_MESSAGE_BYTES

__all__ = ["DELIVERY", "Route", "route_of"]


@dataclass(frozen=True, slots=True)
class Route:
    """The preferred carrier of a message, how it is delivered on either one, and its priority among those that wait."""

    carrier: Carrier
    delivery: Delivery
    priority: Priority = Priority.OWN


DELIVERY: Mapping[MessageType, Route] = MappingProxyType(
    {
        MessageType.HANDSHAKE: Route(Carrier.UDP, Delivery.RELIABLE, Priority.CONTROL),
        MessageType.HANDSHAKE_ACK: Route(Carrier.UDP, Delivery.RELIABLE, Priority.CONTROL),
        MessageType.HEARTBEAT: Route(Carrier.UDP, Delivery.UNRELIABLE, Priority.CONTROL),
        MessageType.PEER_DISCOVERY: Route(Carrier.UDP, Delivery.RELIABLE, Priority.CONTROL),
        MessageType.PEER_ANNOUNCEMENT: Route(Carrier.UDP, Delivery.RELIABLE, Priority.CONTROL),
        MessageType.GOSSIP_MESSAGE: Route(Carrier.UDP, Delivery.RELIABLE, Priority.RELAY),
        MessageType.TRUST_UPDATE: Route(Carrier.TCP, Delivery.ORDERED),
        MessageType.TRUSTED_PEERS_REQUEST: Route(Carrier.TCP, Delivery.ORDERED),
        MessageType.TRUSTED_PEERS_RESPONSE: Route(Carrier.TCP, Delivery.ORDERED),
        MessageType.DISCONNECT: Route(Carrier.UDP, Delivery.RELIABLE, Priority.CONTROL),
        MessageType.CUSTOM_DATA: Route(Carrier.UDP, Delivery.RELIABLE),
    }
)


def route_of(kind: MessageType, size: int, *, reliable: bool = True) -> Route:
    """How a message of that kind and size travels. reliable: False asks for one datagram, whatever the map says."""
    route = DELIVERY[kind]
    if not reliable:
        return replace(route, delivery=Delivery.UNRELIABLE)
    if size > LARGE_MESSAGE_BYTES and route.delivery is not Delivery.UNRELIABLE:
        return Route(Carrier.TCP, route.delivery, Priority.BULK)
    return route
