"""Shipped scenarios on containers whose kernels have netem, and one that somebody meddles with."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lab.lab import seen_in_lab
from tests.lab.scenarios_run import MEDDLED

pytestmark = pytest.mark.timeout(700)

LAB_SECONDS = 600
"""Each scenario takes one to three minutes, by how busy the machine is."""
SHIPPED = ["flapping-link", "partition-one-way", "pause", "loss-20"]
"""Those that fit into the lab: six nodes are much for its single processor, and a start of a container takes it longer
than what has to come back in ten seconds may."""


@pytest.fixture
def played(
    request: pytest.FixtureRequest, images: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:  # fmt: skip
    """The outcomes of these scenarios in the lab."""
    file = tmp_path_factory.mktemp("scenarios") / "scenarios.json"
    words = ["tests.lab.scenarios_run", *request.param]
    return seen_in_lab(file, words, "--images", images["POSITRON_IMAGE"], seconds=LAB_SECONDS, images=images)


@pytest.mark.slow
@pytest.mark.parametrize("played", [[MEDDLED]], indirect=True)
def test_a_correlated_loss_that_somebody_slips_in_ends_as_not_applied(played: dict[str, Any]) -> None:
    outcome = played[MEDDLED]
    assert (outcome["verdict"], outcome["status"]) == ("not-applied", 3), outcome
    assert "node-2 > node-1: loss" in outcome["reason"]
    assert outcome["backend"] == ["netem", "asked for"]


@pytest.mark.longer
@pytest.mark.parametrize(("played", "name"), [([name], name) for name in SHIPPED], ids=SHIPPED, indirect=["played"])
def test_a_shipped_scenario_passes_with_netem(played: dict[str, Any], name: str) -> None:
    outcome = played[name]
    assert outcome["verdict"] == "passed", outcome["reason"]
    assert outcome["backend"][0] == "netem"
    assert outcome["links"]
