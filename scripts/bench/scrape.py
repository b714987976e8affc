"""Prints for how long one scrape holds the event loop of a node, beside the same through prometheus_client.

Usage: scripts/bench/run scrape [--peers N] [--quick] [--json]
A real node whose links with N peers (50 unless told otherwise) are real connections over loopback. Both ways read the
node anew and end in the bytes that are sent; they take turns, so that what else the machine does meets both. Aim: the
node's own way takes 2 ms at most with 50 peers.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry, generate_latest

from node.config import NetworkConfig
from node.metrics.collector import NodeCollector
from node.metrics.text import render
from node.node import Node
from node.transport.udp_transport import UDPTransport

HOST = "127.0.0.1"
AIM_MS = 2.0
PATIENCE = 30.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", type=int, default=50, help="links of the node (default 50)")
    parser.add_argument("--quick", action="store_true", help="50 scrapes each way instead of 500")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    arguments = parser.parse_args()
    if not 1 <= arguments.peers <= 500:
        parser.error(f"--peers {arguments.peers}: allowed is a whole number from 1 to 500")
    found = asyncio.run(measure(arguments.peers, 50 if arguments.quick else 500))
    if arguments.json:
        print(json.dumps(found))
        return 0
    print(
        f"{found['peers']} peers, {found['series']} series, {found['bytes'] / 1024:.0f} KiB\n"
        f"own renderer       {_figures(found, 'own')} ms (aim {AIM_MS:g})\n"
        f"prometheus_client  {_figures(found, 'library')} ms\n"
        f"ratio              {found['ratio']:.1f}"
    )
    return 0


def _figures(found: dict[str, float], way: str) -> str:
    """The least is what it takes when nothing else wants the processor."""
    return "  ".join(f"{name} {found[f'{way}_{name}_ms']:6.2f}" for name in ("least", "p50", "p99"))


async def measure(peers: int, scrapes: int) -> dict[str, float]:
    """Both ways on one node with that many links."""
    config = NetworkConfig(
        host=HOST, port=0, enable_http=False, is_seed=True, data_dir="", handshake_rate_per_address=100_000
    )
    others = [UDPTransport(HOST, 0) for _ in range(peers)]
    async with Node(config) as node:
        assert node.udp_transport is not None
        address = node.udp_transport.local_address
        try:
            for other in others:
                await other.start()
                await other.send_reliable(address, b"hello", PATIENCE)
            registry = CollectorRegistry()
            registry.register(NodeCollector(node.observe))
            ways: list[Callable[[], bytes]] = [lambda: render(node.observe()), lambda: generate_latest(registry)]
            took: list[list[float]] = [[], []]
            gc.collect()
            for _ in range(scrapes):
                for way, times in zip(ways, took, strict=True):
                    began = time.perf_counter()
                    text = way()
                    times.append((time.perf_counter() - began) * 1000)
            # Nothing else had its turn since the links were made, so all of them are still in the last text.
        finally:
            for other in others:
                await other.stop()
    own, library = (sorted(times) for times in took)
    return {
        "peers": peers,
        "series": sum(not line.startswith(b"#") for line in text.splitlines()),
        "bytes": len(text),
        "own_least_ms": own[0],
        "own_p50_ms": own[len(own) // 2],
        "own_p99_ms": own[int(0.99 * len(own))],
        "library_least_ms": library[0],
        "library_p50_ms": library[len(library) // 2],
        "library_p99_ms": library[int(0.99 * len(library))],
        "ratio": library[len(library) // 2] / own[len(own) // 2],
    }


if __name__ == "__main__":
    raise SystemExit(main())
