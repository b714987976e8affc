"""A virtual world: machines with addresses, links between them, one time that jumps from event to event.

Runs any machine with the five verbs (a UDP endpoint, a whole node) without knowing its protocol: it moves datagrams
over links, calls timers when they are due and collects events. Nothing here reads a clock or global randomness: the
same seed gives the same run, and `digest` proves it. A machine that asks for the same timeout for ever, or that never
stops sending or reporting, is a bug that raises `Stalled` instead of hanging the test.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b
from random import Random
from typing import Protocol

from node.errors import UsageError
from node.impairment.link import Arrival, Link, LinkSettings
from node.sim.clock import Clock
from node.transport.packet import Datagram, Transmit
from node.types import SECOND, Address, Duration, Instant, from_seconds

__all__ = ["Cut", "Host", "Machine", "Stalled", "World"]

TIMEOUTS_PER_INSTANT_MAX = 100
"""Timeouts that one machine may handle at one instant; more means that its deadline does not advance."""

OUTPUTS_PER_DRAIN_MAX = 100_000
"""Transmits and events that one drain may yield; a machine has far smaller queues."""


class Stalled(Exception):
    """A machine makes no progress: it would spin a real event loop at full load."""


class Machine(Protocol):
    """The five verbs. Inputs, outputs and events beside datagrams are the machine's own business."""

    def receive(self, datagram: Datagram, now: Instant, /) -> None: ...
    def handle_timeout(self, now: Instant, /) -> None: ...
    def poll_transmit(self, now: Instant, /) -> object | None: ...
    def poll_event(self) -> object | None: ...
    def next_timeout(self) -> Instant | None: ...


class Cut(Protocol):
    """A break in the network that lasts until it is taken out of `World.cuts`."""

    def stops(self, source: Address, target: Address, /) -> bool:
        """Whether what is sent from source to target now goes nowhere."""
        ...


@dataclass(slots=True, eq=False)
class Host:
    """One machine in the world.

    events: everything that the machine reported, oldest first, if keeps_events; callers may empty it.
    on_event: called with each event as it happens, after the drain that yielded it.
    on_output: takes the outputs that are no datagrams (those of TCP streams).
    timer_at: when the machine's timeout is due, in the world's time. armed_at: when the heap asks for it next.
    """

    address: Address
    machine: Machine
    clock: Clock = field(default_factory=Clock)
    events: list[object] = field(default_factory=list)
    keeps_events: bool = True
    on_event: Callable[[object], None] | None = None
    on_output: Callable[[object], None] | None = None
    is_alive: bool = True
    paused_until: Instant = 0
    timer_at: Instant | None = None
    armed_at: Instant | None = None
    timeouts_here: int = 0
    last_timeout_at: Instant = -1


class World:
    """Hosts, directed links and the event heap.

    random: seeds every link; each link has its own stream, so that one link's traffic does not change another's fate.
    default: settings of links that were not set on their own. has_trace: False saves the time of computing `digest`.
    cuts: what breaks the network now. cut_off: datagrams that a cut stopped. events_done: steps taken so far.
    taps: see whatever is put on a link.
    """

    def __init__(self, random: Random, *, default: LinkSettings | None = None, has_trace: bool = True) -> None:
        self.now: Instant = 0
        self.hosts: dict[Address, Host] = {}
        self.links: dict[tuple[Address, Address], Link] = {}
        self.cuts: list[Cut] = []
        self.undeliverable = 0
        self.cut_off = 0
        self.events_done = 0
        self.taps: list[Callable[[Address, Address, bytes], None]] = []
        self._default = default or LinkSettings()
        self._seed = random.getrandbits(64)
        self._heap: list[tuple[Instant, int, Callable[..., None], tuple[object, ...]]] = []
        self._sequence = 0
        self._trace = blake2b(digest_size=16) if has_trace else None

    # --- what is in the world -----------------------------------------------------------------------------------

    def add_host(self, address: Address, machine: Machine, *, clock: Clock | None = None) -> Host:
        """Puts a machine at an address; a machine that is there already is gone without a word, like a crash."""
        previous = self.hosts.get(address)
        if previous is not None:
            previous.is_alive = False
        host = Host(address, machine, clock or Clock())
        self.hosts[address] = host
        self.record("host", repr(address).encode())
        self.drain(host)
        return host

    def remove_host(self, host: Host) -> None:
        """Takes a machine out of the world at once: a crash. What it sent stays under way."""
        host.is_alive = False
        if self.hosts.get(host.address) is host:
            del self.hosts[host.address]

    def move_host(self, host: Host, address: Address) -> None:
        """Gives a machine another address, as a NAT that forgets its binding does."""
        if address in self.hosts:
            raise UsageError(f"address {address} is taken")
        del self.hosts[host.address]
        host.address = address
        self.hosts[address] = host

    def link(self, source: Address, target: Address) -> Link:
        """The link in that direction, made with the default settings when it is first used."""
        link = self.links.get((source, target))
        if link is None:
            link = Link(self._default, Random(f"{self._seed} {source} {target}"))  # noqa: S311
            self.links[(source, target)] = link
        return link

    def set_link(self, source: Address, target: Address, settings: LinkSettings, *, both: bool = True) -> None:
        """Gives the link in that direction, or in both, other settings."""
        self.link(source, target).settings = settings
        if both:
            self.link(target, source).settings = settings

    def set_default(self, settings: LinkSettings) -> None:
        """Gives these settings to every link, those that are not made yet included."""
        self._default = settings
        for link in self.links.values():
            link.settings = settings

    def pause(self, host: Host, duration: Duration) -> None:
        """Keeps a machine from running for that long, as a busy event loop does; its input waits."""
        host.paused_until = max(host.paused_until, self.now + duration)

    # --- running ------------------------------------------------------------------------------------------------

    def run(self, seconds: float) -> None:
        """Lets that much virtual time pass."""
        deadline = self.now + from_seconds(seconds)
        heap = self._heap
        while heap and heap[0][0] <= deadline:
            self.now, _, function, arguments = heapq.heappop(heap)
            self.events_done += 1
            function(*arguments)
        self.now = deadline

    def run_until(self, condition: Callable[[], bool], seconds: float, *, every: float = 0.0) -> bool:
        """Runs until the condition holds or that much virtual time has passed; whether it holds.

        The condition is asked after every event, or each `every` seconds, which costs less. If it never holds, the
        world's time stands at the end of the time given.
        """
        if condition():
            return True
        deadline = self.now + from_seconds(seconds)
        while every and self.now < deadline:
            self.run(min(every, (deadline - self.now) / SECOND))
            if condition():
                return True
        while self._heap and self._heap[0][0] <= deadline:
            self.now, _, function, arguments = heapq.heappop(self._heap)
            self.events_done += 1
            function(*arguments)
            if condition():
                return True
        self.now = deadline
        return False

    def call_at(self, at: Instant, function: Callable[..., None], *arguments: object) -> None:
        """Calls a function at that instant of the world, or now if that is past."""
        self._sequence += 1
        heapq.heappush(self._heap, (at if at > self.now else self.now, self._sequence, function, arguments))

    def carry(self, source: Address, target: Address, data: bytes, ecn: int = 0) -> list[Arrival]:
        """Puts bytes on the link; when and how they arrive. Whoever calls sees to it that they do."""
        for tap in self.taps:
            tap(source, target, data)
        for cut in self.cuts:
            if cut.stops(source, target):
                self.cut_off += 1
                return []
        return self.link(source, target).send(data, self.now, ecn)

    def inject(self, source: Address, target: Address, data: bytes, ecn: int = 0) -> None:
        """Sends a datagram over the link as if the source had sent it. ecn: the two ECN bits of its IP header."""
        for arrival in self.carry(source, target, data, ecn):
            self.call_at(arrival.at, self._arrive, target, Datagram(source, arrival.data, arrival.ecn))

    def clock_of(self, host: Host) -> Instant:
        """What the monotonic clock of that host shows now."""
        return host.clock.local_at(self.now)

    def drain(self, host: Host) -> None:
        """Carries out everything that the machine wants; call it after every command given to a machine."""
        if not host.is_alive:
            return
        machine, local = host.machine, host.clock.local_at(self.now)
        left = OUTPUTS_PER_DRAIN_MAX
        while left and (output := machine.poll_transmit(local)) is not None:
            self._send(host, output)
            left -= 1
        events: list[object] = []
        while left and (event := machine.poll_event()) is not None:
            events.append(event)
            left -= 1
        if not left:
            raise Stalled(f"{host.address} at {self.now} ns: {OUTPUTS_PER_DRAIN_MAX} outputs in one drain")
        self._arm(host)
        if events:
            self._report(host, events)

    def record(self, kind: str, *facts: object) -> None:
        """Makes that happening part of the digest."""
        trace = self._trace
        if trace is None:
            return
        trace.update(f"{self.now} {kind} ".encode())
        for fact in facts:
            trace.update(fact if isinstance(fact, bytes) else repr(fact).encode())
        trace.update(b"\n")

    def digest(self) -> str:
        """Hash of everything that happened so far: equal for equal seeds, whatever the hash seed of Python.

        UsageError in a world without a trace.
        """
        if self._trace is None:
            raise UsageError("this world keeps no trace: make it with has_trace")
        return self._trace.copy().hexdigest()

    # --- events -------------------------------------------------------------------------------------------------

    def _report(self, host: Host, events: list[object]) -> None:
        if self._trace is not None:
            for event in events:
                self.record("event", host.address, repr(event).encode())
        if host.keeps_events:
            host.events.extend(events)
        if host.on_event is not None:
            for event in events:
                host.on_event(event)

    def _send(self, host: Host, output: object) -> None:
        if not isinstance(output, Transmit):
            if host.on_output is None:
                raise UsageError(f"{host.address}: nobody takes outputs of type {type(output).__name__}")
            host.on_output(output)
            return
        data, size = output.data, output.segment_size
        if len(data) <= size:
            self.inject(host.address, output.address, data, output.ecn)
            return
        for start in range(0, len(data), size):
            self.inject(host.address, output.address, data[start : start + size], output.ecn)

    def _arrive(self, target: Address, datagram: Datagram) -> None:
        host = self.hosts.get(target)
        if host is None:
            self.undeliverable += 1
            return
        if host.paused_until > self.now:
            self.call_at(host.paused_until, self._arrive, target, datagram)
            return
        if self._trace is not None:
            self.record("datagram", target, datagram.data)
        host.machine.receive(datagram, host.clock.local_at(self.now))
        self.drain(host)

    def _arm(self, host: Host) -> None:
        timeout = host.machine.next_timeout()
        if timeout is None:
            host.timer_at = None
            return
        due = max(host.clock.world_at(timeout), self.now)
        host.timer_at = due
        # A deadline that moves away keeps its entry in the heap, which then asks again: most of them move all the time.
        if host.armed_at is None or due < host.armed_at:
            host.armed_at = due
            self.call_at(due, self._expire, host, due)

    def _expire(self, host: Host, armed_at: Instant) -> None:
        if not host.is_alive or host.armed_at != armed_at:
            return
        host.armed_at = None
        if host.timer_at is None:
            return
        due = max(host.timer_at, host.paused_until)
        if due > self.now:
            host.armed_at = due
            self.call_at(due, self._expire, host, due)
            return
        self._check_progress(host)
        self.record("timeout", host.address)
        host.timer_at = None
        host.machine.handle_timeout(host.clock.local_at(self.now))
        self.drain(host)

    def _check_progress(self, host: Host) -> None:
        host.timeouts_here = host.timeouts_here + 1 if host.last_timeout_at == self.now else 1
        host.last_timeout_at = self.now
        if host.timeouts_here > TIMEOUTS_PER_INSTANT_MAX:
            raise Stalled(
                f"{host.address} at {self.now / SECOND:.9f} s: {host.timeouts_here} timeouts at one instant, "
                f"next_timeout {host.machine.next_timeout()}, now {self.clock_of(host)}"
            )
