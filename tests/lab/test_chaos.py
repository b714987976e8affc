"""Chaos with real netem: each link does what it was asked for, in one direction, and comes back by itself."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lab.chaos_run import PROBES
from tests.lab.lab import seen_in_lab

pytestmark = [pytest.mark.timeout(700), pytest.mark.slow]

LAB_SECONDS = 500
DEVIATIONS = 3.3
"""Standard deviations on either side that hold 999 of 1000 runs."""

SLOW = 0.004
"""Seconds by which the lab's single processor may delay a packet beside what was asked for."""


@pytest.fixture(scope="module")
def figures(images: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What one run in the lab saw."""
    file = tmp_path_factory.mktemp("chaos") / "chaos.json"
    options = ("--images", images["POSITRON_IMAGE"])
    return seen_in_lab(file, ["tests.lab.chaos_run"], *options, seconds=LAB_SECONDS, images=images)


def is_share(measured: float, asked: float, variance: float = 1.0) -> bool:
    """Whether that share of all probes may be chance. variance: how much more it varies than independent losses do."""
    deviation: float = (asked * (1 - asked) * variance / PROBES) ** 0.5
    return abs(measured - asked) <= DEVIATIONS * deviation


def test_the_kernel_does_it(figures: dict[str, Any]) -> None:
    assert figures["backend"] == ["netem", "asked for"]


def test_each_direction_of_each_link_is_as_bad_as_was_asked(figures: dict[str, Any]) -> None:
    links = figures["links"]
    # A narrow link gets fewer probes, so that they do not fill it.
    assert all(one["sent"] == PROBES for name, one in links.items() if name != "node-1 > node-2"), links
    assert is_share(links["seed > node-1"]["loss"], 0.2)
    # A chain with p = 2 %, r = 20 %: one packet in eleven is lost, five at a time.
    assert is_share(links["seed > node-2"]["loss"], 1 / 11, (2 - 0.22) / 0.22)
    for name in ("node-1 > seed", "node-2 > seed", "node-1 > node-2", "node-2 > node-1"):
        assert links[name]["loss"] == 0, name
    assert links["node-1 > seed"]["delay"] == pytest.approx(0.040, abs=SLOW)
    # Packets that keep their order wait for the slowest before them: never earlier, at most the jitter later.
    assert 0.030 <= links["node-2 > seed"]["delay"] <= 0.040 + SLOW
    for name in ("seed > node-1", "node-2 > node-1"):
        assert links[name]["delay"] < SLOW, name


def test_jitter_that_may_reorder_is_uniform_around_the_delay(figures: dict[str, Any]) -> None:
    found = figures["natural"]
    assert (found["sent"], found["loss"]) == (PROBES, 0)
    assert found["delay"] == pytest.approx(0.030, abs=0.002)
    # Uniform over ± 10 ms.
    assert found["deviation"] == pytest.approx(0.010 / 3**0.5, rel=0.1)


def test_a_narrow_link_lets_through_what_was_asked(figures: dict[str, Any]) -> None:
    assert figures["rate"]["arrived"] == PROBES
    assert figures["rate"]["rate"] == pytest.approx(1_000_000, rel=0.05)


def test_changes_under_way_lose_nothing(figures: dict[str, Any]) -> None:
    assert figures["changes"]["changes"] >= 2
    assert figures["changes"]["arrived"] == PROBES


def test_a_cut_is_one_way_silent_to_the_sender_and_ends_at_its_limit(figures: dict[str, Any]) -> None:
    cut = figures["one_way"]
    assert (cut["cut"], cut["other"], cut["healed"]) == (0, 200, 200)
    assert cut["send_errors"][0] == cut["send_errors"][1] >= 0


def test_a_correlated_loss_that_somebody_slips_in_is_found(figures: dict[str, Any]) -> None:
    assert "asked 20.0%" in figures["by_hand"]
