"""Prints the goodput of each congestion controller on simulated lossy links, as a share of what the link leaves.

Usage: scripts/bench/run goodput [--json] [--quick] [--loss-at entry|exit]
The ratio at the end compares lossfloor with newreno on the same link in the same run. Loss strikes before the link's
rate does, as netem's, so that a sender who sends more than the rate can fill it: shares above 100 % are no error.
With `--loss-at exit` it strikes behind it, as on a radio link, and 100 % is the bound.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace

from node.impairment.link import LossAt
from node.sim.goodput import Bulk, measure
from node.transport.congestion import CONTROLLERS

LINKS = [(50e6, 0.02), (50e6, 0.04), (50e6, 0.05), (100e6, 0.02), (100e6, 0.04), (100e6, 0.05)]
LOSSES = [0.0, 0.01, 0.02, 0.05, 0.1, 0.2]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    parser.add_argument("--quick", action="store_true", help="one link of 20 Mbit/s instead of six faster ones")
    parser.add_argument("--loss-at", choices=[one.value for one in LossAt], default="entry", help="default entry")
    arguments = parser.parse_args()
    for rate, rtt in [(20e6, 0.04)] if arguments.quick else LINKS:
        for loss in LOSSES:
            bulk = Bulk(rate=rate, rtt=rtt, loss=loss, loss_at=LossAt(arguments.loss_at), seconds=3)
            goodput = {name: measure(replace(bulk, congestion=name)) for name in CONTROLLERS}
            report(rate, rtt, loss, goodput, as_json=arguments.json)
    return 0


def report(rate: float, rtt: float, loss: float, goodput: dict[str, float], *, as_json: bool) -> None:
    shares = {name: round(value / (rate * (1 - loss)), 3) for name, value in goodput.items()}
    ratio = round(goodput["lossfloor"] / goodput["newreno"], 1)
    if as_json:
        line = {"rate": rate, "rtt": rtt, "loss": loss, "share": shares, "lossfloor_to_newreno": ratio}
        print(json.dumps(line), flush=True)
        return
    text = "  ".join(f"{name} {goodput[name] / 1e6:6.2f} Mbit/s ({share:.0%})" for name, share in shares.items())
    print(f"{rate / 1e6:4.0f} Mbit/s {rtt * 1e3:3.0f} ms loss {loss:4.0%}: {text}  x{ratio}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
