"""Prints how long messages of 256 bytes take over impaired links, beside what no transport could do better.

Usage: scripts/bench/run latency [--quick] [--json]
Virtual time, 200 messages a second, every link the same both ways. The ideal, in the same run, is a sender that learns
of each loss after exactly one round trip, and whose packets each have a draw of their own on a link with the same
settings; its retransmissions step the chain of bursts as ours do. It is the best that a sender can do that only sends
again what was lost. Ours may be ahead of it, since it repeats small messages on paths that lose; the packets per
message are what that costs beside room in packets that leave anyway.
Spurious: packets taken for lost that were not, of all packets sent. Aims: 85 % of the ideal or better at p50 and p99,
fewer than 0.1 % spurious, every message delivered.
"""

from __future__ import annotations

import argparse
import json

from node.impairment.link import GilbertElliott, LinkSettings, Order
from node.sim.figures import percentile
from node.sim.latency import Stream, stream
from node.types import MILLISECOND

BURSTS = GilbertElliott(p=0.02, r=0.4)
"""Mean bursts of 2.5 packets, 4.8 % of all."""


def links() -> dict[str, LinkSettings]:
    """Every link that is measured, by name."""
    found = {}
    for rtt in (10, 20, 200):
        one_way = rtt * MILLISECOND // 2
        for loss in (0.0, 0.05, 0.1):
            found[f"RTT {rtt:3} ms, loss {loss:.0%}"] = LinkSettings(delay=one_way, loss=loss)
        found[f"RTT {rtt:3} ms, bursts"] = LinkSettings(delay=one_way, bursts=BURSTS)
    jitter = {"delay": 20 * MILLISECOND, "jitter": 10 * MILLISECOND}
    found["RTT  40 ms, jitter 10 ms, ordered"] = LinkSettings(**jitter)
    found["RTT  40 ms, jitter 10 ms, unordered"] = LinkSettings(**jitter, order=Order.NATURAL)
    found["RTT  20 ms, reordering 1%"] = LinkSettings(delay=10 * MILLISECOND, reorder=0.01)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="2,000 messages for each link instead of 20,000")
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    arguments = parser.parse_args()
    for name, link in links().items():
        seen = stream(Stream(link=link, messages=2_000 if arguments.quick else 20_000))
        row: dict[str, float | str] = {"link": name}
        for share in (0.5, 0.99):
            ours, ideal = (percentile(delays, share) / MILLISECOND for delays in (seen.delays, seen.ideal))
            row |= {f"p{share * 100:g}_ms": ours, f"p{share * 100:g}_ideal_ms": ideal}
        row |= {"of_ideal": float(row["p99_ideal_ms"]) / float(row["p99_ms"])}
        row |= {"spurious": seen.spurious, "missing": seen.missing, "packets_per_message": seen.packets_per_message}
        if arguments.json:
            print(json.dumps(row), flush=True)
            continue
        print(
            f"{name:36} p50 {row['p50_ms']:6.1f} (ideal {row['p50_ideal_ms']:6.1f})  "
            f"p99 {row['p99_ms']:6.1f} ({row['p99_ideal_ms']:6.1f}) ms: {row['of_ideal']:5.0%} of the ideal  "
            f"spurious {seen.spurious:.3%}  missing {seen.missing}  packets {seen.packets_per_message:.2f} per message",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
