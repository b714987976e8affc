"""What can happen to a process: one function per kind of fault, which begins it and says how it ends.

Knows processes and times, nothing of nodes. `cpu` lets a process run for its share of each slice and stops it for the
rest (SIGSTOP, SIGCONT); `memory` kills a process that is larger than it may be, as a kernel would, and starts it again.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from node.testnet.runners.children import Children

__all__ = ["KINDS", "Ill", "begin"]

SLICE = 0.1
"""Seconds; a node with a share of a processor runs for that share of each."""

MEMORY_INTERVAL = 0.1
RESTART_AFTER = 1.0
"""Seconds that a node is away that was killed for its size."""

At = Callable[[float, Callable[[], None]], None]


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


def begin(ill: Ill, children: Children, at: At) -> Callable[[], None] | None:
    """Begins it; what ends it. KeyError for a kind that is not one of processes."""
    return KINDS[ill.kind](ill, children, at)


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


def _memory(ill: Ill, children: Children, at: At) -> Callable[[], None]:
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


KINDS: Mapping[str, Callable[[Ill, Children, At], Callable[[], None] | None]] = {
    "kill": _kill,
    "stop": _stop,
    "restart": _restart,
    "pause": _pause,
    "cpu": _cpu,
    "memory": _memory,
}
"""Every kind that acts on a process from outside."""
