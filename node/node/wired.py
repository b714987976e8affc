"""Bad links between a node's machine and its sockets: the shell of the backend `wire`.

Stands in for the driver where sockets are opened, and so sees everything that is sent and received. Packets over UDP
meet the fate that `Wire` decides, one by one, each after its delay. TCP has no packets to lose here: what a stream
carries is delayed, held to the rate, and held back for as long as its link is cut, as a kernel would that keeps
resending; and as a kernel it takes little more than has left, so that deadlines can still withdraw the rest. Without
demands everything passes at once. Probes, which measure links, are answered here as well.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from node.impairment.wire import Wire
from node.transport.driver import Runner
from node.transport.packet import Datagram, Transmit
from node.transport.stream import (
    StreamClosed,
    StreamConnect,
    StreamInput,
    StreamOpened,
    StreamRoom,
    StreamShutdown,
    StreamWrite,
)
from node.types import MILLISECOND, SECOND, Address, Instant
from node.wire.limits import STREAM_UNSENT_BYTES

__all__ = ["Wired"]

OutputT = TypeVar("OutputT")
Input = Datagram | StreamInput

LATE_MAX = 10_000
DELAYED_PACKETS_MAX = 100_000
"""Packets waiting for their time; more are dropped and counted. 100 MB of memory."""

HELD_BYTES_MAX = 16 << 20
"""Bytes that one stream may hold back; beyond it the stream loses its patience and everything goes out."""

CUT_CHECK = 50 * MILLISECOND
"""How often a cut stream looks whether its link is healed."""


class _Driver(Runner[Input], Protocol):
    """What is stood in for."""


@dataclass(slots=True)
class _Stream:
    """One TCP stream. waiting: outputs with the instant at which they are due, in order.

    is_full: so much has not left yet that no kernel would take more. kernel_has_room: as the socket says. has_room: as
    the machine was told.
    """

    address: Address
    waiting: deque[tuple[Instant, object]] = field(default_factory=deque)
    held: int = 0
    busy_until: Instant = 0
    is_full: bool = False
    kernel_has_room: bool = True
    has_room: bool = True
    timer: asyncio.TimerHandle | None = None


class Wired:
    """See the module. dropped: packets for which there was no room. late: seconds by which the last packets that were
    held back left too late, as a busy machine has it.
    """

    def __init__(self, driver: _Driver, wire: Wire) -> None:
        self.wire = wire
        self.dropped = 0
        self.late: deque[float] = deque(maxlen=LATE_MAX)
        self._driver = driver
        self._loop = asyncio.get_running_loop()
        self._sinks: dict[type, Callable[[Any], None]] = {}
        self._delayed: dict[object, asyncio.TimerHandle] = {}
        self._streams: dict[int, _Stream] = {}

    # --- the driver that it stands in for -------------------------------------------------------------------------

    def now(self) -> Instant:
        return self._driver.now()

    def pump(self) -> None:
        self._driver.pump()

    def attach(self, kind: type[OutputT], sink: Callable[[OutputT], None]) -> None:
        """Puts itself between the machine and that sink."""
        self._sinks[kind] = sink
        ours: Callable[[Any], None] = sink
        if kind is Transmit:
            ours = self._transmit
        elif kind in (StreamConnect, StreamWrite, StreamShutdown):
            ours = self._stream_output
        self._driver.attach(kind, ours)

    def feed(self, inputs: Iterable[Input]) -> None:
        """Passes inputs on, and remembers which streams there are."""
        passed = []
        for received in inputs:
            if isinstance(received, StreamOpened):
                self._streams.setdefault(received.stream, _Stream(received.address))
            elif isinstance(received, StreamClosed):
                self._forget(received.stream)
            elif isinstance(received, StreamRoom) and received.stream in self._streams:
                stream = self._streams[received.stream]
                stream.kernel_has_room = received.has_room
                self._tell_room(received.stream, stream)
                continue
            passed.append(received)
        if passed:
            self._driver.feed(passed)

    def send_probe(self, target: Address, data: bytes) -> None:
        """Sends one packet of a measurement over the link, as if the machine had."""
        self._transmit(Transmit(target, data, len(data)))

    def close(self) -> None:
        """Forgets everything that waits."""
        for handle in self._delayed.values():
            handle.cancel()
        self._delayed.clear()
        for stream in list(self._streams):
            self._forget(stream)

    # --- datagrams ------------------------------------------------------------------------------------------------

    def _transmit(self, transmit: Transmit) -> None:
        sink = self._sinks[Transmit]
        if self.wire.is_clean:
            sink(transmit)
            return
        now = self.now()
        for data in transmit.payloads():
            for arrival in self.wire.send(transmit.address, data, now, transmit.ecn):
                packet = Transmit(transmit.address, arrival.data, len(arrival.data), arrival.ecn)
                if arrival.at <= now:
                    sink(packet)
                elif len(self._delayed) >= DELAYED_PACKETS_MAX:
                    self.dropped += 1
                else:
                    self._delay(packet, arrival.at - now)

    def _delay(self, packet: Transmit, delay: int) -> None:
        key = object()
        due = self._loop.time() + delay / SECOND
        self._delayed[key] = self._loop.call_at(due, self._release, key, packet, due)

    def _release(self, key: object, packet: Transmit, due: float) -> None:
        del self._delayed[key]
        self.late.append(self._loop.time() - due)
        self._sinks[Transmit](packet)

    # --- streams --------------------------------------------------------------------------------------------------

    def _stream_output(self, output: StreamConnect | StreamWrite | StreamShutdown) -> None:
        if isinstance(output, StreamConnect):
            self._streams[output.stream] = _Stream(output.address)
        stream = self._streams.get(output.stream)
        if stream is None or (self.wire.is_clean and not stream.waiting):
            self._pass_on(output)
            return
        now = self.now()
        settings = self.wire.settings_for(stream.address[0], now)
        size = len(output.data) if isinstance(output, StreamWrite) else 0
        if settings.rate:
            stream.busy_until = max(now, stream.busy_until) + size * SECOND // settings.rate
        due = max(now, stream.busy_until) + settings.delay
        stream.held += size
        stream.waiting.append((due, output))
        self._run(output.stream, stream)

    def _run(self, number: int, stream: _Stream) -> None:
        """Passes on what is due, and comes back for the rest."""
        if stream.timer is not None:
            stream.timer.cancel()
            stream.timer = None
        now = self.now()
        settings = self.wire.settings_for(stream.address[0], now)
        is_cut = settings.loss >= 1.0 and stream.held <= HELD_BYTES_MAX
        while stream.waiting and not is_cut and stream.waiting[0][0] <= now:
            output = stream.waiting.popleft()[1]
            if isinstance(output, StreamWrite):
                stream.held -= len(output.data)
            self._pass_on(output)
        unsent = stream.held if is_cut else max(0, stream.busy_until - now) * settings.rate // SECOND
        stream.is_full = unsent > STREAM_UNSENT_BYTES
        self._tell_room(number, stream)
        if stream.waiting:
            wait = CUT_CHECK if is_cut else stream.waiting[0][0] - now
            if stream.is_full and not is_cut:
                wait = min(wait, (unsent - STREAM_UNSENT_BYTES) * SECOND // settings.rate)
            stream.timer = self._loop.call_later(wait / SECOND, self._run, number, stream)

    def _tell_room(self, number: int, stream: _Stream) -> None:
        """Tells the machine whether more may come, when that has changed."""
        has_room = stream.kernel_has_room and not stream.is_full
        if has_room != stream.has_room and number in self._streams:
            stream.has_room = has_room
            self._driver.feed([StreamRoom(number, has_room)])

    def _pass_on(self, output: object) -> None:
        if isinstance(output, StreamShutdown):
            self._streams.pop(output.stream, None)
        self._sinks[type(output)](output)

    def _forget(self, number: int) -> None:
        stream = self._streams.pop(number, None)
        if stream is not None and stream.timer is not None:
            stream.timer.cancel()
            stream.timer = None
