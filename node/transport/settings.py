"""Settings of the transport layer, already validated: the shells make them from the node's configuration."""

from __future__ import annotations

from dataclasses import dataclass, fields

from node.crypto.suites import CIPHERS, Suite
from node.errors import UsageError
from node.transport.congestion import CONTROLLERS
from node.types import MILLISECOND, SECOND, Duration, is_name
from node.wire.limits import (
    ACK_DELAY_MAX,
    BUSY_POLL_MAX,
    HALF_OPEN_MAX,
    HEADER_BYTES,
    INITIAL_WINDOW_MAX,
    KEEP_ALIVE_MIN,
    MSS_MIN,
    MTU_MAX,
    MTU_MIN,
    REASSEMBLY_BYTES_MAX,
    REASSEMBLY_TOTAL_MAX,
    SEGMENTS_MAX,
    TAG_BYTES,
)

__all__ = ["TransportSettings"]

_RANGES = {
    "mtu": (MTU_MIN, MTU_MAX),
    "segments_max": (1, SEGMENTS_MAX),
    "max_ack_delay": (0, ACK_DELAY_MAX),
    "busy_poll": (0, BUSY_POLL_MAX),
}

_LEAST = {
    "mss": MSS_MIN,
    "max_connections": 1,
    "max_retries": 0,
    "qlog_bytes_max": 0,
    "half_open_max": 1,
    "handshake_rate_per_address": 1,
    "handshake_rate": 1,
    "reassembly_bytes_max": REASSEMBLY_BYTES_MAX,
}

_KINDS: dict[type, str] = {int: "a whole number", bool: "True or False", str: "a text", tuple: "a tuple"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportSettings:
    """What an endpoint and its connections may do; times are whole nanoseconds. UsageError for what is not allowed.

    mtu: largest UDP payload sent, in bytes, all our headers included; 1200 to 65507. A path is given 1200 first, and
        larger packets once it has carried a probe of their size.
    mss: upper bound for the frames in one packet, in bytes; the effective value is min(mss, mtu - 32).
    initial_window: receive window of a connection in bytes, and of each of its channels; at least 2 * mss, at most 64
        MiB. Memory: that many bytes undelivered per connection, beside the reassembly of large messages and ordered
        ones that came early, which is as much per channel.
    reassembly_bytes_max: memory for messages of all connections, UDP and TCP, that have arrived in part, or ordered
        ones that came early; at least REASSEMBLY_BYTES_MAX. Packets that need more count as lost until there is room
        again; a TCP connection that needs more is ended.
    max_connections: connections at once, half-open ones apart; at least 1.
    half_open_max: handshakes that strangers have begun and not finished, at most, and a quarter of it from one address
        (IPv6: network of 64 bits); from half of either on strangers are asked for a cookie first. Memory: about 3 KiB
        each.
    handshake_rate_per_address: handshakes admitted per second and address (IPv6: network of 64 bits), at least 1.
    handshake_rate: handshakes admitted per second in total, at least 1; 1000 take about a fifth of a core. Of both
        rates half is for addresses that are validated.
    min_rto, max_rto: clamp of the effective retransmission timeout.
    max_retries: expiries of the effective timeout in a row before the connection fails.
    idle_timeout: silence after which a connection is closed.
    keep_alive: silence after which a connection asks its peer for a sign of life, at least 10 ms; 0 for never. Below
        idle_timeout, or it comes too late.
    max_ack_delay: longest time an acknowledgement is held back on purpose; at most a second.
    busy_poll: time for which the event loop asks for packets instead of sleeping, after each that came or left; 0 for
        never, at most 10 ms. Answers come sooner by what it takes to wake a processor, and one is busy meanwhile; where
        none comes in that time, it hardly ever asks.
    segments_max: datagrams of one size handed to the kernel in one call (UDP_SEGMENT), 1 to 64 and never more than
        65,507 bytes together; 1 switches it off.
    congestion: name of the congestion controller, one of `congestion.CONTROLLERS`.
    suites: cipher suites offered to the peer; the best that both ends offer is used.
    ecn: whether to mark packets as capable of ECN where the path carries the marks.
    qlog_bytes_max: memory for the events of each connection, in bytes, that `Endpoint.qlog` returns; 0 records none.
    network_id: name of the network, 1 to 64 letters, digits, dots, dashes and underscores; nodes of different networks
        refuse each other.
    """

    mtu: int = 1400
    mss: int = 1400
    initial_window: int = 65535
    reassembly_bytes_max: int = REASSEMBLY_TOTAL_MAX
    max_connections: int = 1000
    half_open_max: int = HALF_OPEN_MAX
    handshake_rate_per_address: int = 100
    handshake_rate: int = 1000
    min_rto: Duration = 1 * SECOND
    max_rto: Duration = 60 * SECOND
    max_retries: int = 5
    idle_timeout: Duration = 60 * SECOND
    keep_alive: Duration = 0
    max_ack_delay: Duration = 10 * MILLISECOND
    segments_max: int = 40
    busy_poll: Duration = 0
    congestion: str = "lossfloor"
    suites: tuple[Suite, ...] = tuple(CIPHERS)
    network_id: str = "positron"
    qlog_bytes_max: int = 0
    ecn: bool = True

    def __post_init__(self) -> None:
        self._check_kinds()
        self._check_ranges()
        if not self.suites or not all(suite in CIPHERS for suite in self.suites):
            raise UsageError(f"suites {self.suites}: this machine has {tuple(CIPHERS)}")
        if self.congestion not in CONTROLLERS:
            raise UsageError(f"congestion {self.congestion!r}: allowed are {', '.join(CONTROLLERS)}")
        if not is_name(self.network_id):
            allowed = "1 to 64 letters, digits, dots, dashes and underscores"
            raise UsageError(f"network_id {self.network_id[:80]!r}: allowed are {allowed}")

    def _check_kinds(self) -> None:
        for field in fields(self):
            value, kind = getattr(self, field.name), type(field.default)
            if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
                raise UsageError(f"{field.name} {value!r}: allowed is {_KINDS[kind]}")

    def _check_ranges(self) -> None:
        for name, (least, most) in _RANGES.items():
            if not least <= getattr(self, name) <= most:
                raise UsageError(f"{name} {getattr(self, name)}: allowed is {least} to {most}")
        for name, least in _LEAST.items():
            if getattr(self, name) < least:
                raise UsageError(f"{name} {getattr(self, name)}: allowed is {least} and more")
        least = 2 * self.packet_payload
        if not least <= self.initial_window <= INITIAL_WINDOW_MAX:
            raise UsageError(f"initial_window {self.initial_window}: allowed is {least} to {INITIAL_WINDOW_MAX}")
        if self.keep_alive and not KEEP_ALIVE_MIN <= self.keep_alive < self.idle_timeout:
            allowed = f"0, or {KEEP_ALIVE_MIN} to less than idle_timeout {self.idle_timeout}"
            raise UsageError(f"keep_alive {self.keep_alive}: allowed is {allowed}")
        if not 0 < self.min_rto <= self.max_rto:
            raise UsageError(f"min_rto {self.min_rto}: allowed is more than 0 and at most max_rto {self.max_rto}")

    @property
    def packet_payload(self) -> int:
        """Bytes of frames that fit in one packet."""
        return min(self.mss, self.mtu - HEADER_BYTES - TAG_BYTES)
