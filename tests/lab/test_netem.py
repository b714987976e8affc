"""A testnet under real tc-netem: what Prometheus shows is what the network does, and nothing is lost for good."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from tests.docker.testnet import ROOT
from tests.lab.netem_run import BROADCASTS, NODES

pytestmark = pytest.mark.timeout(900)

LAB_SECONDS = 600
GRANULARITY = 0.001
ACK_DELAY_MAX = 0.010
"""Seconds; the longest time for which a peer holds an acknowledgement back."""

LINKS = (NODES + 1) * NODES


@pytest.fixture(scope="module")
def figures(images: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a run in the lab saw, at 10 % loss and 20 ms delay in each direction, and after."""
    out = tmp_path_factory.mktemp("lab")
    handed = f"{images['POSITRON_IMAGE']},{images['PROMETHEUS_IMAGE']}"
    # The lab's clock is the real one: what else this machine does must not be measured.
    lab = [
        "nice",
        "-n",
        "-15",
        str(ROOT / "tests/lab/netem-lab"),
        "--timeout",
        str(LAB_SECONDS),
        "--out",
        str(out),
        "--images",
        handed,
    ]
    done = subprocess.run(
        [*lab, "--", sys.executable, "-m", "tests.lab.netem_run"],
        cwd=ROOT,
        env={**os.environ, **images},
        capture_output=True,
        text=True,
        timeout=LAB_SECONDS + 120,
        check=False,
    )
    file = Path(out, "figures.json")
    seen: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    assert done.returncode == 0, f"{done.stdout[-4000:]}{done.stderr[-2000:]}\n{json.dumps(seen.get('logs'), indent=1)}"
    return seen


def test_the_kernel_of_every_container_has_what_was_asked_for(figures: dict[str, Any]) -> None:
    assert re.fullmatch(r"impairment on \w+: netem .*limit \d+ delay 20ms loss 10%\n", figures["qdisc"])
    # What a node exports was read back from its own kernel by its entry point.
    assert figures["impairment"] == dict.fromkeys(figures["delivered"], 0.1)


def test_the_smoothed_rtt_of_every_link_is_twice_the_delay(figures: dict[str, Any]) -> None:
    assert len(figures["impaired"]) == LINKS
    trips = {name: link["rtt_smoothed_seconds"] for name, link in figures["impaired"].items()}
    # The lab has one processor for all nodes: a link may be caught while its node had to wait for it.
    assert 0.040 <= min(trips.values()) <= median(trips.values()) <= 0.050, trips
    assert max(trips.values()) <= 0.100, trips


def test_every_link_retransmits(figures: dict[str, Any]) -> None:
    assert len(figures["retransmitted"]) == LINKS
    assert all(count > 0 for count in figures["retransmitted"].values()), figures["retransmitted"]


def test_the_computed_timeout_follows_from_rtt_and_deviation_and_stays_below_a_second(figures: dict[str, Any]) -> None:
    for name, link in figures["impaired"].items():
        deviation = max(GRANULARITY, 4 * link["rtt_variance_seconds"])
        expected = link["rtt_smoothed_seconds"] + deviation + ACK_DELAY_MAX
        assert link["rto_computed_seconds"] == pytest.approx(expected, abs=1e-6), name
        assert link["rto_computed_seconds"] < 1.0, name


def test_every_broadcast_reaches_every_node_once(figures: dict[str, Any]) -> None:
    published = figures["broadcasts"]
    assert sum(published.values()) == BROADCASTS
    assert figures["delivered"] == {name: BROADCASTS - own for name, own in published.items()}


def test_round_trips_and_timeouts_come_back_when_the_network_heals(figures: dict[str, Any]) -> None:
    assert figures["seconds_to_heal"] < 30
    assert len(figures["healed"]) == LINKS


def test_a_healed_network_is_shown_as_healed(figures: dict[str, Any]) -> None:
    assert figures["impairment_healed"] == dict.fromkeys(figures["delivered"], 0.0)


def test_the_node_cannot_change_its_network(figures: dict[str, Any]) -> None:
    fields = dict(line.split(":\t", 1) for line in figures["status"].splitlines() if ":\t" in line)
    assert fields["CapEff"] == "0000000000000000"
    assert fields["NoNewPrivs"] == "1"
    assert figures["denied"]["status"] != 0
    assert "Operation not permitted" in figures["denied"]["error"]
    assert "delay 20ms loss 10%" in figures["denied"]["after"]
