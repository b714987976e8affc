"""aioquic's handshake in memory: two connections that hand each other their datagrams."""

from __future__ import annotations

import time

from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import HandshakeCompleted

from sides.quic import configuration

__all__ = ["measure"]

CLIENT, SERVER = ("192.0.2.1", 9000), ("192.0.2.2", 9000)


def measure(seconds: float) -> float:
    """CPU seconds of one handshake, both ends together."""
    options = {"library": "aioquic"}
    ours, theirs = configuration(options, is_client=True), configuration(options, is_client=False)
    count, began = 0, time.process_time()
    while time.process_time() - began < seconds:
        client = QuicConnection(configuration=ours)
        client.connect(SERVER, now=0.0)
        server = QuicConnection(
            configuration=theirs, original_destination_connection_id=client.original_destination_connection_id
        )
        for _ in range(4):
            for data, _address in client.datagrams_to_send(now=0.0):
                server.receive_datagram(data, CLIENT, now=0.0)
            for data, _address in server.datagrams_to_send(now=0.0):
                client.receive_datagram(data, SERVER, now=0.0)
        for end in (client, server):
            assert any(isinstance(event, HandshakeCompleted) for event in iter(end.next_event, None))
        count += 1
    return (time.process_time() - began) / count
