"""Tries what a node needs of its machine and of the network, without being a node: for `positron doctor`.

Each function opens what it needs, closes it again, and leaves nothing behind; none takes part in the network.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from dataclasses import dataclass

from node.errors import Code, ConnectionFailed
from node.transport.addresses import listening_address, resolve, socket_address
from node.transport.settings import TransportSettings
from node.transport.tcp_transport import TCPTransport
from node.transport.udp_socket import (
    IP_RECVTOS,
    SO_RXQ_OVFL,
    SOCKET_BUFFER_BYTES,
    SOL_UDP,
    UDP_GRO,
    UDP_SEGMENT,
)
from node.transport.udp_transport import UDPTransport
from node.types import Address, to_seconds

__all__ = ["KernelFeatures", "kernel_features", "listening_place", "path_mtu", "reach"]

_PROBE = b"positron doctor"
"""No frame of the node's protocol: whoever gets it acknowledges it and does nothing."""

IP_MTU, IPV6_MTU = 14, 24
"""Linux's numbers for the MTU of a connected socket's route (include/uapi/linux/in.h, in6.h)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelFeatures:
    """What this kernel grants a UDP socket. Buffers in bytes of payload, as asked for and as granted."""

    has_segmentation: bool
    has_coalescing: bool
    has_drop_counter: bool
    has_ecn: bool
    buffer_wanted: int
    receive_buffer: int
    send_buffer: int


def kernel_features() -> KernelFeatures:
    """Tried on a socket that is bound to no address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        return KernelFeatures(
            has_segmentation=_takes(sock, SOL_UDP, UDP_SEGMENT, 1200),
            has_coalescing=_takes(sock, SOL_UDP, UDP_GRO, 1),
            has_drop_counter=_takes(sock, socket.SOL_SOCKET, SO_RXQ_OVFL, 1),
            has_ecn=_takes(sock, socket.IPPROTO_IP, IP_RECVTOS, 1)
            and _takes(sock, socket.IPPROTO_IP, socket.IP_TOS, 2),
            buffer_wanted=SOCKET_BUFFER_BYTES,
            receive_buffer=_granted(sock, socket.SO_RCVBUF),
            send_buffer=_granted(sock, socket.SO_SNDBUF),
        )


def listening_place(transport: str, address: Address) -> Address:
    """Where a node would listen that was given that address, looked up as the node does it; StartError if nowhere."""
    return asyncio.run(listening_address(transport, address))


def path_mtu(address: Address) -> int | None:
    """The MTU of the route to an IP literal as this kernel knows it; None if it does not say."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    name = socket_address(family, address)
    if name is None:
        return None
    level, option = (socket.IPPROTO_IPV6, IPV6_MTU) if family == socket.AF_INET6 else (socket.IPPROTO_IP, IP_MTU)
    with socket.socket(family, socket.SOCK_DGRAM) as sock, contextlib.suppress(OSError):
        sock.connect(name)
        return sock.getsockopt(level, option)
    return None


async def reach(carrier: str, address: Address, *, network_id: str, seconds: float) -> tuple[Address, float]:
    """Shakes hands with the node at that address over `udp` or `tcp`; where it was found, and how long that took.

    A message must be acknowledged too, so both directions work. Raises ConnectionFailed or SendTimeout.
    """
    began_at = time.monotonic_ns()
    found = await resolve(address, seconds=seconds)
    host = "::" if ":" in found[0] else "0.0.0.0"  # noqa: S104 - any way out will do, and nobody is told of it
    settings = TransportSettings(network_id=network_id)
    transport = (UDPTransport if carrier == "udp" else TCPTransport)(host, 0, settings=settings)
    await transport.start()
    try:
        if isinstance(transport, UDPTransport):
            await transport.send_reliable(found, _PROBE, timeout=seconds)
        else:
            await transport.send(found, _PROBE, timeout=seconds)
    except ConnectionFailed as error:
        if error.code is not Code.SELF_CONNECTION:
            raise
    finally:
        await transport.stop()
    return found, to_seconds(time.monotonic_ns() - began_at)


def _takes(sock: socket.socket, level: int, option: int, value: int) -> bool:
    try:
        sock.setsockopt(level, option, value)
    except OSError:
        return False
    return True


def _granted(sock: socket.socket, option: int) -> int:
    """Bytes of payload that the kernel grants when asked for what a node asks for; it reports twice that."""
    _takes(sock, socket.SOL_SOCKET, option, SOCKET_BUFFER_BYTES)
    return sock.getsockopt(socket.SOL_SOCKET, option) // 2
