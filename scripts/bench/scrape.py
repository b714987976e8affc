"""Prints for how long one scrape holds the event loop of a node, beside the same through prometheus_client.

Usage: scripts/bench/run scrape [--peers N] [--quick] [--json]
A real node whose links with N peers (50 unless told otherwise) are real connections over loopback. Both ways read the
node anew and end in the bytes that are sent; they take turns, so that what else the machine does meets both, and so
that the node finds the caches of the processor as cold as a scrape per second finds them. The node's own way lets go of
the event loop in between: the pause is the longer of its two turns. Aim: 2 ms at most with 50 peers.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import time
from collections.abc import Coroutine
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest

from node.config import NetworkConfig
from node.metrics.collector import NodeCollector
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
        f"own renderer, longest pause  {_figures(found, 'pause')} ms (aim {AIM_MS:g})\n"
        f"own renderer, both turns     {_figures(found, 'own')} ms\n"
        f"prometheus_client            {_figures(found, 'library')} ms\n"
        f"prometheus_client / pause    {found['ratio']:.1f}"
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
            own, library = [], []
            gc.collect()
            for _ in range(scrapes):
                turns, text = _turns(node._observer.render_metrics())
                own.append(turns)
                library.append(_turns(_rendered_by_library(registry))[0])
            # Nothing else had its turn since the links were made, so all of them are still in the last text.
        finally:
            for other in others:
                await other.stop()
    found: dict[str, float] = {
        "peers": peers,
        "series": sum(not line.startswith(b"#") for line in text.splitlines()),
        "bytes": len(text),
    }
    for way, times in (("pause", map(max, own)), ("own", map(sum, own)), ("library", map(sum, library))):
        ordered = sorted(times)
        for name, share in (("least", 0.0), ("p50", 0.5), ("p99", 0.99)):
            found[f"{way}_{name}_ms"] = ordered[int(share * len(ordered))]
    return found | {"ratio": found["library_p50_ms"] / found["pause_p50_ms"]}


async def _rendered_by_library(registry: CollectorRegistry) -> bytes:
    return generate_latest(registry)


def _turns(work: Coroutine[Any, Any, bytes]) -> tuple[list[float], bytes]:
    """For how many milliseconds each turn of that work holds the event loop, and what it returns."""
    turns = []
    while True:
        began = time.perf_counter()
        try:
            work.send(None)
        except StopIteration as end:
            return [*turns, (time.perf_counter() - began) * 1000], end.value
        turns.append((time.perf_counter() - began) * 1000)


if __name__ == "__main__":
    raise SystemExit(main())
