"""The transports: encrypted messages over UDP and TCP.

The names that programs use are here as well as in `node`, and as there imported when they are first used: whoever
needs one pure part of the transports does not load sockets.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from node.transport.state import ConnectionState
    from node.transport.tcp_transport import TCPTransport
    from node.transport.udp_transport import UDPTransport

__all__ = ["ConnectionState", "TCPTransport", "UDPTransport"]

if not TYPE_CHECKING:  # a type checker would take any name for one of ours

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module("node"), name)
