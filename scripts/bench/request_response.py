"""Prints how many requests of 256 bytes get their responses one after the other over loopback, and how long each takes.

Usage: scripts/bench/run request_response [--json] [--seconds S] [--uvloop]
Beside aioquic and qh3 (a stream each), and ours over TCP beside asyncio's TLS. The ratios are of rates in the same run.
`awaited` is ours where both ends wait for the acknowledgement of what they sent, which no peer does; `polling` is ours
with `busy_poll`: its loops ask for packets for a while before they sleep, which takes a processor each.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from typing import Any

from sides.pairs import is_installed, measure

BUSY_POLL = "500"
"""Microseconds, longer than an answer takes."""
OURS: dict[str, dict[str, str]] = {
    "ours": {},
    "polling": {"busy": BUSY_POLL},
    "awaited": {"awaited": "yes"},
    "ours_tcp": {"tcp": "yes"},
    "polling_tcp": {"tcp": "yes", "busy": BUSY_POLL},
}
"""Options of what is measured of ours."""
PEERS = ("aioquic", "qh3", "tls")
BESIDE = {"aioquic": ("ours", "polling"), "qh3": ("ours", "polling"), "tls": ("ours_tcp", "polling_tcp")}
"""What of ours a peer's ratios are with."""


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
            options = [f"{option}={value}" for option, value in OURS.get(name, {}).items()]
            flags = [*common, *(flag for option in options for flag in ("--option", option))]
            results[name].append(measure("ours" if name in OURS else name, "exchange", arguments.seconds, flags=flags))
    medians = {name: median(several) for name, several in results.items()}
    for name in (*OURS, *PEERS):
        report(name, medians, as_json=arguments.json)
    return 0


def median(results: list[dict[str, Any]]) -> dict[str, float]:
    return {key: statistics.median(result[key] for result in results) for key in ("rate", "p50", "p99", "cpu")}


def report(name: str, medians: dict[str, dict[str, float]], *, as_json: bool) -> None:
    if name not in medians:
        print(json.dumps({"name": name}) if as_json else f"{name:11} is not installed", flush=True)
        return
    found = medians[name]
    ratios = {ours: round(medians[ours]["rate"] / found["rate"], 2) for ours in BESIDE.get(name, ())}
    if as_json:
        print(json.dumps({"name": name, **found, "ratios": ratios}), flush=True)
        return
    print(
        f"{name:11} {found['rate']:6.0f}/s  p50 {found['p50'] / 1e3:.3f} ms  p99 {found['p99'] / 1e3:.3f} ms  "
        f"client {found['cpu']:.0f} µs CPU" + "".join(f"  {ours} is x{ratio}" for ours, ratio in ratios.items()),
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
