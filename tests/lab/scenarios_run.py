"""What happens inside the netem lab: shipped scenarios on containers whose kernels have netem; their verdicts as JSON.

Runs as `python -m tests.lab.scenarios_run NAME ...` with the image of the node already in the lab's engine. MEDDLED is
a run in which somebody slips a correlated loss under the one that was asked for. It judges nothing: everything it saw
goes to $OUT/scenarios.json, and `test_scenarios.py` on the outside says what it should have been.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import astuple
from pathlib import Path
from typing import Any

from node.testnet.commands.chaos import SCENARIOS
from node.testnet.run.conductor import Conductor
from node.testnet.runners.base import Plan
from node.testnet.runners.contained import DockerRunner
from node.testnet.scenario.parse import load_scenario
from node.testnet.scenario.resolve import resolve
from tests.lab.chaos_run import ONE, START_TIMEOUT, TWO, note, slip_in

MEDDLED = "meddled"
TEXT = """
schema: 1
title: a loss that is not the one that was asked for
topology: {nodes: 3}
backend: netem
links: {all: {loss: 20%}}
timeline: []
"""


class Meddled(DockerRunner):
    """Containers whose link from node-2 to node-1 a well-meaning person gives the same loss, correlated."""

    def up(self, plan: Plan) -> None:
        super().up(plan)
        slip_in(self, (TWO, ONE))


def main(names: list[str]) -> None:
    figures: dict[str, Any] = {}
    try:
        for name in names:
            figures[name] = run(name)
    finally:
        Path(os.environ["OUT"], "scenarios.json").write_text(json.dumps(figures, indent=2))


def run(name: str) -> dict[str, Any]:
    """One run, and what came of it."""
    path = SCENARIOS / f"{name}.yaml"
    if name == MEDDLED:
        path = Path(os.environ["OUT"], f"{name}.yaml")
        path.write_text(TEXT)
    scenario, kind = load_scenario(path), Meddled if name == MEDDLED else DockerRunner
    runner = kind(timeout=START_TIMEOUT)
    conductor = Conductor(scenario, resolve(scenario), runner, progress=lambda line: note(f"{name}: {line}"))
    began = time.monotonic()
    outcome = conductor.run()
    note(f"{name}: {outcome.verdict.value}: {outcome.reason}")
    return {
        "verdict": outcome.verdict.value,
        "status": outcome.verdict.status,
        "reason": outcome.reason,
        "backend": [runner.backend, runner.reason],
        "links": [[step, *astuple(finding)] for step, finding in outcome.links],
        "seconds": time.monotonic() - began,
    }


if __name__ == "__main__":
    main(sys.argv[1:])
