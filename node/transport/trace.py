"""A record of what happened to one connection, in the words and the format of qlog, that qvis reads.

draft-ietf-quic-qlog-main-schema and -quic-events, version 0.3, as JSON text sequences (RFC 7464). The core records
facts here and nowhere else; the records are kept in memory up to a bound, the oldest make room, and a shell may read
them on to a file. Without a trace, a connection pays one comparison per event.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import TypeAlias

from node.errors import Code
from node.transport.congestion.base import Controller
from node.transport.packet import SentPacket
from node.transport.rtt import RttEstimator
from node.types import MILLISECOND, Address, Duration, Instant, NodeId

__all__ = ["SUFFIX", "Trace"]

SUFFIX = ".sqlog"
"""Of a file with one trace: what qvis takes for a JSON text sequence."""

_Value: TypeAlias = "str | int | float | bool | list[_Value] | dict[str, _Value] | None"

_SEPARATOR = b"\x1e"


def _milliseconds(duration: Duration | None) -> float | None:
    return None if duration is None else duration / MILLISECOND


class Trace:
    """Events of one connection, newest kept.

    handle: of the connection. peer_id: None until the handshake is complete. records: how many there were, the header
    included; records_dropped: how many of them made room for newer ones. bytes_held: of the others.
    """

    __slots__ = (
        "_bytes_max", "_header", "_metrics", "_records", "_started_at", "_state", "_time", "bytes_held", "handle",
        "peer_id", "records_dropped",
    )  # fmt: skip

    def __init__(self, handle: int, *, is_client: bool, bytes_max: int, now: Instant) -> None:
        """bytes_max: memory for encoded events."""
        self.handle = handle
        self.peer_id: NodeId | None = None
        self.records_dropped = 0
        self._started_at = now
        self._bytes_max = bytes_max
        self.bytes_held = 0
        self._records: deque[bytes] = deque()
        self._metrics: dict[str, _Value] = {}
        self._state = ""
        self._time = 0.0
        title = f"connection {handle}"
        self._header: dict[str, _Value] = {
            "qlog_version": "0.3",
            "qlog_format": "JSON-SEQ",
            "title": title,
            "trace": {
                "vantage_point": {"name": title, "type": "client" if is_client else "server"},
                # The clock is the monotonic one, which the processes of one machine share.
                "common_fields": {
                    "time_format": "relative",
                    "reference_time": now / MILLISECOND,
                    "protocol_type": ["POSITRON"],
                },
            },
        }

    @property
    def records(self) -> int:
        return 1 + self.records_dropped + len(self._records)

    def dump(self) -> bytes:
        """Header and events, oldest first, each after a record separator and before a line feed."""
        return self.read(0)

    def read(self, position: int) -> bytes:
        """The records from that one on, of `records`; a warning stands for those that made room unread."""
        parts = [] if position else [_encoded(self._header)]
        skipped = max(1, position) - 1 - self.records_dropped
        if skipped < 0:
            message = f"{-skipped} records are missing, which made room for later ones"
            time = _time_of(self._records[0]) if self._records else self._time
            parts.append(_encoded({"time": time, "name": "loglevel:warning", "data": {"message": message}}))
        parts += islice(self._records, max(0, skipped), None)
        return b"".join(parts)

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
        before, self._metrics = self._metrics, current
        changed: dict[str, _Value] = {
            name: value for name, value in current.items() if value is not None and value != before.get(name)
        }
        if changed:
            self._record("recovery:metrics_updated", now, changed)
        threshold = controller.slow_start_threshold
        is_starting = threshold is None or controller.congestion_window < threshold
        self.congestion_state("slow_start" if is_starting else "congestion_avoidance", now)

    def congestion_state(self, state: str, now: Instant) -> None:
        """The controller is in that state; recorded when it is another one than before."""
        if state != self._state:
            old: dict[str, _Value] = {"old": self._state} if self._state else {}
            self._record("recovery:congestion_state_updated", now, {**old, "new": state})
            self._state = state

    def timer_expired(self, kind: str, now: Instant) -> None:
        """The loss timer has fired. kind: `ack` for the time threshold, `pto` for probes and retransmission."""
        self._record("recovery:loss_timer_updated", now, {"event_type": "expired", "timer_type": kind})

    def started(self, peer_id: NodeId, address: Address, now: Instant) -> None:
        """The handshake is complete, or was when the trace began."""
        self.peer_id = peer_id
        host, port = address
        data: dict[str, _Value] = {
            # Which of its addresses a packet leaves from is the kernel's affair.
            "src_ip": "::" if ":" in host else "0.0.0.0",  # noqa: S104
            "dst_ip": host,
            "dst_port": port,
            "protocol": "POSITRON",
            "peer_id": peer_id.hex(),
        }
        self._record("connectivity:connection_started", now, data)

    def closed(self, code: Code, reason: str, now: Instant, *, by_peer: bool) -> None:
        """The connection has ended."""
        data: dict[str, _Value] = {
            "owner": "remote" if by_peer else "local",
            "trigger": _CLOSE_TRIGGERS.get(code, "error"),
            "connection_code": int(code),
            "code": code.name.lower(),
            "reason": reason,
        }
        self._record("connectivity:connection_closed", now, data)

    def _packet(self, name: str, now: Instant, number: int, size: int, frames: list[_Value]) -> None:
        data: dict[str, _Value] = {"header": _header_of(number), "raw": {"length": size}, "frames": frames}
        self._record(f"transport:{name}", now, data)

    def _record(self, name: str, now: Instant, data: dict[str, _Value]) -> None:
        self._time = max(self._time, (now - self._started_at) / MILLISECOND)
        record = _encoded({"time": self._time, "name": name, "data": data})
        self._records.append(record)
        self.bytes_held += len(record)
        while self.bytes_held > self._bytes_max and self._records:
            self.bytes_held -= len(self._records.popleft())
            self.records_dropped += 1


_CLOSE_TRIGGERS = {
    Code.OK: "clean",
    Code.SHUTDOWN: "clean",
    Code.REPLACED: "clean",
    Code.APPLICATION: "application",
    Code.IDLE_TIMEOUT: "idle_timeout",
    Code.PEER_RESTARTED: "stateless_reset",
}
"""What qlog calls an end; any other is an `error`."""


def _time_of(record: bytes) -> float:
    time = json.loads(record[len(_SEPARATOR) :])["time"]
    assert isinstance(time, int | float)
    return time


def _header_of(number: int) -> _Value:
    return {"packet_type": "1RTT", "packet_number": number}


def _encoded(record: dict[str, _Value]) -> bytes:
    return _SEPARATOR + json.dumps(record, separators=(",", ":")).encode() + b"\n"
