"""ENet, in C, plain: reliable packets on one channel.

Its binding does not tell how much is queued, so the receiver reports what it has, for a bulk sender to keep within.
"""

from __future__ import annotations

import time

import enet

from impaired.load import CHUNK_BYTES, MESSAGES_PER_SECOND, Load, Meter, message

UNREPORTED_BYTES_MAX = 2 << 20
REPORT_INTERVAL = 0.01
TURN_MS = 1


def receive(address: tuple[str, int], meter: Meter, _variant: str) -> None:
    host = enet.Host(enet.Address(address[0].encode(), address[1]), 4, 1, 0, 0)
    received, reported_at = 0, 0.0
    while not meter.is_over():
        event = host.service(TURN_MS)
        if event.type != enet.EVENT_TYPE_RECEIVE:
            continue
        meter.on_bytes(event.packet.data)
        received += len(event.packet.data)
        if meter.load.kind == "bulk" and time.monotonic() >= reported_at + REPORT_INTERVAL:
            reported_at = time.monotonic()
            event.peer.send(0, enet.Packet(received.to_bytes(8, "big"), 0))


def send(address: tuple[str, int], load: Load, _variant: str) -> None:
    host = enet.Host(None, 1, 1, 0, 0)
    peer = host.connect(enet.Address(address[0].encode(), address[1]), 1)
    while host.service(TURN_MS).type != enet.EVENT_TYPE_CONNECT:
        pass
    if load.kind == "bulk":
        _send_bulk(host, peer)
    began = time.monotonic()
    number = 0
    while True:
        if number < load.messages and time.monotonic() >= began + number / MESSAGES_PER_SECOND:
            peer.send(0, enet.Packet(message(number), enet.PACKET_FLAG_RELIABLE))
            host.flush()
            number += 1
        host.service(TURN_MS)


def _send_bulk(host: enet.Host, peer: enet.Peer) -> None:
    chunk = bytes(CHUNK_BYTES)
    sent = reported = 0
    while True:
        while sent - reported < UNREPORTED_BYTES_MAX:
            peer.send(0, enet.Packet(chunk, enet.PACKET_FLAG_RELIABLE))
            sent += CHUNK_BYTES
        event = host.service(TURN_MS)
        if event.type == enet.EVENT_TYPE_RECEIVE:
            reported = max(reported, int.from_bytes(event.packet.data, "big"))
