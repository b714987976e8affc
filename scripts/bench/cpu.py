"""Prints the CPU time that one encrypted 1,200-byte packet costs each side, beside aioquic.

Usage: scripts/bench/run cpu [--json] [--seconds S]
First in memory: two endpoints in one process, without sockets or an event loop. Then over loopback sockets, one process
per side, where the part of the kernel counts, too. Packets are full ones of the sender, acknowledgements come on top.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any

from sides.memory_pair import Aioquic, Ours
from sides.pairs import is_installed, measure

PEERS = ("aioquic",)
PACKET_BYTES = 1200
IN_MEMORY_BYTES = 8 << 20
ROUNDS = 3
ENVELOPE = 60
"""Bytes of a packet that are no message: near enough for both."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement over sockets (default 2)")
    arguments = parser.parse_args()
    has_peer = is_installed("aioquic")
    ours, theirs = in_memory(Ours), in_memory(Aioquic) if has_peer else None
    report("in memory", {"mean": ours}, None if theirs is None else {"mean": theirs}, as_json=arguments.json)
    over_ours = over_sockets("ours", arguments.seconds)
    over_theirs = over_sockets("aioquic", arguments.seconds) if has_peer else None
    report("loopback sockets", over_ours, over_theirs, as_json=arguments.json)
    return 0


def in_memory(make: Callable[[int], Any]) -> float:
    """Microseconds per packet and side, the best of a few rounds after a first one that does not count."""
    pair = make(PACKET_BYTES)
    pair.connect()
    pair.carry(IN_MEMORY_BYTES)
    return min(pair.carry(IN_MEMORY_BYTES).per_packet_and_side for _ in range(ROUNDS))


def over_sockets(transport: str, seconds: float) -> dict[str, float]:
    """Microseconds per packet: of the sender, the receiver and their mean."""
    # The receiver's time can only be had of its whole life, the warm-up included: so is what it received.
    result = measure(transport, "bulk", seconds, flags=("--option", f"mtu={PACKET_BYTES}"))
    packet = PACKET_BYTES - ENVELOPE
    sender = result["cpu"] / (result["bytes"] / packet) * 1e6
    receiver = result["serve_cpu"] / (result["total_bytes"] / packet) * 1e6
    return {"sender": sender, "receiver": receiver, "mean": (sender + receiver) / 2}


def report(where: str, ours: dict[str, float], theirs: dict[str, float] | None, *, as_json: bool) -> None:
    ratio = None if theirs is None else round(theirs["mean"] / ours["mean"], 1)
    if as_json:
        print(json.dumps({"where": where, "microseconds": ours, "aioquic": theirs, "ratio": ratio}), flush=True)
        return
    text = ", ".join(f"{name} {value:.1f}" for name, value in ours.items())
    if theirs is None:
        print(f"{where}: {text} µs per packet and side (aioquic is not installed)", flush=True)
        return
    peer = ", ".join(f"{name} {value:.1f}" for name, value in theirs.items())
    print(f"{where}: {text} µs per packet and side; aioquic {peer}: {ratio} times as much", flush=True)


if __name__ == "__main__":
    sys.exit(main())
