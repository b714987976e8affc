"""What can happen to a process: one function per kind of fault, which begins it and says how it ends.

Knows processes and times, nothing of nodes. `cpu` lets a process run for its share of each slice and stops it for the
rest (SIGSTOP, SIGCONT); `memory` kills a process that is larger than it may be, as a kernel would, and starts it again.
Of a container the kernel itself limits both.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

__all__ = ["CONTAINER_KINDS", "KINDS", "RESTART_AFTER", "Ill"]

SLICE = 0.1
"""Seconds; a node with a share of a processor runs for that share of each."""

MEMORY_INTERVAL = 0.1
RESTART_AFTER = 1.0
"""Seconds that a node is away that was killed for its size."""

At = Callable[[float, Callable[[], None]], None]


class Children(Protocol):
    """What is done to: processes, or containers."""

    def start(self, name: str) -> None: ...
    def end(
        self, name: str, number: signal.Signals, wish: str, after: Callable[[], None] | None = None
    ) -> None: ...  # fmt: skip
    def hold(self, name: str, reason: str) -> None: ...
    def release(self, name: str, reason: str) -> None: ...
    def lose_state(self, name: str) -> None: ...


class Processes(Children, Protocol):
    """What can be measured as well."""

    def memory(self, name: str) -> int: ...


class Limited(Children, Protocol):
    """What the kernel limits."""

    def limit_cpu(self, name: str, share: float | None) -> None: ...
    def limit_memory(self, name: str, limit: int | None) -> None: ...


@dataclass(slots=True, kw_only=True)
class Ill:
    """One fault of one process. until: on the monotonic clock. end: what ends it, None for what has no end."""

    step: str
    kind: str
    node: str
    until: float
    parameters: Mapping[str, Any] = field(default_factory=dict)
    end: Callable[[], None] | None = None
    is_over: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """One step does one thing to one node."""
        return self.step, self.node


def _kill(ill: Ill, children: Children, _at: At) -> Callable[[], None]:
    children.end(ill.node, signal.SIGKILL, ill.kind, _forgetting(ill, children))
    return lambda: children.start(ill.node)


def _stop(ill: Ill, children: Children, _at: At) -> Callable[[], None]:
    children.end(ill.node, signal.SIGTERM, ill.kind, _forgetting(ill, children))
    return lambda: children.start(ill.node)


def _restart(ill: Ill, children: Children, _at: At) -> None:
    children.end(ill.node, signal.SIGTERM, ill.kind, lambda: children.start(ill.node))


def _pause(ill: Ill, children: Children, _at: At) -> Callable[[], None]:
    children.hold(ill.node, ill.step)
    return lambda: children.release(ill.node, ill.step)


def _cpu(ill: Ill, children: Children, at: At) -> Callable[[], None]:
    share = min(1.0, max(0.01, float(ill.parameters["share"])))

    def run() -> None:
        if not ill.is_over:
            children.release(ill.node, ill.step)
            at(time.monotonic() + SLICE * share, rest)

    def rest() -> None:
        if not ill.is_over:
            children.hold(ill.node, ill.step)
            at(time.monotonic() + SLICE * (1 - share), run)

    rest()
    return lambda: children.release(ill.node, ill.step)


def _memory(ill: Ill, children: Processes, at: At) -> Callable[[], None]:
    limit = float(ill.parameters["limit"])

    def look() -> None:
        if ill.is_over:
            return
        if children.memory(ill.node) > limit:
            children.end(ill.node, signal.SIGKILL, "memory", lambda: at(time.monotonic() + RESTART_AFTER, again))
        at(time.monotonic() + MEMORY_INTERVAL, look)

    def again() -> None:
        children.start(ill.node)

    look()
    return lambda: children.start(ill.node)


def _forgetting(ill: Ill, children: Children) -> Callable[[], None] | None:
    """What follows when the process has ended: it starts at once if the fault is over already."""

    def after() -> None:
        if ill.parameters.get("lose_state"):
            children.lose_state(ill.node)
        if ill.is_over:
            children.start(ill.node)

    return after


def _quota(ill: Ill, children: Limited, _at: At) -> Callable[[], None]:
    children.limit_cpu(ill.node, min(1.0, max(0.01, float(ill.parameters["share"]))))
    return lambda: children.limit_cpu(ill.node, None)


def _ceiling(ill: Ill, children: Limited, _at: At) -> Callable[[], None]:
    children.limit_memory(ill.node, int(ill.parameters["limit"]))

    def end() -> None:
        children.limit_memory(ill.node, None)
        children.start(ill.node)

    return end


_SHARED: Mapping[str, Any] = {"kill": _kill, "stop": _stop, "restart": _restart, "pause": _pause}
KINDS: Mapping[str, Any] = {**_SHARED, "cpu": _cpu, "memory": _memory}
"""Every kind that acts on a process from outside."""

CONTAINER_KINDS: Mapping[str, Any] = {**_SHARED, "cpu": _quota, "memory": _ceiling}
"""The same for a container."""
