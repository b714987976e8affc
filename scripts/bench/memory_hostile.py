"""Prints the resident memory of a real node under each hostile generator: at the start, at most, and at the end.

Usage: scripts/bench/run memory_hostile [--seconds S] [--only NAME ...] [--json]
A fresh node with its HTTP API, in a process of its own, meets three honest peers and three hostile ones, or strangers
at its ports, for 60 s. The generators are the functions of scripts/bench/hostility. Aims: 128 MiB at most, and flat: in
the last third no more than 5 % above the third before.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Callable

from hostility import peers as by_peers
from hostility import strangers as by_strangers
from hostility.peers import Mouth
from memory_node import AIM_GROWTH, AIM_HOSTILE, MIB, resident, surrounded

from node.node import Node
from node.types import Address

KINDS = (*by_peers.MISDEEDS, *by_strangers.MISDEEDS)
HONEST, HOSTILE = 3, 3
TURN = 0.05
SPEAK_EVERY = 10


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each generator (default 60)")
    parser.add_argument(
        "--only", nargs="+", choices=KINDS, default=KINDS, metavar="NAME", help="these generators alone"
    )
    arguments = parser.parse_args()
    is_kept = True
    for kind in arguments.only:
        found = asyncio.run(measure(kind, arguments.seconds))
        is_kept = is_kept and found["peak_mib"] <= AIM_HOSTILE
        print(json.dumps({"kind": kind, **found}) if arguments.json else as_text(kind, found), flush=True)
    return 0 if is_kept else 1


def as_text(kind: str, found: dict[str, float]) -> str:
    """One line."""
    return (
        f"{kind:14} start {found['start_mib']:6.1f}  peak {found['peak_mib']:6.1f}  end {found['end_mib']:6.1f} MiB "
        f"(aim {AIM_HOSTILE:.0f})  last third by the one before {found['growth']:.3f} (aim {AIM_GROWTH:g})  "
        f"misdeeds {found['misdeeds']:.0f}"
    )


async def measure(kind: str, seconds: float) -> dict[str, float]:
    """The memory of a fresh node while that is done to it."""
    count = HONEST + (HOSTILE if kind in by_peers.MISDEEDS else 0)
    async with surrounded(count) as (pid, address, nodes):
        samples, misdeeds = await watch(pid, kind, nodes, address, seconds)
    third = len(samples) // 3
    return {
        "start_mib": round(samples[0] / MIB, 1),
        "peak_mib": round(max(samples) / MIB, 1),
        "end_mib": round(samples[-1] / MIB, 1),
        "growth": round(max(samples[-third:]) / max(samples[third:-third]), 3),
        "misdeeds": misdeeds,
    }


async def watch(pid: int, kind: str, nodes: list[Node], address: str, seconds: float) -> tuple[list[int], int]:
    """Bytes of the process at every turn, and how many misdeeds were done; one honest peer speaks now and then."""
    clock = asyncio.get_running_loop().time
    act, close = misdeeds_of(kind, nodes, address)
    samples, done, end = [resident(pid)], 0, clock() + seconds
    while clock() < end:
        done += act()
        if len(samples) % SPEAK_EVERY == 0:
            await nodes[0].broadcast({"text": "x" * 200})
        samples.append(resident(pid))
        await asyncio.sleep(TURN)
    close()
    return samples, done


def misdeeds_of(kind: str, nodes: list[Node], address: str) -> tuple[Callable[[], int], Callable[[], None]]:
    """What does one turn of misdeeds and tells how many, and what ends them."""
    host, _, port = address.rpartition(":")
    udp: Address = (host, int(port))
    victim = next(peer for peer in nodes[0].snapshot().peers if peer.address == udp)
    if kind not in by_peers.MISDEEDS:
        stranger = by_strangers.MISDEEDS[kind](udp, (host, victim.tcp_port))

        def annoy() -> int:
            stranger.act()
            return 1

        return annoy, stranger.close
    mouths = [Mouth(node) for node in nodes[HONEST:]]

    def say() -> int:
        before = sum(mouth.spoken for mouth in mouths)
        for mouth in mouths:
            for frame in by_peers.MISDEEDS[kind](mouth):
                mouth.say(frame, victim.node_id)
            mouth.pump()
        return sum(mouth.spoken for mouth in mouths) - before

    return say, lambda: None


if __name__ == "__main__":
    sys.exit(main())
