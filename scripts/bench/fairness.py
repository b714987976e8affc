"""Prints how equal flows share one line, and what one flow alone does to its queue.

Usage: scripts/bench/run fairness [--quick] [--json]
Virtual time, 10 Mbit/s, 40 ms, queues of 1, 2 and 4 bandwidth-delay products; the least over three seeds. `newreno` on
the same line in the same run is the peer. Jain's index is 1 for equal shares, 1/n when one flow has everything. Aims
for lossfloor: 0.9 or more for 2 and 4 flows, half a round trip of queue or less for one.
"""

from __future__ import annotations

import argparse
import json

from node.sim.goodput import Bulk, Outcome, jain, observe

RATE, RTT = 10e6, 0.04
BUFFERS = (1.0, 2.0, 4.0)
FLOWS = (1, 2, 4)
CONTROLLERS = ("lossfloor", "newreno")
SEEDS = (1, 2, 3)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one seed and one queue")
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    arguments = parser.parse_args()
    for buffer in BUFFERS[:1] if arguments.quick else BUFFERS:
        for flows in FLOWS:
            for congestion in CONTROLLERS:
                seeds = SEEDS[:1] if arguments.quick else SEEDS
                report([run(buffer, flows, congestion, seed) for seed in seeds], buffer, flows, congestion, arguments)
    return 0


def run(buffer: float, flows: int, congestion: str, seed: int) -> Outcome:
    return observe(
        Bulk(rate=RATE, rtt=RTT, flows=flows, buffer=buffer, congestion=congestion, seed=seed, warm_up=4, seconds=8)
    )


def report(outcomes: list[Outcome], buffer: float, flows: int, congestion: str, arguments: argparse.Namespace) -> None:
    fair = min(jain(outcome.goodputs) for outcome in outcomes)
    used = min(sum(outcome.goodputs) for outcome in outcomes) / RATE
    queue = max(outcome.queue_delay for outcome in outcomes) / RTT
    row = {
        "buffer_bdp": buffer,
        "flows": flows,
        "congestion": congestion,
        "jain": fair,
        "used": used,
        "queue_rtt": queue,
    }
    if arguments.json:
        print(json.dumps(row), flush=True)
        return
    print(
        f"queue {buffer:g} BDP, {flows} flows, {congestion:9}  Jain {fair:.3f}  line used {used:4.0%}  "
        f"queue {queue:.2f} round trips",
        flush=True,
    )


if __name__ == "__main__":
    raise SystemExit(main())
