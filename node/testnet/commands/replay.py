"""`testnet replay-metrics`: a finished run in a Prometheus of its own, until interrupted."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from node.testnet.commands.chaos import whole

if TYPE_CHECKING:
    from node.testnet.report.replay import Replay

__all__ = ["add_replay_command"]

DEFAULT_PORT = 9095
"""Beside 9090, where the Prometheus of a running testnet is."""


def add_replay_command(commands: Any) -> None:
    """Adds `replay-metrics` to the parsers of `testnet`."""
    command = commands.add_parser("replay-metrics", help="show a finished run in Prometheus", allow_abbrev=False)
    command.set_defaults(function=replay_metrics)
    command.add_argument("run", metavar="RUN", help="the folder of the run")
    command.add_argument("--json", action="store_true", help="JSON instead of lines")
    command.add_argument(
        "--port", type=whole(0, 65535), default=DEFAULT_PORT, help=f"on 127.0.0.1; 0 for any (default {DEFAULT_PORT})"
    )


def replay_metrics(arguments: argparse.Namespace) -> int:
    """Serves the run until interrupted, and leaves nothing."""
    from node.testnet.report.replay import replayed
    from node.testnet.report.stored import load

    run = load(Path(arguments.run))
    try:
        with replayed(run, port=arguments.port) as replay:
            wrong = run.damage.get("metrics.openmetrics")
            if wrong:
                sys.stderr.write(f"testnet: metrics.openmetrics {wrong}; what is left of it is shown\n")
            told = {"prometheus": replay.address, "start": replay.start, "end": replay.end}
            print(json.dumps(told) if arguments.json else "\n".join(_where(replay)), flush=True)
            while True:
                signal.pause()
    except KeyboardInterrupt:
        sys.stderr.write("testnet: ended; nothing is left\n")
    return 0


def _where(replay: Replay) -> list[str]:
    """What to open, with the time of the run filled in."""
    end = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(replay.end))
    graph = {
        "g0.expr": "node:positron_retransmission:ratio_rate10s"
        if replay.has_rules
        else "positron_link_rtt_smoothed_seconds",
        "g0.tab": "0",
        "g0.end_input": end,
        "g0.range_input": f"{int(replay.end - replay.start) + 1}s",
    }
    board = f"/d/overview?from={int(replay.start * 1000)}&to={int(replay.end * 1000)}"
    return [
        f"prometheus: {replay.address}/graph?{urlencode(graph)}",
        f"grafana:    with {replay.address} as its datasource, {board}",
        "end with Ctrl-C",
    ]
