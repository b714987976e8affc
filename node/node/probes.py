"""Counted probes: packets that measure a link, and what arrived of them.

A probe leaves as any packet of the node does, and arrives at a socket for probes alone, on the same address. It says
which measurement it belongs to and when it was sent; when it arrived the kernel says, so that a busy receiver adds
nothing. Delays are true where both ends have one clock, as on one machine.

    probe = b"positron probe" | measurement (8) | number (4) | sent, Unix time in nanoseconds (8) | padding
"""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from node.transport.udp_socket import open_udp_socket
from node.types import SECOND, to_seconds

__all__ = ["MEASUREMENTS_MAX", "PROBE_BYTES", "ProbeLog", "probe"]

MAGIC = b"positron probe"
_FIELDS = struct.Struct("!8sIQ")
PROBE_BYTES = 100

MEASUREMENTS_MAX = 256
PROBES_MAX = 100_000
"""Probes of one measurement that are remembered."""

READS_MAX = 256
"""Probes read in one turn of the loop."""

BUFFER_BYTES = 4 << 20
SO_TIMESTAMPNS = 35
"""Linux: the kernel tells when each datagram arrived, in seconds and nanoseconds of the Unix time."""

_TIMESPEC = struct.Struct("@qq")
_CONTROL_BYTES = socket.CMSG_SPACE(_TIMESPEC.size)


def probe(measurement: bytes, number: int, sent: int) -> bytes:
    """One probe. measurement: 8 bytes. sent: Unix time in nanoseconds."""
    return (MAGIC + _FIELDS.pack(measurement, number, sent)).ljust(PROBE_BYTES, b"\0")


@dataclass(slots=True)
class _Measurement:
    delays: dict[str, list[float]] = field(default_factory=dict)
    seen: set[tuple[str, int]] = field(default_factory=set)


@dataclass(slots=True)
class ProbeLog:
    """What arrived, by measurement and sender."""

    _measurements: dict[bytes, _Measurement] = field(default_factory=dict)
    _socket: socket.socket | None = None

    def listen(self, host: str) -> int:
        """The port at which probes are taken from now on."""
        if self._socket is None:
            self._socket = open_udp_socket(host, 0)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
            with suppress(OSError):
                self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            asyncio.get_running_loop().add_reader(self._socket, self._read)
        port: int = self._socket.getsockname()[1]
        return port

    def close(self) -> None:
        """Takes no more of them."""
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def take(self, host: str, data: bytes, arrived: int) -> None:
        """Counts a probe, and ignores everything else. Copies of one probe count once. arrived: as `sent`."""
        if len(data) != PROBE_BYTES or not data.startswith(MAGIC):
            return
        measurement, number, sent = _FIELDS.unpack_from(data, len(MAGIC))
        found = self._measurements.get(measurement)
        if found is None:
            if len(self._measurements) >= MEASUREMENTS_MAX:
                del self._measurements[next(iter(self._measurements))]
            found = self._measurements[measurement] = _Measurement()
        if (host, number) not in found.seen and len(found.seen) < PROBES_MAX:
            found.seen.add((host, number))
            found.delays.setdefault(host, []).append(to_seconds(max(0, arrived - sent)))

    def received(self, measurement: bytes) -> dict[str, list[float]]:
        """Delays of the probes of that measurement in seconds, by the host that sent them."""
        found = self._measurements.get(measurement)
        return {} if found is None else found.delays

    def _read(self) -> None:
        assert self._socket is not None
        for _ in range(READS_MAX):
            try:
                data, controls, _, address = self._socket.recvmsg(PROBE_BYTES + 1, _CONTROL_BYTES)
            except OSError:  # nothing is left to read
                return
            self.take(str(address[0]), data, _arrival(controls))


def _arrival(controls: Iterable[tuple[int, int, bytes]]) -> int:
    """When the kernel took a datagram in; now, where it does not say."""
    for level, kind, data in controls:
        if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS) and len(data) == _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack(data)
            return int(seconds * SECOND + nanoseconds)
    return time.time_ns()
