"""Two endpoints of one transport in one process, joined by a wire that takes a millisecond of virtual time each way.

`Ours` and `Aioquic` offer the same: `connect`, then `carry` some messages and count what it took. No sockets, no event
loop: what is measured is the protocol.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass

from node.identity.keys import Identity
from node.transport.endpoint import Endpoint
from node.transport.events import Connected, Delivery, Event, MessageAcknowledged
from node.transport.packet import Datagram, Message
from node.transport.settings import TransportSettings
from node.types import MILLISECOND, Address, Instant

CLIENT, SERVER = ("10.0.0.1", 9000), ("10.0.0.2", 9000)
WIRE_DELAY = MILLISECOND
BLOCK = 1 << 18
BLOCKS_IN_FLIGHT = 4


@dataclass
class Carried:
    """CPU seconds that both ends together took, and full-size packets that crossed."""

    cpu: float
    packets: int
    bytes: int

    @property
    def per_packet_and_side(self) -> float:
        """Microseconds."""
        return self.cpu * 1e6 / self.packets / 2


class Ours:
    """Endpoints of this project. wire_delay: one way."""

    wire_delay = WIRE_DELAY

    def __init__(self, packet_bytes: int) -> None:
        settings = TransportSettings(mtu=packet_bytes, mss=packet_bytes, initial_window=1 << 20)
        self.client, self.server = (
            Endpoint(Identity(bytes([number]) * 32), settings, entropy=random.Random(number).randbytes)
            for number in (1, 2)
        )
        self.now: Instant = 10**9
        self.packets = 0
        self.acknowledged = 0
        self.handle = 0

    def connect(self) -> None:
        self.handle = self.client.connect(SERVER, self.now)
        while not self._turn():
            pass

    def carry(self, total: int) -> Carried:
        """Sends that many bytes, at least, from client to server, and waits for their acknowledgements."""
        blocks = -(-total // BLOCK)
        payload = bytes(BLOCK)
        self.packets = self.acknowledged = sent = 0
        began = time.process_time()
        while self.acknowledged < blocks:
            while sent < blocks and sent - self.acknowledged < BLOCKS_IN_FLIGHT:
                self.client.send(self.handle, Message(payload, Delivery.RELIABLE), self.now)
                sent += 1
            self._turn()
        return Carried(time.process_time() - began, self.packets, blocks * BLOCK)

    def _turn(self) -> bool:
        """One crossing each way; whether a connection was established at the server."""
        moved = self._cross(self.client, self.server, CLIENT) + self._cross(self.server, self.client, SERVER)
        is_connected = any(isinstance(event, Connected) for event in _events(self.server))
        self.acknowledged += sum(isinstance(event, MessageAcknowledged) for event in _events(self.client))
        if not moved:
            due = [at for at in (self.client.next_timeout(), self.server.next_timeout()) if at is not None]
            self.now = max(self.now, min(due))
        for endpoint in (self.client, self.server):
            if (at := endpoint.next_timeout()) is not None and at <= self.now:
                endpoint.handle_timeout(self.now)
        return is_connected

    def _cross(self, here: Endpoint, there: Endpoint, address: Address) -> int:
        """Moves all that may leave now; how many datagrams that was."""
        datagrams = []
        while (transmit := here.poll_transmit(self.now)) is not None:
            datagrams += [Datagram(address, data) for data in transmit.payloads()]
        self.now += self.wire_delay
        if here is self.client:
            self.packets += len(datagrams)
        for datagram in datagrams:
            if self.passes():
                there.receive(datagram, self.now)
        return len(datagrams)

    def passes(self) -> bool:
        """Whether the next datagram arrives."""
        return True


def _events(endpoint: Endpoint) -> list[Event]:
    return list(iter(endpoint.poll_event, None))


class Aioquic:
    """aioquic's connections, made to do the same."""

    def __init__(self, packet_bytes: int) -> None:
        from aioquic.quic.connection import QuicConnection

        from sides import quic

        options = {"library": "aioquic", "mtu": str(packet_bytes)}
        self.client = QuicConnection(configuration=quic.configuration(options, is_client=True))
        self.server = QuicConnection(
            configuration=quic.configuration(options, is_client=False),
            original_destination_connection_id=self.client.original_destination_connection_id,
        )
        self.now = 1.0
        self.packets = 0
        self.finished = 0
        self.is_connected = False
        self.client.connect(SERVER, now=self.now)

    def connect(self) -> None:
        while not self.is_connected:
            self._turn()

    def carry(self, total: int) -> Carried:
        """As `Ours.carry`: a stream per block, which the server ends when it has the block."""
        blocks = -(-total // BLOCK)
        payload = bytes(BLOCK)
        self.packets = self.finished = sent = 0
        began = time.process_time()
        while self.finished < blocks:
            while sent < blocks and sent - self.finished < BLOCKS_IN_FLIGHT:
                stream = self.client.get_next_available_stream_id()
                self.client.send_stream_data(stream, payload, end_stream=True)
                sent += 1
            self._turn()
        return Carried(time.process_time() - began, self.packets, blocks * BLOCK)

    def _turn(self) -> None:
        from aioquic.quic.events import HandshakeCompleted, StreamDataReceived

        moved = False
        for here, there, address in ((self.client, self.server, CLIENT), (self.server, self.client, SERVER)):
            datagrams = here.datagrams_to_send(now=self.now)
            self.now += WIRE_DELAY / 1e9
            for data, _ in datagrams:
                moved = True
                if here is self.client:
                    self.packets += 1
                there.receive_datagram(data, address, now=self.now)
            while (event := there.next_event()) is not None:
                self.is_connected |= isinstance(event, HandshakeCompleted) and there is self.server
                if isinstance(event, StreamDataReceived) and event.end_stream:
                    if there is self.server:
                        self.server.send_stream_data(event.stream_id, b"1", end_stream=True)
                    else:
                        self.finished += 1
        for connection in (self.client, self.server):
            at = connection.get_timer()
            if at is not None and (at <= self.now or not moved):
                self.now = max(self.now, at) + 1e-6
                connection.handle_timer(now=self.now)
