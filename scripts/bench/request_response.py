"""Prints how many requests of 256 bytes get their responses one after the other over loopback, and how long each takes.

Usage: scripts/bench/run request_response [--json] [--seconds S] [--uvloop]
Beside aioquic and qh3 (a stream each), and ours over TCP beside asyncio's TLS. The ratio is of rates in the same run.
`awaited` is ours where both ends wait for the acknowledgement of what they sent, which no peer does.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from typing import Any

from sides.pairs import is_installed, measure

OURS = {"ours": [], "awaited": ["--option", "awaited=yes"], "ours_tcp": ["--option", "tcp=yes"]}
"""Flags of what is measured of ours."""
PEERS = ("aioquic", "qh3", "tls")
BESIDE = {"tls": "ours_tcp"}
"""What of ours a peer's ratio is with, where that is not `ours`."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement (default 2)")
    parser.add_argument("--rounds", type=int, default=3, help="of which the median is taken (default 3)")
    parser.add_argument("--uvloop", action="store_true", help="run every side on uvloop")
    arguments = parser.parse_args()
    # The certificate of the TLS server is made with a package that comes with aioquic.
    present = [*OURS, *(name for name in PEERS if is_installed("aioquic" if name == "tls" else name))]
    common = ["--uvloop"] if arguments.uvloop else []
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in present}
    for _ in range(arguments.rounds):
        for name in present:
            flags = [*common, *OURS.get(name, [])]
            results[name].append(measure("ours" if name in OURS else name, "exchange", arguments.seconds, flags=flags))
    medians = {name: median(several) for name, several in results.items()}
    for name in (*OURS, *PEERS):
        report(name, medians, as_json=arguments.json)
    return 0


def median(results: list[dict[str, Any]]) -> dict[str, float]:
    return {key: statistics.median(result[key] for result in results) for key in ("rate", "p50", "p99", "cpu")}


def report(name: str, medians: dict[str, dict[str, float]], *, as_json: bool) -> None:
    if name not in medians:
        print(json.dumps({"name": name}) if as_json else f"{name:8} is not installed", flush=True)
        return
    found = medians[name]
    ours = BESIDE.get(name, "ours")
    ratio = round(medians[ours]["rate"] / found["rate"], 2)
    if as_json:
        print(json.dumps({"name": name, **found, "ratio": ratio}), flush=True)
        return
    print(
        f"{name:8} {found['rate']:6.0f}/s  p50 {found['p50'] / 1e3:.3f} ms  p99 {found['p99'] / 1e3:.3f} ms  "
        f"client {found['cpu']:.0f} µs CPU" + ("" if name in ("ours", "ours_tcp") else f"  {ours} is x{ratio}"),
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
