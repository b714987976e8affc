"""Seeded sweeps: any mix of loss, bursts, duplication, reordering, corruption, delay, jitter, rate, packet size,
outage, an address that changes and a peer that is started again.

POSITRON_SEEDS sets how many seeds are run (default 1000), or which (`FIRST-LAST`): `POSITRON_SEEDS=1234-1234` replays
the one that a failure names.
"""

from __future__ import annotations

import os

import pytest

from tests.scenarios.scenario import Scenario

DEFAULT = "1000"


def seeds() -> range:
    """The seeds of this run."""
    first, _, last = os.environ.get("POSITRON_SEEDS", DEFAULT).partition("-")
    return range(int(first), int(last) + 1) if last else range(int(first))


@pytest.mark.parametrize("seed", seeds())
@pytest.mark.must("M3", "M38")
def test_reliable_messages_arrive_exactly_once_or_the_end_is_reported(seed: int) -> None:
    scenario = Scenario(seed)
    scenario.run()
    try:
        scenario.check()
    except AssertionError as error:
        error.add_note(f"replay: POSITRON_SEEDS={seed}-{seed} python -m pytest tests/scenarios/test_sweep.py")
        raise
