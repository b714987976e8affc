"""What every bulk measurement does: blocks of 1 MiB, a few under way at once, each acknowledged by the receiver."""

from __future__ import annotations

import asyncio
import os
import resource
import time
from collections.abc import Awaitable, Callable

BLOCK = 1 << 20
IN_FLIGHT = 3
"""Enough to keep a sender busy while an acknowledgement is under way, and little enough for every peer's queue."""

WARM_UP = 0.5
"""Seconds before the clock starts: slow start belongs to no steady rate."""

EXCHANGE = 256
"""Bytes of a request, and of its response."""


def cpu_seconds() -> float:
    """User and system time of this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def send_blocks(send: Callable[[bytes], Awaitable[object]], seconds: float) -> dict[str, float]:
    """Calls `send`, which returns once the peer has the block, from IN_FLIGHT tasks; bytes, seconds and CPU seconds."""
    block = os.urandom(BLOCK)
    acknowledged = 0
    is_over = False

    async def keep_sending() -> None:
        nonlocal acknowledged
        while not is_over:
            await send(block)
            acknowledged += BLOCK

    async with asyncio.TaskGroup() as group:
        for _ in range(IN_FLIGHT):
            group.create_task(keep_sending())
        await asyncio.sleep(WARM_UP)
        before, began, cpu = acknowledged, time.perf_counter(), cpu_seconds()
        await asyncio.sleep(seconds)
        result = {
            "bytes": acknowledged - before,
            "seconds": time.perf_counter() - began,
            "cpu": cpu_seconds() - cpu,
        }
        is_over = True
    return {**result, "total_bytes": acknowledged}


async def exchange(ask: Callable[[bytes], Awaitable[object]], seconds: float) -> dict[str, object]:
    """Calls `ask`, which returns once the response is there, one after the other; rate and delays in microseconds."""
    request = os.urandom(EXCHANGE)
    until = time.perf_counter() + WARM_UP
    while time.perf_counter() < until:
        await ask(request)
    delays = []
    began, cpu = time.perf_counter(), cpu_seconds()
    until = began + seconds
    while (start := time.perf_counter()) < until:
        await ask(request)
        delays.append(time.perf_counter() - start)
    took = time.perf_counter() - began
    delays.sort()
    return {
        "rate": len(delays) / took,
        "p50": delays[len(delays) // 2] * 1e6,
        "p99": delays[len(delays) * 99 // 100] * 1e6,
        "cpu": (cpu_seconds() - cpu) / len(delays) * 1e6,
    }
