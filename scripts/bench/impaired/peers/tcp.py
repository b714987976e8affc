"""Kernel TCP with the congestion control that the variant names; neither encrypted nor in user space."""

from __future__ import annotations

import socket
import time

from impaired.load import MESSAGES_PER_SECOND, Load, Meter, message

PIECE_BYTES = 1 << 16


def receive(address: tuple[str, int], meter: Meter, _variant: str) -> None:
    with socket.create_server(address) as server:
        server.settimeout(meter.load.is_over_after())
        connection, _ = server.accept()
    connection.settimeout(0.05)
    while not meter.is_over():
        try:
            data = connection.recv(PIECE_BYTES)
        except TimeoutError:
            continue
        if not data:
            return
        meter.on_bytes(data)


def send(address: tuple[str, int], load: Load, variant: str) -> None:
    connection = socket.socket()
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, variant.encode())
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while True:
        try:
            connection.connect(address)
            break
        except ConnectionRefusedError:
            time.sleep(0.05)
    if load.kind == "bulk":
        piece = bytes(PIECE_BYTES)
        while True:
            connection.sendall(piece)
    began = time.monotonic()
    for number in range(load.messages):
        time.sleep(max(0.0, began + number / MESSAGES_PER_SECOND - time.monotonic()))
        connection.sendall(message(number))
    time.sleep(load.is_over_after())
