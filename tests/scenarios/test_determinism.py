"""The same seed gives the same run to the last bit, whatever the hash seed of Python."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.scenarios.scenario import Scenario

ROOT = Path(__file__).parent.parent.parent
SEEDS = tuple(range(3, 40, 2))
PROGRAM = """
from tests.scenarios.scenario import Scenario
for seed in {seeds}:
    scenario = Scenario(seed)
    scenario.run()
    print(scenario.pair.world.digest())
"""


def digests(hash_seed: str) -> list[str]:
    """Trace digests of the scenarios in a process of their own."""
    environment = os.environ | {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}
    program = PROGRAM.format(seeds=SEEDS)
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    return result.stdout.split()


def test_two_hash_seeds_give_the_same_traces() -> None:
    first, second = digests("1"), digests("4242")
    assert len(first) == len(SEEDS)
    assert first == second


@pytest.mark.parametrize("seed", SEEDS[:2])
def test_same_seed_gives_the_same_trace_and_another_seed_another(seed: int) -> None:
    traces = []
    for chosen in (seed, seed, seed + 1):
        scenario = Scenario(chosen)
        scenario.run()
        traces.append(scenario.pair.world.digest())
    assert traces[0] == traces[1] != traces[2]
