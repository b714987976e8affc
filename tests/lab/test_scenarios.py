"""Shipped scenarios on containers whose kernels have netem, and one that somebody meddles with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.docker.testnet import ROOT
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
    out = tmp_path_factory.mktemp("scenarios")
    # The lab's clock is the real one: what else this machine does must not be measured.
    lab = ["nice", "-n", "-15", str(ROOT / "tests/lab/netem-lab"), "--timeout", str(LAB_SECONDS), "--out", str(out)]
    module = [sys.executable, "-m", "tests.lab.scenarios_run"]
    done = subprocess.run(
        [*lab, "--images", images["POSITRON_IMAGE"], "--", *module, *request.param],
        cwd=ROOT,
        env={**os.environ, **images},
        capture_output=True,
        text=True,
        timeout=LAB_SECONDS + 60,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-4000:]}{done.stderr[-2000:]}"
    seen: dict[str, Any] = json.loads(Path(out, "scenarios.json").read_text())
    return seen


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
