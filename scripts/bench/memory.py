"""Prints the memory of an idle connection, and of one with a message of 1 MiB that cannot leave, beside aioquic.

Usage: scripts/bench/run memory [--json] [--connections N]
Counts what Python allocates for the accepting side of connections that are established and quiet: the dialling sides
are gone by then. The second figure is what sending 1 MiB over a link that carries nothing adds to it.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import tracemalloc
from collections.abc import Callable
from typing import Any

from sides.idle import Aioquic, Ours
from sides.pairs import is_installed

PEERS = ("aioquic",)
STALLED_BYTES = 1 << 20


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--connections", type=int, default=200, help="of which the mean is taken (default 200)")
    arguments = parser.parse_args()
    ours = weigh(Ours, arguments.connections)
    theirs = weigh(Aioquic, max(10, arguments.connections // 10)) if is_installed("aioquic") else None
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


def weigh(make: Callable[[], Any], count: int) -> dict[str, float]:
    """Bytes per connection."""
    hub = make()
    for number in range(3):
        # Caches and tables that the first connections fill are no part of the others.
        hub.accept(number)
    gc.collect()
    tracemalloc.start()
    before = allocated()
    for number in range(3, 3 + count):
        hub.accept(number)
    idle = (allocated() - before) / count
    before = allocated()
    hub.stall(bytes(STALLED_BYTES))
    stalled = allocated() - before
    tracemalloc.stop()
    return {"idle": round(idle), "stalled": round(stalled)}


def allocated() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


if __name__ == "__main__":
    sys.exit(main())
