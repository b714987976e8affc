from __future__ import annotations

import json
import re
from typing import Any

import pytest

from node.cli.board import HISTORY_MAX, Board


def stats(uptime: float, sent: int = 0, again: int = 0, **changes: Any) -> dict[str, Any]:
    link = {
        "node_id": "ab" * 32,
        "name": "node-2",
        "transport": "udp",
        "address": "192.0.2.2:9000",
        "state": "established",
        "peer_state": "up",
        "rtt": 0.02,
        "rto": 1.0,
        "loss_asked": 0.2,
        "packets_lost": again,
        "rtt_buckets": [[0.015, 0.02, sent]],
        "packets_sent": sent,
        "retransmissions": again,
        "messages_sent": sent,
        "messages_received": sent,
    }
    return {
        "node_id": "cd" * 32,
        "name": "node-1",
        "state": "running",
        "uptime": uptime,
        "active_peers": 1,
        "links": [link],
        "gossip_stats": {"delivered": sent, "published": 0, "relayed": 0, "duplicates": 0},
        "faults": [],
        "runtime": {"loop_lag_seconds": uptime / 1000, "loop_lag_samples": int(uptime)},
    } | changes


def test_rates_and_shares_are_of_what_lies_between_two_readings() -> None:
    board = Board()
    board.update(stats(10, sent=100, again=5), at=50.0)
    board.update(stats(12, sent=300, again=25), at=52.0)

    record = board.record()

    (link,) = record["links"]
    assert link["retransmitted"] == link["loss_seen"] == 0.1
    assert link["loss_asked"] == 0.2
    assert link["rtt_p50"] == 0.0175
    assert link["messages_per_second"] == 200.0
    assert record["gossip_delivered_per_second"] == 100.0
    assert record["window"] == 2.0
    assert record["loop_lag"] == pytest.approx(0.001)
    assert link["rtt_lately"] == [0.02, 0.02]
    json.dumps(record, allow_nan=False)


def test_one_reading_has_no_rates() -> None:
    board = Board()
    board.update(stats(10, sent=100), at=50.0)
    assert board.record()["links"][0]["messages_per_second"] is None
    assert board.record()["gossip_delivered_per_second"] is None
    assert "-" in "\n".join(board.lines())


def test_a_node_that_began_anew_has_no_rates_from_before() -> None:
    board = Board()
    board.update(stats(10, sent=100), at=50.0)
    board.update(stats(1, sent=3), at=51.0)
    assert board.record()["links"][0]["messages_per_second"] is None


def test_a_link_that_is_new_has_no_rates_and_one_that_is_gone_no_history() -> None:
    board = Board()
    board.update(stats(10), at=50.0)
    board.update(stats(11, links=[]), at=51.0)
    assert board.record()["links"] == []
    board.update(stats(12), at=52.0)
    assert board.record()["links"][0]["rtt_lately"] == [0.02]


def test_the_picture_fits_the_terminal_and_says_what_it_hides() -> None:
    board = Board()
    many = [stats(1)["links"][0] | {"address": f"192.0.2.{number}:9000"} for number in range(50)]
    board.update(stats(10, links=many), at=50.0)

    lines = board.lines(width=60, height=12)

    assert len(lines) == 12
    assert max(map(len, lines)) <= 60
    assert lines[-1] == "... 44 more"
    assert len(board.lines()) == 55


@pytest.mark.parametrize(
    "odd", [{}, {"links": 7, "runtime": [], "gossip_stats": None, "faults": 3}, {"links": [1, {}]}]
)
def test_an_answer_of_another_version_is_drawn_as_far_as_it_goes(odd: dict[str, Any]) -> None:
    board = Board()
    board.update(odd, at=1.0)
    board.update(odd, at=2.0)
    assert board.lines()
    json.dumps(board.record(), allow_nan=False)


@pytest.mark.parametrize(
    ("width", "missing"),
    [(0, set()), (130, set()), (105, {"RTT"}), (80, {"RTT", "KEY", "VIA", "MESSAGES/s"})],
)
def test_a_narrow_terminal_does_without_columns_and_not_without_ends_of_figures(width: int, missing: set[str]) -> None:
    board = Board()
    board.update(stats(10, sent=100), at=50.0)
    board.update(stats(12, sent=300, again=25), at=52.0)
    header, row = board.lines(width=width)[-2:]
    titles = {title for title in re.split(r"  +", header) if title}
    wide = {title for title in re.split(r"  +", board.lines()[-2]) if title}
    assert wide - titles - {"RTT LATELY"} == missing
    assert {"RTT P50", "RTT P99", "RTO", "RETRANS", "LOSS ASKED", "LOSS SEEN"} <= titles
    assert len(row) <= (width or 1000)
    assert " 12.5 % " in row


def test_long_names_give_way_before_figures() -> None:
    board = Board()
    links = [stats(1)["links"][0] | {"name": name, "node_id": name} for name in ("n" * 64, "node-2")]
    board.update(stats(10, links=links), at=50.0)
    header, long, short = board.lines(width=80)[-3:]
    assert "LOSS SEEN" in header
    assert long.startswith("nnnnnnnnnnnn…  up")
    assert short.startswith("node-2         up")
    assert "n" * 64 in board.lines(width=200)[-2]


def test_faults_are_named_by_step_and_kind() -> None:
    board = Board()
    board.update(stats(1), at=1.0)
    assert "faults    none" in board.lines()
    board.update(stats(2, faults=[{"step": "lossy", "kind": "loss"}, 7]), at=2.0)
    assert "faults    lossy (loss)" in board.lines()
    assert board.record()["faults"] == [{"step": "lossy", "kind": "loss"}]


@pytest.mark.parametrize(("shift", "words"), [(3600.0, "forward by 1.0 h"), (-7.0, "back by 7.00 s"), (0.4, "")])
def test_a_clock_that_was_set_is_told(shift: float, words: str) -> None:
    board = Board()
    board.update(stats(1, runtime={"clock_shift": shift}), at=1.0)
    lines = [line for line in board.lines() if line.startswith("clock")]
    assert len(lines) == (1 if words else 0)
    assert words in "".join(lines)


@pytest.mark.parametrize(("asked", "is_told"), [(0.2, False), (0.0, False), (None, True)])
def test_a_loss_that_the_node_cannot_know_is_explained(asked: float | None, is_told: bool) -> None:
    board = Board()
    board.update(stats(1, links=[stats(1)["links"][0] | {"loss_asked": asked}]), at=1.0)
    assert any(line.startswith("asked     - where receivers drop") for line in board.lines()) is is_told


def test_no_peer_can_control_the_terminal() -> None:
    board = Board()
    board.update(stats(1, name="\x1b[2J"), at=1.0)
    board.update(stats(2, links=[stats(1)["links"][0] | {"name": "\x1b]0;x\x07"}]), at=2.0)
    assert "\x1b" not in "\n".join(board.lines())


def test_history_is_bounded() -> None:
    board = Board()
    for second in range(100):
        board.update(stats(second), at=float(second))
    assert len(board.record()["links"][0]["rtt_lately"]) == HISTORY_MAX
