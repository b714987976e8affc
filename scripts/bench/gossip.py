"""Prints how ten real nodes on loopback spread messages, beside as many of py-libp2p's gossipsub in the same run.

Usage: scripts/bench/run gossip [--quick] [--sides A,B] [--rounds N] [--json]
The nodes of one side share one process and one event loop, and the sides take turns. Propagation: 5 messages of 300
bytes per second by random nodes, from the call to the application of each other node. Rate: the highest at which every
message arrives everywhere and the loop is less than 50 ms late (by its median), each step half again as fast as the
one before. Both sides sign, encrypt and keep a mesh of degree 8; gossipsub's own limit of messages is off. Ours is
measured after the first minute, in which its links grant a quarter. Aim: three times as good as gossipsub.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from sides.pairs import interpreter_with

HERE = Path(__file__).resolve().parent
PEERS = ("libp2p",)
OURS = "positron"
AIM = 3.0
LIMIT = 600.0
FIGURES = {"p50_ms": "propagation p50", "p99_ms": "propagation p99", "rate": "messages per second"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("--quick", action="store_true", help="short steps, and no wait for the first minute")
    parser.add_argument("--sides", type=lambda text: text.split(","), default=[OURS, *PEERS])
    parser.add_argument("--rounds", type=int, default=3, help="of which the median is taken (default 3)")
    options = parser.parse_args()
    if unknown := set(options.sides) - {OURS, *PEERS}:
        parser.error(f"unknown sides {', '.join(sorted(unknown))}; there are: {OURS}, {', '.join(PEERS)}")
    pythons = {side: sys.executable if side == OURS else interpreter_with(side) for side in options.sides}
    sides = {side: python for side, python in pythons.items() if python is not None}
    for side in options.sides:
        if side not in sides:
            print(f"left out: {side}: no interpreter has it (NEWER_PYTHON names one of 3.12 or newer)", file=sys.stderr)
    runs: dict[str, list[dict[str, float]]] = {side: [] for side in sides}
    for _ in range(1 if options.quick else options.rounds):
        for side, python in sides.items():
            runs[side].append(measure(side, python, is_quick=options.quick))
    figures = {
        side: {name: statistics.median(run[name] for run in found) for name in found[0]} for side, found in runs.items()
    }
    print(json.dumps(figures) if options.json else as_text(figures))
    return 0


def measure(side: str, python: str, *, is_quick: bool) -> dict[str, float]:
    """What one crowd of that side achieved."""
    command = [python, "-m", "crowds.main", side, *(["--quick"] if is_quick else [])]
    done = subprocess.run(command, cwd=HERE, stdout=subprocess.PIPE, timeout=LIMIT, check=True, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def as_text(figures: dict[str, dict[str, float]]) -> str:
    """A line per figure and side, and how much better ours is."""
    lines = []
    for name, title in FIGURES.items():
        ours = figures.get(OURS, {}).get(name)
        for side, found in figures.items():
            line = f"{title:20} {side:10} {found[name]:10.1f}"
            if side != OURS and ours and found[name]:
                ratio = ours / found[name] if name == "rate" else found[name] / ours
                line += f"   ours is {ratio:.1f} times as good (aim {AIM:g})"
            lines.append(line)
    missed: dict[str, Any] = {side: round(found["missed"]) for side, found in figures.items()}
    return "\n".join([*lines, f"missed while spreading slowly: {missed}"])


if __name__ == "__main__":
    sys.exit(main())
