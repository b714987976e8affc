from __future__ import annotations

import json

from node.node.report import gossip_report, link_report, node_report
from node.types import SECOND
from tests.metrics.samples import WALL_OFFSET, link, node_id, node_snapshot, peer


def test_a_report_is_clean_json_whatever_is_unknown() -> None:
    empty = link(9, peer_id=None, established_at=None, latest_rtt=None, smoothed_rtt=None, rttvar=None, min_rtt=None)
    for snapshot in (
        node_snapshot(),
        node_snapshot(udp=None, tcp=None),
        node_snapshot(empty, link(2, transport="tcp"), link(3), peers=(peer(2), peer(3, "connecting"))),
    ):
        report = node_report(snapshot, wall_offset=WALL_OFFSET, socket={"kernel_drops": 0})

        assert json.loads(json.dumps(report, allow_nan=False)) == report


def test_the_documented_keys_are_there() -> None:
    report = node_report(node_snapshot(link(2), peers=(peer(2),)), wall_offset=WALL_OFFSET, socket=None)

    assert {"node_id", "active_peers", "transport", "connections", "gossip_stats", "trust_stats"} <= set(report)
    assert set(report["transport"]) == {"udp", "tcp"}
    assert {"state", "rtt", "rto", "retransmissions", "packets_sent"} <= set(report["connections"][node_id(2).hex()])


def test_durations_are_seconds_and_points_in_time_are_unix_seconds() -> None:
    report = link_report(link(2), WALL_OFFSET)

    assert (report["rtt"], report["rto"], report["rto_computed"]) == (0.020, 1.0, 0.062)
    assert report["established_at"] == WALL_OFFSET / SECOND + 2
    assert report["loss"] == 0.05


def test_a_connection_is_the_best_link_of_an_active_peer() -> None:
    links = (
        link(2, transport="tcp", connection=1),
        link(2, state="handshake", connection=2),
        link(2, connection=3),
        link(3, connection=4),
    )
    report = node_report(node_snapshot(*links, peers=(peer(2), peer(3, "down"))), wall_offset=WALL_OFFSET, socket=None)

    assert list(report["connections"]) == [node_id(2).hex()]
    best = report["connections"][node_id(2).hex()]
    assert (best["transport"], best["state"]) == ("udp", "established")
    assert len(report["links"]) == 4


def test_rejections_are_a_sum_and_its_parts() -> None:
    stats = node_snapshot().gossip
    stats.rejected["stale"] = 2
    stats.rejected["future"] = 1

    report = gossip_report(stats)

    assert report["rejected"] == 3
    assert report["rejected_by_reason"]["stale"] == 2
