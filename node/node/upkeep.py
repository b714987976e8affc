"""What a running node does beside its protocol: measure its own lateness, say that it is well, look up its seeds.

Knows no sockets and no machine; each function is an endless task that ends by being cancelled, and gets from its
caller the few things that it reads and calls.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from node.config import format_address
from node.metrics.readings import RuntimeStats
from node.node.log import EventLog
from node.node.resolver import ResolutionError, family_of, resolve
from node.transport.stats import Histogram
from node.types import SECOND, Address, Duration, from_seconds, to_seconds

__all__ = ["follow", "keep_health_file", "measure_lag", "resolve_seeds", "watch_clock"]

LookUp = Callable[[Address, socket.AddressFamily], Awaitable[tuple[Address, ...]]]

LAG_INTERVAL = 0.5
HEALTH_INTERVAL = 1.0
FOLLOW_INTERVAL = 1.0

SHIFT_MIN = 1 * SECOND
"""By which a clock has to be set for somebody to be told; what keeps a clock right moves it by less."""

RETRY_MIN = 1.0
"""Seconds until an unknown name is looked up again; doubled per failure up to RETRY_MAX."""

RETRY_MAX = 30.0
RENEW_INTERVAL = 30.0
"""Seconds after which a known name is looked up again: a container that was made anew may have another address."""

ADDRESSES_PER_SEED_MAX = 16
"""Addresses that one name may turn out to have in the life of a node."""


async def measure_lag(lag: Histogram, tell: Callable[[int], None]) -> None:
    """Counts how much later than asked a timer fires: the time in which this node could not answer anybody.

    tell: gets the mean of the last few, in nanoseconds.
    """
    mean = 0
    while True:
        due = time.monotonic_ns() + from_seconds(LAG_INTERVAL)
        await asyncio.sleep(LAG_INTERVAL)
        late = max(0, time.monotonic_ns() - due)
        lag.observe(late)
        mean += (late - mean) // 4
        tell(mean)


async def watch_clock(wall_offset: Duration, runtime: RuntimeStats, log: EventLog) -> None:
    """Takes note when somebody sets the system's clock. wall_offset: what it was ahead of the monotonic clock at first.

    The node itself goes on by the clock it began with: times that jump would make its messages too old or too new.
    """
    told = 0
    while True:
        shift = runtime.clock_shift = time.time_ns() - time.monotonic_ns() - wall_offset
        if abs(shift - told) >= SHIFT_MIN:
            log.warning("wall_clock_set", by_seconds=to_seconds(shift - told), shift_seconds=to_seconds(shift))
            told = shift
        await asyncio.sleep(FOLLOW_INTERVAL)


async def keep_health_file(path: str, is_ready: Callable[[], bool], log: EventLog) -> None:
    """Touches the file each second while the node is ready, and removes it when the node is not, or ends.

    Whoever checks a container compares the file's time with the clock: that costs no process and no port.
    """
    file = Path(path)
    try:
        while True:
            if is_ready():
                _touch(file, log)
            else:
                _remove(file)
            await asyncio.sleep(HEALTH_INTERVAL)
    finally:
        _remove(file)


async def follow(action: Callable[[], None]) -> None:
    """Does something cheap each second."""
    while True:
        action()
        await asyncio.sleep(FOLLOW_INTERVAL)


async def resolve_seeds(
    seed: Address, host: str, add: Callable[[Address], None], log: EventLog, look_up: LookUp | None = None
) -> None:
    """Looks a bootstrap name up until it has an address, and again now and then; each new address goes to `add`.

    host: the IP literal that this node listens on, which decides the family of addresses. An unknown name is one
    warning, and never the end: names of containers appear when the containers do.
    """
    family = family_of(host)
    known: dict[Address, None] = {}
    retry = RETRY_MIN
    while True:
        try:
            found = await (look_up or resolve)(seed, family)
        except ResolutionError as error:
            if retry == RETRY_MIN:
                log.warning("bootstrap_unknown", address=format_address(seed), reason=str(error), action="retrying")
            delay, retry = retry, min(2 * retry, RETRY_MAX)
        else:
            delay, retry = RENEW_INTERVAL, RETRY_MIN
            for address in found:
                if address not in known and len(known) < ADDRESSES_PER_SEED_MAX:
                    known[address] = None
                    log.debug("bootstrap_resolved", name=format_address(seed), address=format_address(address))
                    add(address)
            if found == (seed,):
                return  # an IP literal stays what it is
        await asyncio.sleep(delay)


def _touch(file: Path, log: EventLog) -> None:
    try:
        file.touch()
    except OSError as error:
        log.warning("health_file_not_written", path=str(file), reason=error.strerror)


def _remove(file: Path) -> None:
    with contextlib.suppress(OSError):
        os.unlink(file)
