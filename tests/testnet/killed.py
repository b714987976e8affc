"""Every kind of fault that has an end, as a scenario has it: what has to be over though its controller was killed.

Also how such a controller is started, and how the testnet that it leaves behind is found.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from node.testnet.runners.directory import home

__all__ = ["LIMIT", "ONE_BY_ONE", "ON_LINKS", "ON_NODES", "SEEN_AS", "names", "run_command", "trial"]

LIMIT = 8.0
"""Seconds; of the faults whose controller is killed."""

ON_NODES = {
    "kill": "kill: ",
    "stop": "stop: ",
    "pause": "pause: ",
    "cpu": "cpu: 30%",
    "memory": "memory: 256MiB",
    "disk_full": "disk_full: ",
    "dns": "dns: ",
    "clock": "clock: {ahead: 40s}",
    "hostile": "hostile: silent_dropper",
}
ON_LINKS = {
    "partition": "partition: one",
    "loss": "loss: 30%",
    "bursts": "bursts: {p: 5%, r: 20%}",
    "delay": "delay: 30ms",
    "reorder": "reorder: 20%",
    "duplicate": "duplicate: 20%",
    "corrupt": "corrupt: 5%",
    "rate": "rate: 1mbit",
    "mtu": "mtu: 1200B",
    "flap": "flap: {up: 2s, down: 4s}",
}
ONE_BY_ONE = {"churn": "churn: {every: 4s, down: 3s}", "rolling_restart": "rolling_restart: 3s"}
"""What hits one node after the other, the next one by the controller alone."""

SEEN_AS = {"kill": "down", "stop": "down", "pause": "paused", "churn": "down", "rolling_restart": "down"}
"""How a kind looks from outside, where it is not by its own name."""


def trial(faults: Sequence[str], nodes: int) -> str:
    """A scenario with all of these faults at once, each for LIMIT."""
    lines = [f"  - {{at: 0s, id: f{number}, {fault}, for: {LIMIT:g}s}}\n" for number, fault in enumerate(faults)]
    head = f"schema: 1\ntitle: no controller\nlimit: 60s\ntopology: {{nodes: {nodes}}}\ntimeline:\n"
    return head + "".join(lines)


def run_command(folder: Path, text: str, runner: str) -> list[str]:
    """The command that carries out a scenario of that text, which is written into the folder with what it leaves."""
    file = folder / "trial.yaml"
    file.write_text(text)
    command = [sys.executable, "-m", "node.testnet.main", "chaos", "run", str(file), "--runner", runner]
    return [*command, "--out", str(folder / "runs")]


def names() -> list[str]:
    """The testnets that have a keeper which listens."""
    return [path.parent.name for path in home().glob("*/keeper.sock")]
