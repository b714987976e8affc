"""Prints what handshakes cost: whole ones per second and core, junk INITs screened per second, and memory under junk.

Usage: scripts/bench/run handshakes [--json] [--seconds S] [--junk N]
Everything runs in memory, both roles in one process, and the rate counts the work of both; what a node can answer is
that of the responder alone. Time is CPU time of the process. The handshake of aioquic (TLS
1.3 with an ECDSA certificate, unchecked) is measured in the same run.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from sides.pairs import is_installed

from node.identity.keys import Identity
from node.transport.endpoint import Endpoint
from node.transport.events import Connected
from node.transport.packet import Datagram
from node.transport.settings import TransportSettings
from node.types import MILLISECOND, SECOND, Address, Instant
from node.wire.limits import INIT_BYTES

PEERS = ("aioquic",)
CLIENT: Address = ("192.0.2.1", 9000)
SERVER: Address = ("192.0.2.2", 9000)
AIM_HANDSHAKES, AIM_JUNK = 1_500, 50_000
OPEN_DOOR = TransportSettings(handshake_rate=1_000_000, handshake_rate_per_address=1_000_000)


@dataclass(frozen=True, slots=True)
class Costs:
    """CPU seconds per handshake at each end."""

    initiator: float
    responder: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--seconds", type=float, default=2.0, help="how long each figure is measured")
    parser.add_argument("--junk", type=int, default=1_000_000, help="junk datagrams for the figure about memory")
    arguments = parser.parse_args()
    ours = measure_handshakes(arguments.seconds)
    peer = measure_aioquic(arguments.seconds)
    screened = {name: measure_junk(make, arguments.seconds) for name, make in JUNK.items()}
    growth = measure_memory(arguments.junk)
    result = {
        "handshakes_per_second_and_core": round(1 / (ours.initiator + ours.responder)),
        "of_the_responder_alone": round(1 / ours.responder),
        "initiator_us": round(ours.initiator * 1e6, 1),
        "responder_us": round(ours.responder * 1e6, 1),
        "aim_handshakes": AIM_HANDSHAKES,
        "aioquic_handshakes_per_second_and_core": None if peer is None else round(1 / peer),
        "ratio_to_aioquic": None if peer is None else round(peer / (ours.initiator + ours.responder), 1),
        "junk_inits_per_second": screened,
        "aim_junk": AIM_JUNK,
        "junk_datagrams": arguments.junk,
        "resident_growth_bytes": growth,
    }
    if arguments.json:
        print(json.dumps(result))
    else:
        for name, value in result.items():
            print(f"{name:40} {value}")
    return 0


def measure_handshakes(seconds: float) -> Costs:
    """Both ends go through the whole endpoint: INIT, RESPONSE, CONFIRM, first packets, and the goodbye."""
    spent = {"initiator": 0.0, "responder": 0.0}
    client = Endpoint(Identity(b"c" * 32), OPEN_DOOR, entropy=os.urandom)
    server = Endpoint(Identity(b"s" * 32), OPEN_DOOR, entropy=os.urandom)
    now, count = SECOND, 0
    while sum(spent.values()) < seconds:
        count += 1
        now += 60 * SECOND
        _one_handshake(client, server, now, spent)
        assert server.connection_of(client.identity.public_key) is not None
        _say_goodbye(client, server, now)
    return Costs(spent["initiator"] / count, spent["responder"] / count)


def _one_handshake(client: Endpoint, server: Endpoint, now: Instant, spent: dict[str, float]) -> None:
    begin = time.process_time()
    client.connect(SERVER, now)
    for _ in range(2):
        to_server = _drain(client, now)
        middle = time.process_time()
        spent["initiator"] += middle - begin
        for data in to_server:
            server.receive(Datagram(CLIENT, data), now)
        to_client = _drain(server, now)
        begin = time.process_time()
        spent["responder"] += begin - middle
        for data in to_client:
            client.receive(Datagram(SERVER, data), now)
    spent["initiator"] += time.process_time() - begin


def _say_goodbye(client: Endpoint, server: Endpoint, now: Instant) -> None:
    client.shutdown(now)
    for data in _drain(client, now):
        server.receive(Datagram(CLIENT, data), now)
    for endpoint in (client, server):
        _drain(endpoint, now)
        while (due := endpoint.next_timeout()) is not None:
            endpoint.handle_timeout(due)
            _drain(endpoint, due)
        assert not endpoint.connections


def _drain(endpoint: Endpoint, now: Instant) -> list[bytes]:
    sent: list[bytes] = []
    while (transmit := endpoint.poll_transmit(now)) is not None:
        sent += transmit.payloads()
    while (event := endpoint.poll_event()) is not None:
        assert isinstance(event, Connected) or event
    return sent


def _random_init() -> bytes:
    """An INIT's head in front of noise."""
    return b"\xbe\xef\x11\x00" + bytes(12) + os.urandom(INIT_BYTES - 16)


def _damaged_init() -> bytes:
    """A genuine INIT of this network with a wrong MAC: gets as far as junk can."""
    endpoint = Endpoint(Identity(b"c" * 32), OPEN_DOOR, entropy=os.urandom)
    endpoint.connect(SERVER, 0)
    return _drain(endpoint, 0)[0][:-1] + b"\0"


def _foreign_init() -> bytes:
    """A genuine INIT of another network, which is answered with a REFUSE."""
    endpoint = Endpoint(Identity(b"c" * 32), TransportSettings(network_id="other"), entropy=os.urandom)
    endpoint.connect(SERVER, 0)
    return _drain(endpoint, 0)[0]


def _genuine_init() -> bytes:
    """A genuine INIT, which under load is answered with a RETRY."""
    endpoint = Endpoint(Identity(os.urandom(32)), OPEN_DOOR, entropy=os.urandom)
    endpoint.connect(SERVER, 0)
    return _drain(endpoint, 0)[0]


JUNK: dict[str, Callable[[], bytes]] = {
    "random": _random_init,
    "damaged": _damaged_init,
    "foreign": _foreign_init,
    "genuine, under load": _genuine_init,
}


def measure_junk(make: Callable[[], bytes], seconds: float) -> int:
    """Datagrams per second that an endpoint under load gets rid of, answers included."""
    datagrams = [Datagram((f"10.0.{number}.1", 9000), make()) for number in range(64)]
    server = Endpoint(Identity(b"s" * 32), TransportSettings(half_open_max=1), entropy=os.urandom)
    server.receive(Datagram(CLIENT, _genuine_init()), SECOND)
    server.receive(Datagram(CLIENT, _genuine_init()), SECOND)
    count, begin = 0, time.process_time()
    while time.process_time() - begin < seconds / 2:
        for datagram in datagrams:
            server.receive(datagram, 2 * SECOND)
            while server.poll_transmit(2 * SECOND) is not None:
                pass
        count += len(datagrams)
    return round(count / (time.process_time() - begin))


def measure_memory(count: int) -> int:
    """Bytes of resident memory that so many junk datagrams of every kind, from as many addresses, leave behind."""
    junk = [make() for make in JUNK.values() for _ in range(16)]
    server = Endpoint(Identity(b"s" * 32), TransportSettings(), entropy=os.urandom)
    before = 0
    for number in range(count):
        now = SECOND + number * MILLISECOND // 50
        address = (f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}", 9000)
        server.handle_timeout(now)
        server.receive(Datagram(address, junk[number % len(junk)]), now)
        _drain(server, now)
        if number == count // 10:
            # By now every table is as full as it gets.
            gc.collect()
            before = _resident()
    gc.collect()
    return _resident() - before


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def measure_aioquic(seconds: float) -> float | None:
    """CPU seconds of one handshake of aioquic, both ends; None where it is not installed."""
    if not is_installed("aioquic"):
        return None
    handshake = import_module("sides.aioquic_handshake")
    return float(handshake.measure(seconds))


if __name__ == "__main__":
    sys.exit(main())
