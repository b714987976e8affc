"""Runs one machine of five verbs on the asyncio loop: carries inputs in, outputs and events out, and keeps one timer.

Knows nothing of sockets, packets or messages: sockets hand it inputs through `feed` and take outputs as sinks by type;
whoever owns it takes the events. An exception out of the machine is a bug of ours, since no bytes of a peer may cause
one: it is not caught here, so it reaches the caller of a command, or else the exception handler of the loop.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Generic, Protocol, TypeVar

from node.types import SECOND, Duration, Instant

__all__ = ["Driver", "Machine", "Runner"]

InputT = TypeVar("InputT")
EventT = TypeVar("EventT")
OutputT = TypeVar("OutputT")
InputT_contra = TypeVar("InputT_contra", contravariant=True)
EventT_co = TypeVar("EventT_co", covariant=True)

STEPS_PER_TURN_MAX = 128
"""Outputs and events handed on in one turn of the loop; the rest waits for the next turn, so that one busy machine
cannot keep sockets and timers of the same loop waiting for more than a few milliseconds."""


POLLS_IN_VAIN_MAX = 4
"""Times in a row that a loop may keep awake and nothing comes. Whoever is to answer may be far away, or waiting for the
very processor that asks."""

POLL_RETRY_PERIOD = 64
"""Pumps of which one is followed by another try, after that."""


class Machine(Protocol[InputT_contra, EventT_co]):
    """What a driver can run. No verb may block, and none raises for anything that came from a network."""

    def receive(self, event: InputT_contra, now: Instant, /) -> None: ...
    def handle_timeout(self, now: Instant, /) -> None: ...
    def poll_transmit(self, now: Instant, /) -> object | None: ...
    def poll_event(self) -> EventT_co | None: ...
    def next_timeout(self) -> Instant | None: ...


class Runner(Protocol[InputT_contra]):
    """The part of a driver that a socket's owner needs; a driver of a machine that takes more inputs has it too."""

    def now(self) -> Instant: ...
    def attach(self, kind: type[OutputT], sink: Callable[[OutputT], None]) -> None: ...
    def feed(self, inputs: Iterable[InputT_contra]) -> None: ...
    def pump(self) -> None: ...


class Driver(Generic[InputT, EventT]):
    """Runs `machine` on the running loop. After each command given to the machine, call `pump`.

    on_event: called with each event, in order; it may give commands to the machine and call `pump` again.
    busy_poll: time after each pump in which the loop asks for inputs instead of sleeping, while that pays.
    """

    def __init__(
        self, machine: Machine[InputT, EventT], *, on_event: Callable[[EventT], None], busy_poll: Duration = 0
    ) -> None:
        self._machine = machine
        self._on_event = on_event
        self._loop = asyncio.get_running_loop()
        self._sinks: dict[type, Callable[[Any], None]] = {}
        self._inputs: deque[InputT] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at: Instant = 0
        self._rest: asyncio.Handle | None = None
        self._busy_poll = busy_poll
        self._awake: asyncio.Handle | None = None
        self._awake_until: Instant = 0
        self._polls_in_vain = 0
        self._polls_left_out = 0
        self._is_pumping = False
        self._is_closed = False

    now = staticmethod(time.monotonic_ns)
    """The clock of every machine in this process."""

    def attach(self, kind: type[OutputT], sink: Callable[[OutputT], None]) -> None:
        """Sends outputs of exactly that class to `sink`, in place of any sink before; a sink may call `feed`."""
        self._sinks[kind] = sink

    def feed(self, inputs: Iterable[InputT]) -> None:
        """Gives the machine all of `inputs`, then pumps; from within a sink or an event, soon after."""
        self._inputs.extend(inputs)
        if self._awake is not None:
            self._polls_in_vain = 0
        self.pump()

    def pump(self) -> None:
        """Drains events and outputs until the machine is quiet, then arms the timer; nested calls are harmless."""
        if self._is_pumping or self._is_closed:
            return
        self._is_pumping = True
        try:
            is_quiet = self._drain()
        finally:
            self._is_pumping = False
        if self._is_closed:
            return
        if not is_quiet and self._rest is None:
            self._rest = self._loop.call_soon(self._on_rest)
        self._arm()
        if self._busy_poll:
            self._poll()

    def flush(self) -> None:
        """Pumps to the end, however long it takes: for the last words of a machine."""
        if self._is_pumping or self._is_closed:
            return
        self._is_pumping = True
        try:
            while not self._drain():
                pass
        finally:
            self._is_pumping = False

    def close(self) -> None:
        """Forgets the timer and every input; a closed driver ignores `feed` and `pump`."""
        self._is_closed = True
        self._inputs.clear()
        for handle in (self._timer, self._rest, self._awake):
            if handle is not None:
                handle.cancel()
        self._timer = self._rest = self._awake = None

    def _drain(self) -> bool:
        """Whether the machine became quiet, or the driver was closed, within the steps of one turn."""
        machine, inputs, now = self._machine, self._inputs, self.now
        steps = 0
        event: EventT | None = None
        while steps < STEPS_PER_TURN_MAX:
            if inputs:
                arrived_at = now()
                while inputs:
                    machine.receive(inputs.popleft(), arrived_at)
            # Events first: what their owner answers travels with what the machine has to say anyway.
            if event is None:
                event = machine.poll_event()
            while event is not None:
                self._on_event(event)
                if self._is_closed:
                    return True
                steps += 1
                event = machine.poll_event() if steps < STEPS_PER_TURN_MAX else None
            # What a sink has to say comes first: it may concern the next output.
            while steps < STEPS_PER_TURN_MAX and not inputs and (output := machine.poll_transmit(now())) is not None:
                self._sinks[type(output)](output)
                steps += 1
            if self._is_closed:
                return True
            if steps < STEPS_PER_TURN_MAX and (event := machine.poll_event()) is None and not inputs:
                return True
        return False

    def _on_rest(self) -> None:
        self._rest = None
        self.pump()

    def _poll(self) -> None:
        """Keeps the loop awake from now on, unless that was in vain of late: then it is tried now and then."""
        if self._awake is None:
            if self._polls_in_vain >= POLLS_IN_VAIN_MAX:
                self._polls_left_out += 1
                if self._polls_left_out % POLL_RETRY_PERIOD:
                    return
            self._awake = self._loop.call_soon(self._stay_awake)
        self._awake_until = self.now() + self._busy_poll

    def _stay_awake(self) -> None:
        # A loop with a callback that is due looks at its sockets and does not block.
        if self.now() < self._awake_until:
            self._awake = self._loop.call_soon(self._stay_awake)
            return
        self._awake = None
        self._polls_in_vain += 1

    def _arm(self) -> None:
        deadline = self._machine.next_timeout()
        if self._timer is not None:
            # A timer that fires too early costs one wake-up; moving it with every packet would cost far more.
            if deadline is not None and self._timer_at <= deadline:
                return
            self._timer.cancel()
            self._timer = None
        if deadline is not None:
            self._timer_at = deadline
            self._timer = self._loop.call_later(max(0, deadline - self.now()) / SECOND, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        deadline = self._machine.next_timeout()
        now = self.now()
        if deadline is not None and deadline <= now:
            self._machine.handle_timeout(now)
        self.pump()
