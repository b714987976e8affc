"""TCP in the virtual world: byte streams between hosts over the same links that carry their datagrams.

A stream is cut into segments; each has its own fate on the link, and a lost one is sent again after the retransmission
timeout of a kernel (RFC 6298 with the usual floor of 200 ms), doubled each time, while the order of bytes is kept. So
loss and delay slow a stream down, a cut in the network silences it, and nothing is ever corrupted. What is modelled:
connection establishment with retries, refusal where nobody listens, FIN, reset by a dead process or by a machine that
no longer knows the stream, a fixed window. What is not: congestion control, and acknowledgements that get lost.
Knows the inputs and outputs of `node.transport.stream`, and nothing of what the bytes mean.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from node.errors import UsageError
from node.sim.world import Host, World
from node.transport.stream import (
    StreamClosed,
    StreamConnect,
    StreamData,
    StreamInput,
    StreamOpened,
    StreamShutdown,
    StreamWrite,
)
from node.types import MILLISECOND, SECOND, Address, Duration, Instant
from node.wire.limits import STREAM_HANDLE_FIRST

__all__ = ["Streams"]

SEGMENT_BYTES = 1_448
"""Payload of a TCP segment on a path of 1,500 bytes."""

WINDOW_SEGMENTS = 64
"""Segments under way at once in one direction: about 90 kB, a small receive window."""

RTO_MIN: Duration = 200 * MILLISECOND
RTO_MAX: Duration = 120 * SECOND
SYN_RTO: Duration = 1 * SECOND
RETRIES_MAX = 15
SYN_RETRIES_MAX = 6
"""As the Linux kernel has them by default."""

PORT_FIRST = 32_768
"""Streams come from ports that count from here: the first ephemeral port of Linux."""

_HEADERS = bytes(40)
"""IP and TCP headers, which the link carries too."""


@dataclass(slots=True, eq=False)
class _Flow:
    """One direction of a stream. waiting: segments that the window holds back; None is the FIN.

    arrived: segments that came before their turn. expected: number of the segment whose turn it is.
    """

    target: Host
    number: int
    source: Host
    waiting: deque[bytes | None] = field(default_factory=deque)
    sent: int = 0
    under_way: int = 0
    expected: int = 0
    arrived: dict[int, bytes | None] = field(default_factory=dict)
    last_at: Instant = 0
    other: _Flow | None = None
    is_closed: bool = False
    is_deaf: bool = False


class Streams:
    """Every stream of one world. can_refuse: whether a cut between two hosts answers instead of staying silent."""

    def __init__(self, world: World, *, can_refuse: Callable[[Address, Address], bool] = lambda _, __: False) -> None:
        self.opened = 0
        self.refused = 0
        self.bytes_carried = 0
        self.segments_lost = 0
        self._world = world
        self._can_refuse = can_refuse
        self._listeners: dict[Address, Host] = {}
        self._flows: dict[tuple[Host, int], _Flow] = {}
        self._next_number: dict[Host, int] = {}
        self._dialling: dict[tuple[Host, int], bool] = {}

    # --- hosts ----------------------------------------------------------------------------------------------------

    def listen(self, host: Host, address: Address) -> None:
        """Lets that host accept streams at that address, in the place of whoever did before."""
        self._listeners[address] = host

    def forget(self, host: Host, *, is_silent: bool) -> None:
        """The process of that host is gone. Its kernel closes its streams, unless it is gone as well (is_silent)."""
        for address in [address for address, listener in self._listeners.items() if listener is host]:
            del self._listeners[address]
        for key in [key for key in self._dialling if key[0] is host]:
            del self._dialling[key]
        for key in [key for key in self._flows if key[0] is host]:
            flow = self._flows[key]
            if is_silent:
                flow.is_deaf = True
                self._drop(flow)
            else:
                self._end(flow)

    def take(self, host: Host, output: object) -> None:
        """Carries out what the machine of that host wants done to a stream."""
        match output:
            case StreamConnect(stream, address):
                self._dialling[(host, stream)] = True
                self._dial(host, stream, address, 0)
            case StreamWrite(stream, data):
                flow = self._flows.get((host, stream))
                if flow is not None and not flow.is_closed:
                    flow.waiting.extend(data[at : at + SEGMENT_BYTES] for at in range(0, len(data), SEGMENT_BYTES))
                    self._fill(flow)
            case StreamShutdown(stream):
                self._dialling.pop((host, stream), None)
                flow = self._flows.get((host, stream))
                if flow is not None:
                    self._end(flow)
            case _:
                raise UsageError(f"no output of a stream: {output}")

    # --- opening --------------------------------------------------------------------------------------------------

    def _dial(self, host: Host, stream: int, address: Address, tries: int) -> None:
        if (host, stream) not in self._dialling:
            return
        target = self._listeners.get(address)
        where = target.address if target is not None else self._host_at(address[0])
        if where is None:
            # Nobody has that address: no answer, not even a refusal.
            self._dial_again(host, stream, address, tries)
            return
        if self._can_refuse(host.address, where):
            self._refuse(host, stream, self._world.now)
            return
        there = self._trip(host.address, where)
        back = self._trip(where, host.address) if there is not None else None
        if there is None or back is None:
            self._dial_again(host, stream, address, tries)
            return
        self._world.call_at(there + back - self._world.now, self._answer, host, stream, address, there)

    def _dial_again(self, host: Host, stream: int, address: Address, tries: int) -> None:
        if tries == SYN_RETRIES_MAX:
            self._refuse(host, stream, self._world.now, "Connection timed out")
            return
        self._world.call_at(self._world.now + (SYN_RTO << tries), self._dial, host, stream, address, tries + 1)

    def _answer(self, host: Host, stream: int, address: Address, there: Instant) -> None:
        """The SYN-ACK is back: both ends have a stream."""
        if self._dialling.pop((host, stream), None) is None or not host.is_alive:
            return
        target = self._listeners.get(address)
        if target is None or not target.is_alive:
            self._refuse(host, stream, self._world.now)
            return
        self.opened += 1
        number = self._next_number.get(target, 1)
        self._next_number[target] = number + 1
        if number >= STREAM_HANDLE_FIRST:
            raise UsageError(f"{target.address} has accepted {number} streams: more than it has numbers for")
        ours = _Flow(target, number, host)
        theirs = _Flow(host, stream, target, other=ours)
        ours.other = theirs
        self._flows[(host, stream)] = ours
        self._flows[(target, number)] = theirs
        port = PORT_FIRST + self.opened % (65_536 - PORT_FIRST)
        # The last message of the handshake takes another trip; bytes that follow arrive after it.
        ours.last_at = self._world.now + (self._world.now - there)
        self._world.call_at(ours.last_at, self._accept, target, number, (host.address[0], port))
        self._give(host, StreamOpened(stream, address, is_initiator=True))

    def _accept(self, target: Host, number: int, address: Address) -> None:
        if (target, number) in self._flows:
            self._give(target, StreamOpened(number, address, is_initiator=False))

    def _refuse(self, host: Host, stream: int, at: Instant, reason: str = "Connection refused") -> None:
        self._dialling.pop((host, stream), None)
        self.refused += 1
        self._world.call_at(at, self._give, host, StreamClosed(stream, reason))

    def _host_at(self, ip: str) -> Address | None:
        return next((address for address in self._world.hosts if address[0] == ip), None)

    # --- carrying -------------------------------------------------------------------------------------------------

    def _trip(self, source: Address, target: Address, data: bytes = b"") -> Instant | None:
        """When a segment sent now arrives; None if it is lost. The checksum turns corruption into loss."""
        packet = _HEADERS + data
        for arrival in self._world.carry(source, target, packet):
            if arrival.data == packet:
                return arrival.at
        self.segments_lost += 1
        return None

    def _fill(self, flow: _Flow) -> None:
        while flow.waiting and flow.under_way < WINDOW_SEGMENTS:
            segment = flow.waiting.popleft()
            flow.under_way += 1
            flow.sent += 1
            self._transmit(flow, flow.sent - 1, segment, 0)

    def _transmit(self, flow: _Flow, number: int, segment: bytes | None, tries: int) -> None:
        if flow.is_deaf:
            return
        at = self._trip(flow.source.address, flow.target.address, segment or b"")
        if at is not None:
            self._world.call_at(max(at, flow.last_at), self._arrive, flow, number, segment)
        elif tries < RETRIES_MAX:
            wait = min(max(RTO_MIN, 2 * self._round_trip(flow)) << tries, RTO_MAX)
            self._world.call_at(self._world.now + wait, self._transmit, flow, number, segment, tries + 1)
        else:
            self._break(flow)

    def _round_trip(self, flow: _Flow) -> Duration:
        there = self._world.link(flow.source.address, flow.target.address).settings
        back = self._world.link(flow.target.address, flow.source.address).settings
        return there.delay + there.jitter + back.delay + back.jitter

    def _arrive(self, flow: _Flow, number: int, segment: bytes | None) -> None:
        target = flow.target
        if flow.is_deaf or (target, flow.number) not in self._flows:
            # The far end has no such stream any more; its kernel, if it is there, answers with a reset.
            if self._world.hosts.get(target.address) is not None:
                self._reset(flow)
            return
        if target.paused_until > self._world.now:
            self._world.call_at(target.paused_until, self._arrive, flow, number, segment)
            return
        flow.arrived[number] = segment
        while flow.expected in flow.arrived and (target, flow.number) in self._flows:
            data = flow.arrived.pop(flow.expected)
            flow.expected += 1
            flow.under_way -= 1
            if data is None:
                self._hang_up(flow)
                return
            self.bytes_carried += len(data)
            self._give(target, StreamData(flow.number, data))
        self._fill(flow)

    # --- ending ---------------------------------------------------------------------------------------------------

    def _end(self, flow: _Flow) -> None:
        """The near end closes: what was written still arrives, then a FIN; nothing is reported to it any more."""
        if flow.is_closed:
            return
        flow.is_closed = True
        flow.waiting.append(None)
        self._fill(flow)
        assert flow.other is not None
        self._flows.pop((flow.source, flow.other.number), None)

    def _hang_up(self, flow: _Flow) -> None:
        """The FIN arrived: the far end hears of it, and its own direction ends as well."""
        self._flows.pop((flow.target, flow.number), None)
        self._give(flow.target, StreamClosed(flow.number, "end of stream"))

    def _reset(self, flow: _Flow) -> None:
        """The near end learns that the far end does not know the stream."""
        assert flow.other is not None
        if flow.is_closed or (flow.source, flow.other.number) not in self._flows:
            return
        at = self._trip(flow.target.address, flow.source.address)
        if at is not None:
            self._world.call_at(at, self._break, flow)

    def _break(self, flow: _Flow) -> None:
        """The near end gives up: reset by the far end, or no acknowledgement for a quarter of an hour."""
        assert flow.other is not None
        if self._flows.pop((flow.source, flow.other.number), None) is not None:
            flow.is_deaf = True
            self._give(flow.source, StreamClosed(flow.other.number, "Connection reset by peer"))

    def _drop(self, flow: _Flow) -> None:
        assert flow.other is not None
        self._flows.pop((flow.source, flow.other.number), None)

    def _give(self, host: Host, happening: StreamInput) -> None:
        if not host.is_alive:
            return
        if host.paused_until > self._world.now:
            self._world.call_at(host.paused_until, self._give, host, happening)
            return
        self._world.record("stream", host.address, repr(happening).encode())
        host.machine.receive(happening, self._world.clock_of(host))  # type: ignore[arg-type]  # a machine with streams
        self._world.drain(host)
