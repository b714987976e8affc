"""Faults inside a node that a controller may ask for: a full disk, no names, a wrong clock, another port, hostility.

Each lasts as long as it was asked for and ends by itself. Knows the node through `Body`; whoever writes state or looks
up names asks here whether that is to fail.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from node.core.machine import Machine
from node.errors import UsageError
from node.node.hostile import BEHAVIOURS, Hostile
from node.transport.udp_transport import UDPTransport
from node.types import Duration, Instant, from_seconds, to_seconds

__all__ = ["KINDS", "Afflictions", "Body"]

CLOCK_INTERVAL = 0.1
"""Seconds between two corrections of a clock that drifts."""

OFFSET_MAX = 366 * 86400.0
RATE = 100.0
RATE_MAX = 10_000.0

KINDS = ("disk_full", "dns", "clock", "nat_rebind", "hostile")


class Body(Protocol):
    """The node that is afflicted. wall_offset: wall clock minus monotonic clock when all is well."""

    machine: Machine
    udp: UDPTransport | None
    wall_offset: Duration

    def now(self) -> Instant: ...
    def pump(self) -> None: ...


@dataclass(frozen=True, slots=True)
class _Affliction:
    step: str
    until: Instant
    end: Callable[[], None]
    timer: asyncio.TimerHandle


class Afflictions:
    """Those of one node: at most one of each kind; a new one takes the place of the one before."""

    def __init__(self, body: Body) -> None:
        self._body = body
        self._active: dict[str, _Affliction] = {}

    def begin(self, kind: str, step: str, seconds: float, parameters: Mapping[str, Any]) -> None:
        """Begins one. UsageError for a kind or parameters that cannot be."""
        if kind not in KINDS:
            raise UsageError(f"kind {kind!r}: allowed is one of {', '.join(KINDS)}")
        if kind == "nat_rebind":
            if self._body.udp is None:
                raise UsageError("a node without UDP has no port that a router could forget")
            self._body.udp.rebind()
            return
        self._end(kind)
        end = self._begin(kind, parameters)
        timer = asyncio.get_running_loop().call_later(seconds, self._end, kind)
        self._active[kind] = _Affliction(step, self._body.now() + from_seconds(seconds), end, timer)

    def has(self, kind: str) -> bool:
        """Whether the node has it now."""
        return kind in self._active

    def heal(self, step: str | None = None) -> list[str]:
        """Ends those of that step, or all; the steps that were ended."""
        kinds = [kind for kind, one in self._active.items() if step in (None, one.step)]
        steps = [self._active[kind].step for kind in kinds]
        for kind in kinds:
            self._end(kind)
        return steps

    def active(self) -> list[tuple[str, str, float]]:
        """Step, kind and the seconds that are left."""
        now = self._body.now()
        return [(one.step, kind, max(0.0, to_seconds(one.until - now))) for kind, one in self._active.items()]

    def _begin(self, kind: str, parameters: Mapping[str, Any]) -> Callable[[], None]:
        if kind == "clock":
            ahead, behind, drift = (_number(parameters, name, 0.0, OFFSET_MAX) for name in ("ahead", "behind", "drift"))
            return _Clock(self._body, from_seconds(ahead - behind), drift).end
        if kind == "hostile":
            behaviour = str(parameters.get("behaviour"))
            if behaviour not in BEHAVIOURS:
                raise UsageError(f"behaviour {behaviour!r}: allowed is one of {', '.join(BEHAVIOURS)}")
            return Hostile(self._body, behaviour, _number(parameters, "rate", RATE, RATE_MAX)).end
        return lambda: None

    def _end(self, kind: str) -> None:
        one = self._active.pop(kind, None)
        if one is not None:
            one.timer.cancel()
            one.end()


class _Clock:
    """A wall clock that is wrong by `offset`, and by `drift` more for each unit of time, until `end`."""

    def __init__(self, body: Body, offset: Duration, drift: float) -> None:
        self._body, self._offset, self._drift = body, offset, drift
        self._began: Instant = body.now()
        self._timer: asyncio.TimerHandle | None = None
        self._set()

    def end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._body.machine.set_wall_offset(self._body.wall_offset, self._body.now())
        self._body.pump()

    def _set(self) -> None:
        now = self._body.now()
        wrong = self._offset + round((now - self._began) * self._drift)
        self._body.machine.set_wall_offset(self._body.wall_offset + wrong, now)
        self._body.pump()
        if self._drift:
            self._timer = asyncio.get_running_loop().call_later(CLOCK_INTERVAL, self._set)


def _number(parameters: Mapping[str, Any], name: str, default: float, most: float) -> float:
    value = parameters.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise UsageError(f"{name} {value!r}: allowed is a number from 0 to {most:g}")
    return float(value)
