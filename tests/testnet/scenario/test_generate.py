"""Scenarios by chance are sound, repeat themselves, and shrink."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from node.testnet.scenario.generate import generated, minimised
from node.testnet.scenario.parse import parse_scenario
from node.testnet.scenario.resolve import resolve


def test_whatever_is_made_is_sound_and_its_faults_fit_together() -> None:
    for seed in range(300):
        scenario = parse_scenario(yaml.safe_dump(generated(seed)), file=f"{seed}", name=f"{seed}")
        assert resolve(scenario).faults


def test_the_same_seed_makes_the_same_scenario() -> None:
    assert generated(5) == generated(5) != generated(6)


def test_every_kind_of_fault_is_made_sooner_or_later() -> None:
    kinds = {key for seed in range(300) for entry in generated(seed)["timeline"] for key in entry}
    assert kinds >= {"loss", "bursts", "delay", "duplicate", "corrupt", "flap", "partition", "kill", "stop", "pause"}


@pytest.mark.parametrize("culprit", ["kill", "partition", "loss"])
def test_what_has_nothing_to_do_with_a_failure_is_left_out(culprit: str) -> None:
    def fails(values: dict[str, Any]) -> bool:
        return any(culprit in entry for entry in values["timeline"])

    seed = next(seed for seed in range(300) if fails(generated(seed)) and len(generated(seed)["timeline"]) == 4)
    smallest = minimised(generated(seed), fails)
    assert len(smallest["timeline"]) == 1
    assert culprit in smallest["timeline"][0]
    assert "links" not in smallest
    assert smallest["topology"]["nodes"] == 3
