"""Prints the resident memory of a node that is idle with nine peers, and of one under each kind of hostile peers.

Usage: scripts/bench/run memory_node [--quick] [--only NAME ...] [--json]
The node is a process of its own with its HTTP API; its nine peers live in another. flood: three of them misbehave by
the chaos command `hostile`, ten times a second towards everybody. junk: random datagrams from 64 sockets instead. Each
kind runs against a fresh node for 60 s (--quick: 10 s). Aims: 50 MiB idle, 128 MiB under attack, and flat: the second
half no more than 5 % above the first.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from node.cli.heap import map_large_blocks, without_certificates
from node.config import NetworkConfig

with without_certificates():
    from node.node import Node

KINDS = ("idle", "flood", "junk")
PEERS_COUNT = 9
MIB = 1 << 20
AIM_IDLE, AIM_HOSTILE, AIM_GROWTH = 50.0, 128.0, 1.05
SAMPLE_INTERVAL = 0.25
HOSTILE_COUNT = 3
MISDEEDS_PER_SECOND = 10
PATIENCE = 60.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    parser.add_argument("--quick", action="store_true", help="10 s of each kind instead of 60")
    parser.add_argument("--only", nargs="+", choices=KINDS, default=KINDS, help="these kinds alone")
    parser.add_argument("--victim", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.victim:
        asyncio.run(be_victim())
        return 0
    for kind in arguments.only:
        found = asyncio.run(measure(kind, 10.0 if arguments.quick else 60.0))
        if arguments.json:
            print(json.dumps(found), flush=True)
            continue
        print(
            f"{kind:14} {found['rss_mib']:6.1f} MiB at most (aim {found['aim_mib']:.0f})  "
            f"second half by first {found['growth']:.3f} (aim {AIM_GROWTH:g})",
            flush=True,
        )
    return 0


async def be_victim() -> None:
    """Runs a node until its standard input ends, as `positron run` does."""
    map_large_blocks()
    config = NetworkConfig(host="127.0.0.1", port=0, metrics_port=0, is_seed=True, profile="testnet", log_level="ERROR")
    async with Node(config) as node:
        assert node.udp_transport is not None
        print("{}:{}".format(*node.udp_transport.local_address), flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


async def measure(kind: str, seconds: float) -> dict[str, float | str]:
    """The memory of a fresh node while its peers do that."""
    async with surrounded(PEERS_COUNT) as (pid, address, peers):
        samples = await watch(pid, kind, peers, address, seconds)
    middle = len(samples) // 2
    return {
        "kind": kind,
        "rss_mib": round(max(samples) / MIB, 1),
        "growth": round(max(samples[middle:]) / max(samples[:middle]), 3),
        "aim_mib": AIM_IDLE if kind == "idle" else AIM_HOSTILE,
    }


@asynccontextmanager
async def surrounded(count: int) -> AsyncIterator[tuple[int, str, list[Node]]]:
    """A fresh node with that many peers, all linked with each other: its process, its UDP address and the peers."""
    command = [sys.executable, __file__, "--victim"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as victim:  # noqa: ASYNC220  # nothing else runs yet
        assert victim.stdin is not None
        assert victim.stdout is not None
        address = victim.stdout.readline().strip()
        try:
            async with AsyncExitStack() as stack:
                peers = [await stack.enter_async_context(peer_of(address)) for _ in range(count)]
                await until_linked(peers)
                yield victim.pid, address, peers
        finally:
            victim.stdin.close()


def peer_of(address: str) -> Node:
    config = NetworkConfig(
        host="127.0.0.1", port=0, enable_http=False, profile="testnet", log_level="ERROR",
        bootstrap_nodes=[address], chaos_control=True,
    )  # fmt: skip
    return Node(config)


async def until_linked(peers: list[Node]) -> None:
    async with asyncio.timeout(PATIENCE):
        while any(len(peer.peer_manager.active_peers) < len(peers) for peer in peers):  # noqa: ASYNC110  # no event tells
            await asyncio.sleep(0.05)


async def watch(pid: int, kind: str, peers: list[Node], address: str, seconds: float) -> list[int]:
    """Bytes of the process at every instant; the misdeeds begin with it."""
    if kind not in ("idle", "junk"):
        for peer in peers[1 : 1 + HOSTILE_COUNT]:
            assert peer.chaos is not None
            misdeed = {"behaviour": kind, "rate": MISDEEDS_PER_SECOND}
            peer.chaos.afflict({"kind": "hostile", "step": kind, "seconds": seconds + PATIENCE, **misdeed})
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(64 if kind == "junk" else 0)]
    host, port = address.rsplit(":", 1)
    samples: list[int] = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for one in sockets:
            for _ in range(20):
                one.sendto(os.urandom(1200), (host, int(port)))
        if kind != "idle":
            # The one honest peer speaks, so that there is something to pass on.
            await peers[0].broadcast({"text": "x" * 200})
        samples.append(resident(pid))
        await asyncio.sleep(SAMPLE_INTERVAL)
    for one in sockets:
        one.close()
    return samples


def resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    sys.exit(main())
