"""Positron Testnet: a peer-to-peer node over an encrypted reliable UDP transport.

The names here are the public API; everything else may change. They are imported when they are first used, so that
looking at the command's help does not load a cryptography library.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from node.config import NetworkConfig
    from node.messages.adapter import MessageAdapter
    from node.messages.types import MessageType
    from node.node import Node
    from node.node.views import PeerManager
    from node.transport.state import ConnectionState
    from node.transport.tcp_transport import TCPTransport
    from node.transport.udp_transport import UDPTransport

__all__ = [
    "ConnectionState",
    "MessageAdapter",
    "MessageType",
    "NetworkConfig",
    "Node",
    "PeerManager",
    "TCPTransport",
    "UDPTransport",
]

_HOMES = {
    "ConnectionState": "node.transport.state",
    "MessageAdapter": "node.messages.adapter",
    "MessageType": "node.messages.types",
    "NetworkConfig": "node.config",
    "Node": "node.node",
    "PeerManager": "node.node.views",
    "TCPTransport": "node.transport.tcp_transport",
    "UDPTransport": "node.transport.udp_transport",
}


if not TYPE_CHECKING:  # a type checker would take any name for one of ours

    def __getattr__(name: str) -> object:
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found: object = getattr(import_module(home), name)
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
