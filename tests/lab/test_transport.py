"""The UDP transport under real netem: every kind of damage costs time and packets, and no message."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lab.lab import seen_in_lab
from tests.lab.transport_run import IMPAIRMENTS

pytestmark = pytest.mark.timeout(420)

LAB_SECONDS = 300
MILLISECOND = 1_000_000


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What one run in the lab saw, by impairment."""
    file = tmp_path_factory.mktemp("transport") / "transport.json"
    return seen_in_lab(file, ["tests.lab.transport_run"], "--mem", "1G", seconds=LAB_SECONDS, images={})


@pytest.mark.parametrize("name", IMPAIRMENTS)
def test_every_message_arrives_exactly_once(figures: dict[str, dict[str, Any]], name: str) -> None:
    assert figures[name]["is_exact"]


@pytest.mark.parametrize("name", ["loss", "bursts"])
def test_what_netem_loses_is_found_lost_and_sent_again(figures: dict[str, dict[str, Any]], name: str) -> None:
    seen = figures[name]
    # Of some 600 packets a tenth, and a seventh in bursts of three.
    assert 0.02 < seen["packets_lost"] / seen["packets_sent"] < 0.35
    assert seen["retransmitted"] > 0


def test_the_smoothed_rtt_is_twice_the_delay(figures: dict[str, dict[str, Any]]) -> None:
    assert 28 * MILLISECOND < figures["loss"]["smoothed_rtt"] < 60 * MILLISECOND


@pytest.mark.parametrize("name", ["jitter", "reordering"])
def test_packets_that_are_only_late_are_rarely_sent_again(figures: dict[str, dict[str, Any]], name: str) -> None:
    # Some hundred packets are few to learn from: what is taken for lost at first teaches the thresholds.
    # A rule of three packets alone would send most of them again, since three of four overtake the rest.
    assert figures[name]["retransmitted"] <= 0.4 * figures[name]["packets_sent"]


def test_a_slow_link_is_filled_and_not_flooded(figures: dict[str, dict[str, Any]]) -> None:
    # 645,000 bytes and their headers take 1.3 seconds at 4 Mbit/s.
    assert 1.2 < figures["rate"]["seconds"] < 10.0
    assert figures["rate"]["packets_lost"] < 0.5 * figures["rate"]["packets_sent"]


def test_doubled_packets_are_dropped_as_replays_and_damaged_ones_count_as_lost(
    figures: dict[str, dict[str, Any]],
) -> None:
    # The checksum of UDP keeps the damaged ones from ever coming up.
    assert figures["damage"]["dropped"]["replayed"] > 0
    assert figures["damage"]["packets_lost"] > 0
