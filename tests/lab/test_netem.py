"""A testnet under real tc-netem: what Prometheus shows is what the network does, and nothing is lost for good."""

from __future__ import annotations

import re
from statistics import median
from typing import Any

import pytest

from tests.lab.lab import seen_in_lab
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
    file = tmp_path_factory.mktemp("lab") / "figures.json"
    options = ("--images", f"{images['POSITRON_IMAGE']},{images['PROMETHEUS_IMAGE']}")
    return seen_in_lab(file, ["tests.lab.netem_run"], *options, seconds=LAB_SECONDS, images=images, patience=120)


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
    assert figures["seconds_to_heal"] < 30, figures["healing"][-3:]
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
