"""Shipped scenarios on containers whose kernels have netem, and one that somebody meddles with."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lab.lab import seen_in_lab
from tests.lab.scenarios_run import MEDDLED

pytestmark = pytest.mark.timeout(1300)

LAB_SECONDS = 1200
SHIPPED = ["flapping-link", "partition-one-way"]
"""Without a delay of all links: the lab's single processor delays many links at once by more than is allowed."""


@pytest.fixture
def played(
    request: pytest.FixtureRequest, images: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:  # fmt: skip
    """The outcomes of these scenarios in the lab."""
    file = tmp_path_factory.mktemp("scenarios") / "scenarios.json"
    words = ["tests.lab.scenarios_run", *request.param]
    return seen_in_lab(file, words, "--images", images["POSITRON_IMAGE"], seconds=LAB_SECONDS, images=images)


@pytest.mark.parametrize("played", [[MEDDLED]], indirect=True)
def test_a_correlated_loss_that_somebody_slips_in_ends_as_not_applied(played: dict[str, Any]) -> None:
    outcome = played[MEDDLED]
    assert (outcome["verdict"], outcome["status"]) == ("not-applied", 3), outcome
    assert "node-2 > node-1: loss" in outcome["reason"]
    assert outcome["backend"] == ["netem", "asked for"]


@pytest.mark.longer
@pytest.mark.parametrize("played", [SHIPPED], ids=["shipped"], indirect=True)
def test_shipped_scenarios_pass_with_netem(played: dict[str, Any]) -> None:
    assert {name: one["verdict"] for name, one in played.items()} == dict.fromkeys(played, "passed"), played
    assert {one["backend"][0] for one in played.values()} == {"netem"}
