"""Counted probes: packets that measure a link, and what arrived of them.

A probe travels as any packet of the node does, and is taken out where it arrives, before the protocol sees it. It says
which measurement it belongs to and when it was sent; delays are true where both ends have one clock, as on one machine.

    probe = b"positron probe" | measurement (8) | number (4) | sent, nanoseconds (8) | padding
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from node.transport.packet import Datagram
from node.types import Instant, to_seconds

__all__ = ["PROBE_BYTES", "ProbeLog", "probe"]

MAGIC = b"positron probe"
_FIELDS = struct.Struct("!8sIQ")
PROBE_BYTES = 100

MEASUREMENTS_MAX = 256
PROBES_MAX = 100_000
"""Probes of one measurement that are remembered."""


def probe(measurement: bytes, number: int, now: Instant) -> bytes:
    """One probe. measurement: 8 bytes."""
    return (MAGIC + _FIELDS.pack(measurement, number, now)).ljust(PROBE_BYTES, b"\0")


@dataclass(slots=True)
class _Measurement:
    delays: dict[str, list[float]] = field(default_factory=dict)
    seen: set[tuple[str, int]] = field(default_factory=set)


@dataclass(slots=True)
class ProbeLog:
    """What arrived, by measurement and sender. is_on: whether probes are taken at all."""

    is_on: bool = False
    _measurements: dict[bytes, _Measurement] = field(default_factory=dict)

    def takes(self, datagram: Datagram, now: Instant) -> bool:
        """Whether that datagram was all probes, which now are counted. Copies of one probe count once."""
        if not self.is_on or not datagram.data.startswith(MAGIC):
            return False
        payloads = datagram.payloads()
        for data in payloads:
            if len(data) == PROBE_BYTES and data.startswith(MAGIC):
                self._count(datagram.address[0], data, now)
        return all(data.startswith(MAGIC) for data in payloads)

    def received(self, measurement: bytes) -> dict[str, list[float]]:
        """Delays of the probes of that measurement in seconds, by the host that sent them."""
        found = self._measurements.get(measurement)
        return {} if found is None else found.delays

    def _count(self, host: str, data: bytes, now: Instant) -> None:
        measurement, number, sent = _FIELDS.unpack_from(data, len(MAGIC))
        found = self._measurements.get(measurement)
        if found is None:
            if len(self._measurements) >= MEASUREMENTS_MAX:
                del self._measurements[next(iter(self._measurements))]
            found = self._measurements[measurement] = _Measurement()
        if (host, number) not in found.seen and len(found.seen) < PROBES_MAX:
            found.seen.add((host, number))
            found.delays.setdefault(host, []).append(to_seconds(max(0, now - sent)))
