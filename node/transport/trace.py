"""A record of what happened to one connection, in the words and the format of qlog, that qvis reads.

draft-ietf-quic-qlog-main-schema and -quic-events, version 0.3, as JSON text sequences (RFC 7464). The core records
facts here and nowhere else; the records are kept in memory up to a bound, the oldest make room, and a shell may write
them to a file. Without a trace, a connection pays one comparison per event.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Sequence
from typing import TypeAlias

from node.transport.congestion.base import Controller
from node.transport.packet import SentPacket
from node.transport.rtt import RttEstimator
from node.types import MILLISECOND, Duration, Instant

__all__ = ["Trace"]

_Value: TypeAlias = "str | int | float | bool | list[_Value] | dict[str, _Value] | None"

_SEPARATOR = b"\x1e"


def _milliseconds(duration: Duration | None) -> float | None:
    return None if duration is None else duration / MILLISECOND


class Trace:
    """Events of one connection, newest kept. records_dropped: how many made room for newer ones."""

    __slots__ = ("_bytes", "_bytes_max", "_header", "_metrics", "_records", "_started_at", "_state", "records_dropped")

    def __init__(self, title: str, *, is_client: bool, bytes_max: int, now: Instant) -> None:
        """bytes_max: memory for encoded events."""
        self._started_at = now
        self._bytes_max = bytes_max
        self._bytes = 0
        self._records: deque[bytes] = deque()
        self._metrics: dict[str, _Value] = {}
        self._state = ""
        self.records_dropped = 0
        self._header: dict[str, _Value] = {
            "qlog_version": "0.3",
            "qlog_format": "JSON-SEQ",
            "title": title,
            "trace": {
                "vantage_point": {"name": title, "type": "client" if is_client else "server"},
                "common_fields": {"time_format": "relative", "reference_time": 0, "protocol_type": ["POSITRON"]},
            },
        }

    def dump(self) -> bytes:
        """Header and events, oldest first, each after a record separator and before a line feed."""
        return b"".join([_encoded(self._header), *self._records])

    def packet_sent(self, packet: SentPacket) -> None:
        """A packet leaves."""
        frames: list[_Value] = [
            {"frame_type": "stream", "stream_id": part.message.wire_id, "offset": part.offset, "length": part.size}
            for part in packet.parts
        ]
        if packet.ack_largest >= 0:
            frames.append({"frame_type": "ack", "acked_ranges": [[packet.ack_largest]]})
        self._packet("packet_sent", packet.sent_at, packet.number, packet.size, frames)

    def packet_received(self, number: int, size: int, now: Instant) -> None:
        """A packet has arrived and is authentic."""
        self._packet("packet_received", now, number, size, [])

    def packet_dropped(self, trigger: str, size: int, now: Instant) -> None:
        """A datagram for this connection was dropped."""
        self._record("transport:packet_dropped", now, {"raw": {"length": size}, "trigger": trigger})

    def packets_lost(self, packets: Sequence[SentPacket], now: Instant) -> None:
        """Packets were declared lost."""
        for packet in packets:
            data: dict[str, _Value] = {"header": _header_of(packet.number), "trigger": packet.lost_trigger}
            self._record("recovery:packet_lost", now, data)

    def metrics_updated(self, rtt: RttEstimator, controller: Controller, in_flight: int, now: Instant) -> None:
        """What recovery and the controller know; only what has changed is recorded."""
        current: dict[str, _Value] = {
            "min_rtt": _milliseconds(rtt.min_rtt),
            "smoothed_rtt": _milliseconds(rtt.smoothed_rtt),
            "latest_rtt": _milliseconds(rtt.latest_rtt),
            "rtt_variance": _milliseconds(rtt.rttvar),
            "congestion_window": controller.congestion_window,
            "bytes_in_flight": in_flight,
            "ssthresh": controller.slow_start_threshold,
        }
        changed = {name: value for name, value in current.items() if value != self._metrics.get(name)}
        if changed:
            self._metrics = current
            self._record("recovery:metrics_updated", now, changed)
        threshold = controller.slow_start_threshold
        is_starting = threshold is None or controller.congestion_window < threshold
        self.congestion_state("slow_start" if is_starting else "congestion_avoidance", now)

    def congestion_state(self, state: str, now: Instant) -> None:
        """The controller is in that state; recorded when it is another one than before."""
        if state != self._state:
            self._record("recovery:congestion_state_updated", now, {"old": self._state or None, "new": state})
            self._state = state

    def timer_expired(self, kind: str, now: Instant) -> None:
        """The loss timer has fired. kind: `ack` for the time threshold, `pto` for probes and retransmission."""
        self._record("recovery:loss_timer_updated", now, {"event_type": "expired", "timer_type": kind})

    def started(self, peer: str, now: Instant) -> None:
        """The handshake is complete."""
        self._record("connectivity:connection_started", now, {"dst_ip": peer, "protocol": "POSITRON"})

    def closed(self, trigger: str, reason: str, now: Instant, *, by_peer: bool) -> None:
        """The connection has ended."""
        owner = "remote" if by_peer else "local"
        self._record("connectivity:connection_closed", now, {"owner": owner, "trigger": trigger, "reason": reason})

    def _packet(self, name: str, now: Instant, number: int, size: int, frames: list[_Value]) -> None:
        data: dict[str, _Value] = {"header": _header_of(number), "raw": {"length": size}, "frames": frames}
        self._record(f"transport:{name}", now, data)

    def _record(self, name: str, now: Instant, data: dict[str, _Value]) -> None:
        record = _encoded({"time": (now - self._started_at) / MILLISECOND, "name": name, "data": data})
        self._records.append(record)
        self._bytes += len(record)
        while self._bytes > self._bytes_max and self._records:
            self._bytes -= len(self._records.popleft())
            self.records_dropped += 1


def _header_of(number: int) -> _Value:
    return {"packet_type": "1RTT", "packet_number": number}


def _encoded(record: dict[str, _Value]) -> bytes:
    return _SEPARATOR + json.dumps(record, separators=(",", ":")).encode() + b"\n"
