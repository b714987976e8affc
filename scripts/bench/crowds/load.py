"""The load that is put on a crowd of nodes, and what is measured meanwhile; runs on any event loop.

Everything happens in one process, so one clock dates the call that publishes and the call that delivers.
"""

from __future__ import annotations

import random
import statistics
import struct
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

__all__ = ["NODES", "Crowd", "Meter", "Steps", "Work", "measure"]

NODES = 10
BODY_BYTES = 300
CALM_RATE = 5.0
LAG_MAX = 0.050
LAG_INTERVAL = 0.010
FIRST_RATE = 1.0
GROWTH = 1.5
RATE_MAX = 20_000.0
ACHIEVED_MIN = 0.9
ARRIVAL = 2.0
"""Seconds after a step in which what was published in it must have arrived."""

Work: TypeAlias = Callable[[], Coroutine[Any, Any, None]]

_HEAD = struct.Struct(">Qd")


@dataclass(frozen=True)
class Steps:
    """Seconds: before anything is published, of the slow load, and of each rate that is tried."""

    wait: float
    calm: float
    step: float


@dataclass
class Meter:
    """Deliveries since the last reset. delays: seconds from the publication to each."""

    published: int = 0
    delays: list[float] = field(default_factory=list)

    def reset(self) -> None:
        self.published, self.delays = 0, []

    def body(self) -> bytes:
        """Another message."""
        self.published += 1
        return _HEAD.pack(self.published, time.perf_counter()).ljust(BODY_BYTES, b".")

    def delivered(self, body: bytes) -> None:
        """One node has it."""
        self.delays.append(time.perf_counter() - _HEAD.unpack_from(body)[1])

    @property
    def missed(self) -> int:
        return self.published * (NODES - 1) - len(self.delays)


class Crowd(Protocol):
    """NODES linked nodes on one event loop."""

    meter: Meter

    async def publish(self, number: int, body: bytes) -> None:
        """One node publishes; its own application is not told."""

    async def sleep(self, seconds: float) -> None:
        """Of the loop that the nodes run on."""

    async def beside(self, watch: Work, work: Work) -> None:
        """Does both, and ends the first when the second is done."""


async def measure(crowd: Crowd, steps: Steps) -> dict[str, float]:
    """Propagation under a slow load, and the highest rate that the crowd keeps up with."""
    await crowd.sleep(steps.wait)
    await load(crowd, CALM_RATE, steps.calm)
    delays = sorted(crowd.meter.delays)
    found = {
        "p50_ms": 1e3 * delays[len(delays) // 2],
        "p99_ms": 1e3 * delays[int(0.99 * len(delays))],
        "missed": crowd.meter.missed,
    }
    rate, kept = FIRST_RATE, 0.0
    while rate < RATE_MAX:
        # Twice: other work on the machine spoils a step now and then.
        if not await keeps_up(crowd, rate, steps.step) and not await keeps_up(crowd, rate, steps.step):
            break
        kept, rate = rate, rate * GROWTH
    return {**found, "rate": kept}


async def keeps_up(crowd: Crowd, rate: float, seconds: float) -> bool:
    """Whether so many messages per second go out, arrive everywhere, and leave the loop in time."""
    achieved, lag = await load(crowd, rate, seconds)
    return not crowd.meter.missed and lag <= LAG_MAX and achieved >= ACHIEVED_MIN * rate


async def load(crowd: Crowd, rate: float, seconds: float) -> tuple[float, float]:
    """Publishes so many messages per second; how many it were, and how late the loop was half of the time."""
    crowd.meter.reset()
    lags: list[float] = []
    achieved = 0.0

    async def watch() -> None:
        while True:
            began = time.perf_counter()
            await crowd.sleep(LAG_INTERVAL)
            lags.append(time.perf_counter() - began - LAG_INTERVAL)

    async def work() -> None:
        nonlocal achieved
        began = time.perf_counter()
        for index in range(round(rate * seconds)):
            ahead = began + index / rate - time.perf_counter()
            if ahead > 0:
                await crowd.sleep(ahead)
            await crowd.publish(random.randrange(NODES), crowd.meter.body())  # any will do
        achieved = rate * seconds / max(seconds, time.perf_counter() - began)
        until = time.perf_counter() + ARRIVAL
        while crowd.meter.missed and time.perf_counter() < until:
            await crowd.sleep(LAG_INTERVAL)

    await crowd.beside(watch, work)
    return achieved, statistics.median(lags) if lags else 0.0
