from __future__ import annotations

from typing import Any

import pytest

from node.cli.window import WINDOW, Record, Window


def reading(
    uptime: float, *, sent: int = 0, lost: int = 0, trips: dict[float, int] | None = None, **link: Any
) -> Record:
    buckets = [[above, above + 0.01, number] for above, number in (trips or {}).items()]
    counted = {"packets_sent": sent, "packets_lost": lost, "retransmissions": lost, "rtt_buckets": buckets}
    return {"uptime": uptime, "links": [{"node_id": "ab", "transport": "udp"} | counted | link]}


def lately(window: Window) -> Record:
    (key,) = window.latest
    return window.lately(key)


def test_a_fault_that_is_over_is_forgotten_after_the_window() -> None:
    window = Window()
    sent = lost = calm = slow = 0
    seen = []
    for second in range(40):
        is_bad = 10 <= second < 20
        sent, lost = sent + 100, lost + 20 * is_bad
        calm, slow = calm + 10 * (not is_bad), slow + 10 * is_bad
        window.update(reading(second, sent=sent, lost=lost, trips={0.02: calm, 0.5: slow}), at=float(second))
        seen.append(lately(window))

    assert seen[9]["loss_seen"] == 0.0
    assert seen[19]["loss_seen"] == seen[19]["retransmitted"] == 0.2
    assert seen[19]["rtt_p50"] > 0.5
    assert seen[29]["loss_seen"] == seen[39]["loss_seen"] == 0.0
    assert seen[29]["rtt_p99"] < 0.03
    assert window.seconds == WINDOW


def test_the_window_is_as_long_as_the_interval_where_that_is_longer() -> None:
    window = Window()
    for second in (0, 60, 120):
        window.update(reading(second, sent=second), at=float(second))
    assert window.seconds == 60.0
    assert lately(window)["loss_seen"] == 0.0


def test_a_single_reading_tells_round_trips_since_the_link_began_and_no_share() -> None:
    window = Window()
    window.update(reading(9, sent=100, lost=5, trips={0.02: 10}), at=9.0)
    assert lately(window)["rtt_p50"] == pytest.approx(0.025)
    assert lately(window)["loss_seen"] is None
    assert lately(window)["messages_per_second"] is None


def test_round_trips_of_an_idle_link_are_those_since_it_began() -> None:
    window = Window()
    for second in range(3):
        window.update(reading(second, sent=1, trips={0.02: 10}), at=float(second))
    assert lately(window)["rtt_p99"] == pytest.approx(0.0299)
    assert lately(window)["loss_seen"] is None


def test_a_link_that_was_made_anew_does_not_go_on_where_the_old_one_ended() -> None:
    window = Window()
    window.update(reading(1, sent=1000, lost=900, established_at=1.0), at=1.0)
    window.update(reading(2, sent=10, established_at=2.0), at=2.0)
    assert lately(window)["loss_seen"] is None
    window.update(reading(3, sent=20, lost=1, established_at=2.0), at=3.0)
    assert lately(window)["loss_seen"] == 0.1


@pytest.mark.parametrize(("uptime", "at"), [(1, 60.0), (60, 50.0), (60, 49.0)], ids=["new life", "no time", "back"])
def test_neither_a_node_that_began_anew_nor_a_clock_that_went_back_makes_a_rate(uptime: float, at: float) -> None:
    window = Window()
    window.update(reading(50, sent=1000) | {"gossip_stats": {"delivered": 100}}, at=50.0)
    window.update(reading(uptime, sent=5) | {"gossip_stats": {"delivered": 1}}, at=at)
    assert window.seconds == 0.0
    assert window.rate("gossip_stats", "delivered") is None
    assert lately(window)["loss_seen"] is None


def test_tcp_tells_of_no_packets() -> None:
    window = Window()
    for second in (1, 2):
        link: dict[str, Any] = {"transport": "tcp", "retransmissions": second, "rtt_buckets": None}
        window.update(reading(second, sent=10 * second, **link), at=float(second))
    assert lately(window)["retransmitted"] is lately(window)["loss_seen"] is lately(window)["rtt_p50"] is None


@pytest.mark.parametrize("odd", [7, [7], [[0.1]], [["a", None, 1]], [[0.1, 0.2, "x"]], {"a": 1}])
def test_round_trips_in_a_form_of_another_version_are_none(odd: Any) -> None:
    window = Window()
    for second in (1, 2):
        window.update(reading(second, rtt_buckets=odd), at=float(second))
    assert lately(window)["rtt_p50"] is None
