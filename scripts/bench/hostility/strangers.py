"""Misdeeds of whoever can reach a node's ports and is no peer: one class per generator, with a turn every 50 ms."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from node.identity.keys import Identity
from node.transport.endpoint import Endpoint
from node.transport.packet import Datagram
from node.transport.settings import TransportSettings
from node.types import Address

__all__ = ["MISDEEDS"]

SOCKETS = 32


class Junk:
    """Random datagrams of all sizes from many ports."""

    def __init__(self, udp: Address, _tcp: Address) -> None:
        self._target = udp
        self._sockets = [_udp() for _ in range(SOCKETS)]

    def act(self) -> None:
        for index, one in enumerate(self._sockets):
            for _ in range(4):
                one.sendto(os.urandom(1 + index * 40), self._target)

    def close(self) -> None:
        for one in self._sockets:
            one.close()


class Inits(Junk):
    """The genuine first packet of ever new clients, which never answer."""

    def act(self) -> None:
        for one in self._sockets:
            client = _client()
            client.connect(self._target, time.monotonic_ns())
            for data in _datagrams(client):
                one.sendto(data, self._target)


class Identities:
    """Clients with ever new keys that complete the handshake and are never heard of again."""

    def __init__(self, udp: Address, _tcp: Address) -> None:
        self._target = udp
        self._clients: list[tuple[Endpoint, socket.socket]] = []

    def act(self) -> None:
        for _ in range(3):
            client, one = _client(), _udp()
            client.connect(self._target, time.monotonic_ns())
            self._clients.append((client, one))
        for client, one in self._clients:
            with suppress(BlockingIOError):
                while True:
                    client.receive(Datagram(self._target, one.recv(65536)), time.monotonic_ns())
            for data in _datagrams(client):
                one.sendto(data, self._target)
        while len(self._clients) > 200:
            self._clients.pop(0)[1].close()

    def close(self) -> None:
        for _, one in self._clients:
            one.close()


class Streams:
    """TCP connections that say nothing, or nonsense without an end."""

    def __init__(self, _udp: Address, tcp: Address) -> None:
        self._target = tcp
        self._sockets: list[socket.socket] = []

    def act(self) -> None:
        for _ in range(5):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(self._target)
            self._sockets.append(one)
        for one in self._sockets[::2]:
            with suppress(OSError):
                one.send(os.urandom(2000))
        while len(self._sockets) > 400:
            self._sockets.pop(0).close()

    def close(self) -> None:
        for one in self._sockets:
            one.close()


MISDEEDS: Mapping[str, Callable[[Address, Address], Junk | Identities | Streams]] = {
    "junk": Junk,
    "inits": Inits,
    "identities": Identities,
    "streams": Streams,
}


def _udp() -> socket.socket:
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    one.setblocking(False)
    return one


def _client() -> Endpoint:
    return Endpoint(Identity(os.urandom(32)), TransportSettings(), entropy=os.urandom)


def _datagrams(client: Endpoint) -> list[bytes]:
    sent: list[bytes] = []
    while (transmit := client.poll_transmit(time.monotonic_ns())) is not None:
        sent += transmit.payloads()
    while client.poll_event() is not None:
        pass
    return sent
