"""Prints goodput and message latency of our transport and of its peers over the same impaired links.

Usage: scripts/bench/run peers [--full] [--link emulated|netem] [--peers A,B] [--loss 0,5] [--rtt 20] [--rate 100]
                               [--only bulk|latency] [--seconds S] [--json]
Needs root: both ends run in network namespaces. `emulated` links are ours, in user space; `netem` needs a kernel with
sch_netem, or the lab: tests/lab/netem-lab --out out -- scripts/bench/run peers --link netem --rate 10.
Goodput: bulk for some seconds after the first, as Mbit/s of payload. Latency: one-way delay of 256-byte messages, 200 a
second. A ratio is ours divided by the peer's (goodput) or the peer's by ours (latency): above 1 we are better.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from impaired import end  # noqa: E402
from impaired.links import LINKS, Link  # noqa: E402
from impaired.load import MESSAGE_BYTES, MESSAGES_PER_SECOND, Load  # noqa: E402
from sides.pairs import interpreter_with  # noqa: E402

from tests.netns.hosts import LEFT, RIGHT, Hosts  # noqa: E402

PEERS = end.PEERS
END = Path(end.__file__)
OURS = "positron"
SERVER_START = 0.7
"""Seconds that a receiver gets before the sender begins; senders that come too early try again."""

HEADERS_SHARE = 0.956
"""Payload's share of a packet, about the same for all; the limit of goodput is rate x this x (1 - loss)."""

MODULES = {"positron": "nacl", "aioquic-streams": "aioquic", "tcp-cubic": "", "tcp-bbr": ""}
"""What a peer's interpreter must have, where it is not called as the peer is."""


def main() -> int:
    options = parse()
    interpreters, absent = find_interpreters(options.peers)
    for name, reason in absent.items():
        print(f"left out: {name}: {reason}", file=sys.stderr)
    for link, load in cells(options):
        results = {}
        for name, python in interpreters.items():
            if load.kind == "bulk" and name == "aioquic-streams":
                continue
            runs = [measure(name, python, link, load, options.link) for _ in range(options.repeat)]
            results[name] = middle(runs)
            if not options.json:
                print(f"  {name:16} {cell_text(load, results[name], results.get(OURS))}", flush=True)
        if options.json:
            print(json.dumps({"link": asdict(link), "load": asdict(load), "kind": options.link, "peers": results}))
        else:
            print(summary(link, load), flush=True)
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="the whole grid, three runs each: about two hours")
    parser.add_argument("--link", choices=LINKS, default="emulated")
    parser.add_argument("--peers", type=lambda text: text.split(","), default=list(PEERS))
    parser.add_argument("--loss", type=numbers, help="per cent, each way")
    parser.add_argument("--rtt", type=numbers, help="milliseconds")
    parser.add_argument("--rate", type=numbers, help="Mbit/s")
    parser.add_argument("--queue", type=float, default=40.0, help="of the bottleneck, in milliseconds (default 40)")
    parser.add_argument("--only", choices=("bulk", "latency"))
    parser.add_argument("--seconds", type=float, help="measured in each run")
    parser.add_argument("--repeat", type=int, help="runs of which the median counts")
    parser.add_argument("--json", action="store_true", help="one JSON object per link and load")
    options = parser.parse_args()
    full = options.full
    options.loss = options.loss or ([0, 1, 2, 5, 10, 20] if full else [0, 1, 5, 20])
    options.rtt = options.rtt or ([20, 40, 50] if full else [20])
    options.rate = options.rate or ([50, 100] if full else [100])
    options.seconds = options.seconds or (6.0 if full else 3.0)
    options.repeat = options.repeat or (3 if full else 1)
    unknown = set(options.peers) - set(PEERS)
    if unknown:
        parser.error(f"unknown peers {', '.join(sorted(unknown))}; there are: {', '.join(PEERS)}")
    return options


def numbers(text: str) -> list[float]:
    return [float(word) for word in text.split(",")]


def cells(options: argparse.Namespace) -> Iterator[tuple[Link, Load]]:
    """Every link with every load; latency at one rate only, which it does not depend on, and where there is loss."""
    for rate, rtt, loss in itertools.product(options.rate, options.rtt, options.loss):
        link = Link(rate * 1e6, rtt / 1e3, loss / 100, options.queue / 1e3)
        if options.only != "latency":
            yield link, Load("bulk", options.seconds)
        if options.only == "latency" or (options.only is None and rate == options.rate[0] and loss in (1, 5)):
            yield link, Load("latency", max(5.0, options.seconds))


def find_interpreters(names: list[str]) -> tuple[dict[str, str], dict[str, str]]:
    """The interpreter of each peer; and why others are left out."""
    found: dict[str, str] = {}
    absent: dict[str, str] = {}
    subprocess.run(["modprobe", "--quiet", "tcp_bbr"], check=False)
    control = Path("/proc/sys/net/ipv4/tcp_available_congestion_control").read_text().split()
    for name in sorted(names, key=lambda name: name != OURS):
        module = MODULES.get(name, name)
        python = interpreter_with(module) if module else sys.executable
        if name.startswith("tcp-") and name[4:] not in control:
            absent[name] = f"this kernel has only {', '.join(control)}"
        elif python is None:
            absent[name] = f"no environment has {module}"
        else:
            found[name] = python
    return found, absent


def measure(name: str, python: str, link: Link, load: Load, kind: str) -> dict[str, Any]:
    """What the receiver's meter found in one run; an `error` where an end failed."""
    with LINKS[kind](link) as (hosts, address):
        receiver = start(hosts, RIGHT, [python, str(END), name, "receive", load.kind, str(load.seconds), address])
        with suppress(subprocess.TimeoutExpired):
            receiver.wait(SERVER_START)
        sender = start(hosts, LEFT, [python, str(END), name, "send", load.kind, str(load.seconds), address])
        try:
            output, errors = receiver.communicate(timeout=load.is_over_after() + 10)
        except subprocess.TimeoutExpired:
            output, errors = "", "no result in time"
        finally:
            receiver.kill()
            sender.kill()
            sender_errors = sender.communicate()[1]
    if not output:
        return {"error": (errors.strip() or sender_errors.strip() or "nothing was printed").splitlines()[-1]}
    found: dict[str, Any] = json.loads(output)
    return found


def start(hosts: Hosts, side: str, command: list[str]) -> subprocess.Popen[str]:
    environment = {"PYTHONPATH": str(ROOT), **os.environ}
    return subprocess.Popen(
        hosts.command(side, *command), env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def middle(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """The median of every figure."""
    good = [run for run in runs if "error" not in run]
    if not good:
        return runs[0]
    return {key: median([run[key] for run in good]) for key in good[0]}


def median(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def cell_text(load: Load, found: dict[str, Any], ours: dict[str, Any] | None) -> str:
    if "error" in found:
        return f"failed: {found['error']}"
    has_ours = ours is not None and "error" not in ours
    if load.kind == "bulk":
        ratio = f"  x{ours['goodput'] / max(1.0, found['goodput']):.1f}" if has_ours and ours else ""
        return f"{found['goodput'] / 1e6:7.2f} Mbit/s{ratio}"
    if found["p99"] is None:
        return "nothing arrived"
    ratio = f"  x{found['p99'] / ours['p99']:.2f}" if has_ours and ours and ours["p99"] else ""
    figures = "  ".join(f"{name} {found[name] * 1e3:6.1f} ms" for name in ("p50", "p99", "worst"))
    return f"{figures}  {found['delivered']:.0f} of {found['sent']:.0f}{ratio}"


def summary(link: Link, load: Load) -> str:
    if load.kind == "bulk":
        return f"^ bulk, {link.name}: at most {link.rate * HEADERS_SHARE * (1 - link.loss) / 1e6:.1f} Mbit/s\n"
    return f"^ {MESSAGES_PER_SECOND} messages of {MESSAGE_BYTES} bytes a second, {link.name}\n"


if __name__ == "__main__":
    sys.exit(main())
