"""`testnet watch`: a table of nodes and links that is drawn again and again.

Reads the statistics of every node twice and shows what happened in between. On a terminal it stays in place, elsewhere
each picture is a block of lines; with --json one object a line.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from node.cli.tables import duration, table
from node.impairment.link import expected_loss
from node.testnet.commands.chaos import whole
from node.testnet.errors import TestnetMisused
from node.testnet.runners.asked import asked_of, faults_on

if TYPE_CHECKING:
    from rich.console import Group

    from node.testnet.runners.proc import ProcRunner

__all__ = ["Watch", "add_watch_command", "spark"]

SAMPLES_MAX = 240
SPARK_WIDTH = 16
ONCE_SAMPLES = 5
PACKETS_MIN = 100
ONCE_INTERVAL = 0.3
WEB_PORT = 9480
_BARS = "▁▂▃▄▅▆▇█"

Record = dict[str, Any]


def add_watch_command(commands: Any, add_common: Any) -> None:
    """Adds `watch`."""
    command = commands.add_parser("watch", help="follow nodes and links", allow_abbrev=False)
    command.set_defaults(function=watch)
    command.add_argument("--interval", type=float, default=1.0, help="seconds between two pictures (default 1)")
    command.add_argument("--once", action="store_true", help="one picture, then end")
    command.add_argument("--links", action="store_true", help="every link too, not only nodes")
    command.add_argument("--web", action="store_true", help="the boards as a page on 127.0.0.1 instead of a table")
    command.add_argument("--port", type=whole(0, 65535), help=f"of the page (default {WEB_PORT}; 0 for any free one)")
    add_common(command)


def watch(arguments: argparse.Namespace) -> int:
    """Draws until interrupted; with --once, one picture over a second and a half."""
    from node.testnet.runners.proc import ProcRunner

    if arguments.web:
        return _serve(arguments)
    if arguments.port is not None:
        raise TestnetMisused("--port: belongs to --web")
    if not 0.1 <= arguments.interval <= 3600:
        raise TestnetMisused(f"--interval {arguments.interval:g}: allowed is 0.1 to 3600 seconds")
    seen = Watch(ProcRunner.attach(arguments.name))
    for _ in range(ONCE_SAMPLES if arguments.once else 2):
        seen.look()
        time.sleep(ONCE_INTERVAL)
    if arguments.once:
        seen.look()
        _print(seen, arguments)
        return 0
    with contextlib.suppress(KeyboardInterrupt):
        _follow(seen, arguments)
    return 0


def _serve(arguments: argparse.Namespace) -> int:
    """Serves the page until interrupted."""
    from node.testnet.metrics.rules import recorded
    from node.testnet.runners.proc import ProcRunner
    from node.testnet.web.server import HOST, WebServer

    for flag in ("once", "links", "json"):
        if getattr(arguments, flag):
            raise TestnetMisused(f"--{flag}: not with --web")
    runner = ProcRunner.attach(arguments.name)

    def scrape() -> dict[str, str | None]:
        runner.refresh()
        return runner.scrape()

    async def serve() -> None:
        server = WebServer(scrape, recorded(), arguments.name)
        try:
            port = await server.start(WEB_PORT if arguments.port is None else arguments.port)
            print(f"http://{HOST}:{port}/", flush=True)
            await server.follow()
        finally:
            await server.stop()

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve())
    return 0


def _follow(seen: Watch, arguments: argparse.Namespace) -> None:
    if arguments.json or not sys.stdout.isatty():
        while True:
            seen.look()
            _print(seen, arguments)
            time.sleep(arguments.interval)
    from rich.live import Live

    with Live(screen=False, auto_refresh=False) as live:
        while True:
            seen.look()
            live.update(_picture(seen, has_links=arguments.links), refresh=True)
            time.sleep(arguments.interval)


def _print(seen: Watch, arguments: argparse.Namespace) -> None:
    if arguments.json:
        print(json.dumps({"nodes": seen.nodes(), "links": seen.links()}), flush=True)
        return
    rows = [_node_row(one) for one in seen.nodes()]
    print("\n".join(table(_NODE_HEADER, rows, numbers=range(2, 9))), flush=True)
    if arguments.links:
        print("\n".join(table(_LINK_HEADER, [_link_row(one) for one in seen.links()], numbers=range(2, 8))), flush=True)


def _picture(seen: Watch, *, has_links: bool) -> Group:
    from rich.console import Group
    from rich.table import Table

    tables = []
    parts: list[tuple[Sequence[str], list[tuple[str, ...]]]] = [
        (_NODE_HEADER, [_node_row(one) for one in seen.nodes()]),
    ]
    if has_links:
        parts.append((_LINK_HEADER, [_link_row(one) for one in seen.links()]))
    for header, rows in parts:
        drawn = Table(box=None, pad_edge=False)
        for index, title in enumerate(header):
            drawn.add_column(title, justify="left" if index < 2 else "right", no_wrap=True)
        for row in rows:
            is_bad = row[1] in ("down", "paused")
            fault = row[header.index("FAULT")]
            drawn.add_row(*row, style="red" if is_bad else "yellow" if fault != "-" else "")
        tables.append(drawn)
    return Group(*tables)


_NODE_HEADER = ("NODE", "STATE", "PEERS", "RTT P50", "RTT P99", "RTO", "RETRANS", "GOSSIP/S", "LAG", "FAULT", "RTT")
_LINK_HEADER = ("FROM", "TO", "RTT P50", "RTT P99", "RTO", "RETRANS", "LOSS ASKED", "LOSS SEEN", "FAULT")


def _node_row(one: Record) -> tuple[str, ...]:
    return (
        one["name"],
        one["state"],
        "-" if one["peers"] is None else str(one["peers"]),
        duration(one["rtt_p50"]),
        duration(one["rtt_p99"]),
        duration(one["rto"]),
        _share(one["retransmitted"]),
        "-" if one["gossip_rate"] is None else f"{one['gossip_rate']:.1f}",
        duration(one["lag"]),
        ", ".join(one["faults"]) or "-",
        one["spark"],
    )


def _link_row(one: Record) -> tuple[str, ...]:
    return (
        one["from"],
        one["to"],
        duration(one["rtt_p50"]),
        duration(one["rtt_p99"]),
        duration(one["rto"]),
        _share(one["retransmitted"]),
        _share(one["loss_asked"]),
        _share(one["loss_seen"]),
        ", ".join(one["faults"]) or "-",
    )


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


@dataclass(slots=True)
class _Link:
    """samples: round trip times in seconds. first, last: the reports of the first and the latest look."""

    samples: deque[float] = field(default_factory=lambda: deque(maxlen=SAMPLES_MAX))
    first: Record = field(default_factory=dict)
    last: Record = field(default_factory=dict)


@dataclass(slots=True)
class _Node:
    links: dict[str, _Link] = field(default_factory=dict)
    looks: deque[tuple[float, Record]] = field(default_factory=lambda: deque(maxlen=10))
    rtts: deque[float] = field(default_factory=lambda: deque(maxlen=SPARK_WIDTH))


class Watch:
    """What is known of a running testnet after each `look`."""

    def __init__(self, runner: ProcRunner) -> None:
        self._runner = runner
        self._nodes: dict[str, _Node] = {name: _Node() for name in runner.stats()}
        self._states: Mapping[str, Any] = {}
        self._faults: dict[str, list[str]] = {}
        self._chaos: Mapping[str, Record | None] = {}

    def look(self) -> None:
        """Reads everything once."""
        runner = self._runner
        runner.refresh()
        status = runner.keeper_status()
        self._states = status["nodes"]
        stats = runner.stats()
        self._chaos = runner.chaos_status()
        self._faults = {name: [] for name in self._nodes}
        for one in status["faults"]:
            self._faults[one["node"]].append(one["step"])
        for name, answer in self._chaos.items():
            for one in [*(answer or {}).get("faults", ()), *(answer or {}).get("afflictions", ())]:
                self._faults[name].append(one["step"])
        for name, answer in stats.items():
            if answer is not None:
                self._take(self._nodes[name], answer)

    def _take(self, node: _Node, answer: Record) -> None:
        node.looks.append((time.monotonic(), answer))
        for report in answer["links"]:
            if report["transport"] != "udp" or not report["name"]:
                continue
            link = node.links.setdefault(report["name"], _Link())
            if not link.first or report["packets_sent"] < link.last["packets_sent"]:
                link.first = report
            link.last = report
            if report["rtt_latest"] is not None:
                link.samples.append(report["rtt_latest"])
        latest = [link.samples[-1] for link in node.links.values() if link.samples]
        if latest:
            node.rtts.append(sorted(latest)[len(latest) // 2])

    def nodes(self) -> list[Record]:
        """One record for each node; None for what is not known."""
        return [self._node(name, node) for name, node in self._nodes.items()]

    def links(self) -> list[Record]:
        """One record for each link over UDP, in each direction."""
        return [
            self._link(name, other, link)
            for name, node in self._nodes.items()
            for other, link in node.links.items()
            if other in self._nodes
        ]

    def _node(self, name: str, node: _Node) -> Record:
        state = self._states.get(name, {}).get("state", "unknown")
        answer = node.looks[-1][1] if node.looks and state == "running" else None
        samples = [sample for link in node.links.values() for sample in link.samples]
        rtos = [link.last["rto"] for link in node.links.values() if link.last]
        return {
            "name": name,
            "state": state,
            "peers": None if answer is None else answer["active_peers"],
            "rtt_p50": _quantile(samples, 0.5),
            "rtt_p99": _quantile(samples, 0.99),
            "rto": max(rtos, default=None),
            "retransmitted": _ratio(list(node.links.values()), "retransmissions"),
            "gossip_rate": _rate(node, "gossip_stats", "delivered"),
            "lag": _lag(node),
            "faults": self._faults.get(name, []),
            "spark": spark(list(node.rtts)),
        }

    def _link(self, name: str, other: str, link: _Link) -> Record:
        answer, host = self._chaos.get(name), self._runner.host_of(other)
        return {
            "from": name,
            "to": other,
            "rtt_p50": _quantile(list(link.samples), 0.5),
            "rtt_p99": _quantile(list(link.samples), 0.99),
            "rto": link.last.get("rto"),
            "retransmitted": _ratio([link], "retransmissions"),
            "loss_asked": None if answer is None else expected_loss(asked_of(answer, host)),
            "loss_seen": _ratio([link], "packets_lost"),
            "faults": [] if answer is None else faults_on(answer, host),
            "spark": spark(list(link.samples)[-SPARK_WIDTH:]),
        }


def spark(values: Sequence[float]) -> str:
    """The values as bars, the largest as high as a line."""
    most = max(values, default=0.0)
    return "".join(_BARS[min(7, int(8 * value / most))] if most else _BARS[0] for value in values)


def _quantile(samples: Sequence[float], share: float) -> float | None:
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None


def _ratio(links: Sequence[_Link], name: str) -> float | None:
    """Share of the packets since the first look; since the links began while those are too few to tell."""
    known = [link for link in links if link.first]
    sent = sum(link.last["packets_sent"] - link.first["packets_sent"] for link in known)
    part = sum(link.last[name] - link.first[name] for link in known)
    if sent < PACKETS_MIN:
        sent = sum(link.last["packets_sent"] for link in known)
        part = sum(link.last[name] for link in known)
    return max(0.0, min(1.0, part / sent)) if sent else None


def _rate(node: _Node, group: str, name: str) -> float | None:
    if len(node.looks) < 2:
        return None
    (before, first), (now, last) = node.looks[0], node.looks[-1]
    return max(0.0, (last[group][name] - first[group][name]) / (now - before)) if now > before else None


def _lag(node: _Node) -> float | None:
    """Mean lateness of the event loop in between."""
    if len(node.looks) < 2:
        return None
    first, last = node.looks[0][1]["runtime"], node.looks[-1][1]["runtime"]
    number = last["loop_lag_samples"] - first["loop_lag_samples"]
    return (last["loop_lag_seconds"] - first["loop_lag_seconds"]) / number if number > 0 else None
