"""Prints the memory of an idle connection, and of one with a message of 1 MiB that cannot leave, beside aioquic.

Usage: scripts/bench/run memory [--json] [--connections N]
Counts the resident memory of the accepting side of connections that are established and quiet: the dialling sides are
gone by then. Each has a process of its own, since it would fill the heap that the one before has left. The second
figure is what Python allocates when 1 MiB is sent over a link that carries nothing.
"""

from __future__ import annotations

import argparse
import gc
import json
import resource
import sys
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from sides.idle import Aioquic, Ours
from sides.pairs import is_installed

PEERS = ("aioquic",)
STALLED_BYTES = 1 << 20


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--connections", type=int, default=600, help="of which the mean is taken (default 600)")
    arguments = parser.parse_args()
    ours = apart(Ours, arguments.connections)
    theirs = apart(Aioquic, max(20, arguments.connections // 10)) if is_installed("aioquic") else None
    ratio = None if theirs is None else round(theirs["idle"] / ours["idle"], 1)
    if arguments.json:
        print(json.dumps({"bytes": ours, "aioquic": theirs, "ratio": ratio}))
        return 0
    print(f"idle connection: {ours['idle'] / 1024:.1f} KiB", end="")
    print(
        f"; aioquic {theirs['idle'] / 1024:.1f} KiB, {ratio} times as much" if theirs else "; aioquic is not installed"
    )
    print(f"1 MiB stalled: {ours['stalled'] / 1024:.0f} KiB", end="")
    print(f"; aioquic {theirs['stalled'] / 1024:.0f} KiB" if theirs else "")
    return 0


def apart(make: Callable[[], Any], count: int) -> dict[str, float]:
    """`weigh` in a fresh process."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(weigh, make, count).result()


def weigh(make: Callable[[], Any], count: int) -> dict[str, float]:
    """Bytes per connection."""
    hub = make()
    for number in range(count // 2):
        # Caches, tables and the heap that the dialling sides leave behind are no part of the others.
        hub.accept(number)
    before = resident()
    for number in range(count // 2, count // 2 + count):
        hub.accept(number)
    idle = (resident() - before) / count
    tracemalloc.start()
    began = tracemalloc.get_traced_memory()[0]
    hub.stall(bytes(STALLED_BYTES))
    gc.collect()
    stalled = tracemalloc.get_traced_memory()[0] - began
    tracemalloc.stop()
    return {"idle": round(idle), "stalled": round(stalled)}


def resident() -> int:
    """Bytes of this process that are in memory."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


if __name__ == "__main__":
    sys.exit(main())
