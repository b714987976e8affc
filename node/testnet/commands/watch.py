"""`testnet watch`: a table of nodes and links that is drawn again and again.

Reads the statistics of every node, and shows what `watched.py` makes of the last ten seconds of them. On a terminal it
stays in place, elsewhere each picture is a block of lines; with --json one object a line.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from node.cli.keys import pauses
from node.cli.tables import duration, table
from node.testnet.commands.chaos import whole
from node.testnet.commands.watched import Look, Record, Watched
from node.testnet.errors import TestnetMisused

if TYPE_CHECKING:
    from rich.console import Group

    from node.testnet.runners.proc import ProcRunner

__all__ = ["add_watch_command"]

ONCE_LOOKS = 7
ONCE_INTERVAL = 0.5
WEB_PORT = 9480
ROOMY = 96
"""Columns of a terminal below which those of the tables move together."""


def add_watch_command(commands: Any, add_common: Any) -> None:
    """Adds `watch`."""
    command = commands.add_parser(
        "watch", help="follow nodes and links: figures of the last ten seconds", allow_abbrev=False
    )
    command.set_defaults(function=watch)
    command.add_argument("--interval", type=float, default=1.0, help="seconds between two pictures (default 1)")
    command.add_argument("--once", action="store_true", help="one picture, of three seconds, then end")
    command.add_argument("--links", action="store_true", help="every link too, not only nodes")
    command.add_argument("--web", action="store_true", help="the boards as a page on 127.0.0.1 instead of a table")
    command.add_argument("--port", type=whole(0, 65535), help=f"of the page (default {WEB_PORT}; 0 for any free one)")
    add_common(command)


def watch(arguments: argparse.Namespace) -> int:
    """Draws until interrupted, or left with the key q; with --once, one picture of three seconds."""
    from node.testnet.runners import attach

    if arguments.web:
        return _serve(arguments)
    if arguments.port is not None:
        raise TestnetMisused("--port: belongs to --web")
    if not 0.1 <= arguments.interval <= 3600:
        raise TestnetMisused(f"--interval {arguments.interval:g}: allowed is 0.1 to 3600 seconds")
    runner = attach(arguments.name)
    seen = Watched({name: runner.host_of(name) for name in runner.stats()})
    for _ in range(ONCE_LOOKS - 1 if arguments.once else 1):
        seen.take(_look(runner))
        time.sleep(ONCE_INTERVAL)
    if arguments.once:
        seen.take(_look(runner))
        _print(seen, arguments)
        return 0
    with contextlib.suppress(KeyboardInterrupt):
        _follow(runner, seen, arguments)
    return 0


def _look(runner: ProcRunner) -> Look:
    """Asks the keeper and every node."""
    runner.refresh()
    status = runner.keeper_status()
    faults: dict[str, list[str]] = {}
    for one in status["faults"]:
        faults.setdefault(one["node"], []).append(one["step"])
    states = {name: one["state"] for name, one in status["nodes"].items()}
    stats, chaos = runner.stats(), runner.chaos_status()
    return Look(at=time.monotonic(), states=states, stats=stats, chaos=chaos, faults=faults)


def _serve(arguments: argparse.Namespace) -> int:
    """Serves the page until interrupted."""
    from node.testnet.metrics.rules import recorded
    from node.testnet.runners import attach
    from node.testnet.web.server import HOST, WebServer

    for flag in ("once", "links", "json"):
        if getattr(arguments, flag):
            raise TestnetMisused(f"--{flag}: not with --web")
    runner = attach(arguments.name)

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


def _follow(runner: ProcRunner, seen: Watched, arguments: argparse.Namespace) -> None:
    if arguments.json or not sys.stdout.isatty():
        while True:
            seen.take(_look(runner))
            _print(seen, arguments)
            time.sleep(arguments.interval)
    from rich.live import Live

    with Live(screen=False, auto_refresh=False) as live, pauses() as is_left_in:
        is_left = False
        while not is_left:
            seen.take(_look(runner))
            live.update(_picture(seen, live.console.width, has_links=arguments.links), refresh=True)
            is_left = is_left_in(arguments.interval)


def _print(seen: Watched, arguments: argparse.Namespace) -> None:
    if arguments.json:
        print(json.dumps({"nodes": seen.nodes(), "links": seen.links()}), flush=True)
        return
    rows = [_node_row(one) for one in seen.nodes()]
    print("\n".join(table(_NODE_HEADER, rows, numbers=range(2, 9))), flush=True)
    if arguments.links:
        print("\n".join(table(_LINK_HEADER, [_link_row(one) for one in seen.links()], numbers=range(2, 8))), flush=True)


def _picture(seen: Watched, width: int, *, has_links: bool) -> Group:
    from rich.console import Group
    from rich.table import Table

    tables = []
    parts: list[tuple[Sequence[str], list[tuple[str, ...]]]] = [
        (_NODE_HEADER, [_node_row(one) for one in seen.nodes()]),
    ]
    if has_links:
        parts.append((_LINK_HEADER, [_link_row(one) for one in seen.links()]))
    for header, rows in parts:
        drawn = Table(box=None, pad_edge=False, padding=(0, 2 if width >= ROOMY else 1, 0, 0))
        for index, title in enumerate(header):
            # Where the terminal is narrow, it is the last column that gives way: spark lines, or names of faults.
            is_last = index == len(header) - 1
            drawn.add_column(title, justify="left" if index < 2 else "right", no_wrap=not is_last, overflow="crop")
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
