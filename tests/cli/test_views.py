from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from node.cli.board import Board
from node.cli.views import message_line, peer_lines, stats_lines, trust_lines
from node.node.report import node_report, peer_report
from tests.metrics.samples import WALL_OFFSET, link, node_snapshot, peer


def test_stats_show_both_timeouts_and_the_retransmissions_of_each_link() -> None:
    snapshot = node_snapshot(link(2), link(3, smoothed_rtt=None, min_rtt=None), peers=(peer(2), peer(3, "down")))

    lines = stats_lines(node_report(snapshot, wall_offset=WALL_OFFSET, socket=None))

    assert lines[0] == "node-1  abcd1234  running for 90.00 s  ready  network positron  peers 1 active of 2 known"
    header, first, second = lines[2:5]
    assert header.split()[:4] == ["PEER", "KEY", "VIA", "STATE"]
    for words in ("node-2", "00000002", "udp", "20.0 ms", "62.0 ms", "1.00 s", "5 (5.0 %)"):
        assert words in first
    assert second.split()[4] == "-"


def test_a_tcp_link_shows_no_round_trip_and_no_retransmissions() -> None:
    lines = stats_lines(node_report(node_snapshot(link(2, transport="tcp")), wall_offset=0, socket=None))

    assert lines[3].split() == ["node-2", "00000002", "tcp", "established", "-", "-", "-", "-", "100", "-", "-", "90"]


def test_peers_show_state_and_when_they_were_heard() -> None:
    snapshot = node_snapshot(link(2), peers=(peer(2), peer(3, "connecting")))

    lines = peer_lines({"peers": [peer_report(known, snapshot, WALL_OFFSET) for known in snapshot.peers]})

    assert " ".join(lines[1].split()) == "node-2 00000002 up 127.0.0.1:9002 98.00 s 0 us ago 20.0 ms 9"
    assert "connecting" in lines[2]


def test_a_node_without_peers_says_so() -> None:
    assert peer_lines({"peers": []}) == ["no peers"]
    assert "no links" in stats_lines(node_report(node_snapshot(), wall_offset=0, socket=None))


def test_answers_of_another_shape_show_hyphens_and_no_traceback() -> None:
    assert stats_lines({})
    assert peer_lines({"peers": [{}, 3]})[1].split() == ["-"] * 8


def test_a_name_from_the_network_cannot_control_the_terminal() -> None:
    lines = peer_lines({"peers": [{"name": "\x1b[2Jevil"}]})

    assert all(line.isprintable() for line in lines)


def test_trust_shows_the_band_the_scores_and_the_evidence() -> None:
    peer = {
        "node_id": "ab" * 32,
        "name": "node-2",
        "score": -0.4,
        "own": -0.3,
        "praise": 0.0,
        "doubt": 0.1,
        "band": "doubtful",
        "penalties": {"forged": 2, "replayed": 0},
        "banned_for": 90.0,
        "first_deliveries": 7,
    }
    row = trust_lines({"peers": [peer]})[1]
    words = "node-2 abababab doubtful, banned for 90.00 s -0.40 -0.30 0.00 0.10 7 forged 2"
    assert row.split() == words.split()
    assert trust_lines({"peers": []}) == ["no opinion of anybody"]
    assert trust_lines({"peers": [{}]})[1].split() == ["-"] * 9


def test_a_message_is_one_line_that_cannot_control_the_terminal() -> None:
    line = message_line({"at": 1.5, "origin": "ab" * 32, "hops": 1, "is_broadcast": True, "data": "\x1b[2J\n\u202e"})
    assert "\x1b" not in line
    assert "\n" not in line
    assert "\u202e" not in line
    assert "  abababab  1 hop " in line
    assert message_line({}).split() == ["-", "-", "direct", "null"]


_NAMES = (
    "node_id", "name", "state", "uptime", "active_peers", "links", "gossip_stats", "runtime", "faults", "peers", "rtt",
    "rto", "rtt_buckets", "packets_sent", "packets_lost", "retransmissions", "messages_sent", "transport", "penalties",
    "banned_for", "at", "origin", "hops", "delivered", "loop_lag_seconds", "loop_lag_samples", "step", "loss_asked",
)  # fmt: skip
_LEAVES = (
    st.none() | st.booleans() | st.integers(-(1 << 63), 1 << 63) | st.floats(allow_nan=False, allow_infinity=False)
)
_VALUES = st.recursive(
    _LEAVES | st.text(max_size=5) | st.just("udp"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_NAMES), inner, max_size=6),
    max_leaves=25,
)
_ANSWERS = st.dictionaries(st.sampled_from(_NAMES), _VALUES, max_size=12)


@given(_ANSWERS, _ANSWERS)
def test_whatever_answers_is_drawn(first: dict[str, Any], second: dict[str, Any]) -> None:
    for lines in (stats_lines(first), peer_lines(first), trust_lines(first), [message_line(first)]):
        assert lines
        assert all(line.isprintable() for line in lines)
    board = Board()
    for at, answer in enumerate((first, second)):
        board.update(answer, float(at))
        assert all(line.isprintable() for line in board.lines())
    json.dumps(board.record())
