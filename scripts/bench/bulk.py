"""Prints how fast one connection carries bulk data, one process per side, beside aioquic and qh3.

Usage: scripts/bench/run bulk [--json] [--seconds S] [--uvloop]
Over loopback, and as root over a veth pair between two network namespaces, too. Every peer carries the same blocks of
1 MiB, three at a time, with the packets of its defaults; the ratio is of rates in the same run. The server's CPU time
includes its start.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
from typing import Any

from sides.pairs import LOOPBACK, Place, is_installed, measure, veth_pair

PEERS = ("aioquic", "qh3")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement (default 3)")
    parser.add_argument("--rounds", type=int, default=3, help="of which the median is taken (default 3)")
    parser.add_argument("--uvloop", action="store_true", help="run every side on uvloop")
    arguments = parser.parse_args()
    compare(LOOPBACK, arguments)
    if os.geteuid() == 0 and shutil.which("ip"):
        with veth_pair() as place:
            compare(place, arguments)
    elif not arguments.json:
        print("veth: not measured, it needs root and iproute2")
    return 0


def compare(place: Place, arguments: argparse.Namespace) -> None:
    """Rounds in which everybody has a turn, so that a busy moment of the machine hits all alike."""
    names = ("ours", *(peer for peer in PEERS if is_installed(peer)))
    flags = ("--uvloop",) if arguments.uvloop else ()
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for _ in range(arguments.rounds):
        for name in names:
            results[name].append(measure(name, "bulk", arguments.seconds, place=place, flags=flags))
    rates = {name: statistics.median(rate(result) for result in several) for name, several in results.items()}
    ratios = {name: round(rates["ours"] / value, 2) for name, value in rates.items() if name != "ours"}
    if arguments.json:
        line = {"where": place.name, "megabits": {name: round(value) for name, value in rates.items()}}
        print(json.dumps({**line, "ratios": ratios, "uvloop": arguments.uvloop}), flush=True)
        return
    print(f"{place.name}: {rates['ours']:.0f} Mbit/s", end="")
    for peer in PEERS:
        print(f"; {peer} {rates[peer]:.0f}, x{ratios[peer]}" if peer in rates else f"; {peer} is not installed", end="")
    print(flush=True)


def rate(result: dict[str, Any]) -> float:
    """Megabits of blocks acknowledged per second."""
    return float(result["bytes"]) * 8 / result["seconds"] / 1e6


if __name__ == "__main__":
    sys.exit(main())
