"""Loopback addresses for testnets of local processes: a block of 127.0.0.0/8 for each, chosen by its name.

Knows sockets and nothing of nodes.
"""

from __future__ import annotations

import hashlib
import socket

from node.testnet.errors import TestnetFailed

__all__ = ["HTTP_PORT", "PORT", "TCP_PORT", "as_number", "free_hosts", "has_loopback_network"]

PORT, TCP_PORT, HTTP_PORT = 8888, 8889, 9464


def has_loopback_network() -> bool:
    """Whether any address of 127.0.0.0/8 can be had."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trial:
        try:
            trial.bind(("127.91.3.7", 0))
        except OSError:
            return False
    return True


def free_hosts(name: str, number: int) -> list[str]:
    """Addresses of 127.0.0.0/8 for a testnet of that name, which nobody uses."""
    digest = hashlib.blake2b(name.encode(), digest_size=32).digest()
    for second, third in zip(digest[0::2], digest[1::2], strict=True):
        block = (max(1, second) << 16) + (third << 8)
        hosts = [_host(block + 1 + index) for index in range(number)]
        if all(_is_free(host) for host in hosts):
            return hosts
    raise TestnetFailed(f"no {number} loopback addresses are free")


def _host(number: int) -> str:
    return f"127.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def _is_free(host: str) -> bool:
    for kind, port in ((socket.SOCK_DGRAM, PORT), (socket.SOCK_STREAM, TCP_PORT), (socket.SOCK_STREAM, HTTP_PORT)):
        with socket.socket(socket.AF_INET, kind) as trial:
            if kind == socket.SOCK_STREAM:
                trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind((host, port))
            except OSError:
                return False
    return True


def as_number(host: str) -> str:
    """The address in a form that only a resolver understands, so that nodes look up their seed as they would a name."""
    return "0x" + "".join(f"{int(part):02x}" for part in host.split("."))
