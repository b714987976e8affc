from __future__ import annotations

import json
from random import Random

from node.identity.keys import Identity
from node.node.report import gossip_report, link_report, node_report, peer_report, peer_reports, trust_report
from node.trust.settings import TrustSettings
from node.trust.trust import Trust
from node.types import MILLISECOND, SECOND, NodeId
from tests.metrics.samples import WALL_OFFSET, link, node_id, node_snapshot, peer, tcp_link


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


def test_a_udp_link_counts_its_round_trips() -> None:
    report = link_report(link(2), WALL_OFFSET)
    assert report["rtt_p50"] is report["rtt_p99"] is None
    assert report["rtt_buckets"] == []

    counted = link(2)
    for milliseconds in (18, 18, 18, 700):
        counted.connection.stats.rtt.observe(milliseconds * MILLISECOND)
    report = link_report(counted, WALL_OFFSET)
    assert 0.015 < report["rtt_p50"] <= 0.02
    assert 0.5 < report["rtt_p99"] <= 0.75
    assert report["rtt_buckets"] == [[0.015, 0.02, 3], [0.5, 0.75, 1]]


def test_a_tcp_link_shows_what_the_kernel_has_measured_or_that_it_is_not_known() -> None:
    report = link_report(tcp_link(2), WALL_OFFSET)
    assert (report["rtt"], report["rttvar"], report["rto"]) == (0.012, 0.003, 0.212)
    assert (report["retransmissions"], report["congestion_window"]) == (2, 14_480)

    report = link_report(link(2, transport="tcp"), WALL_OFFSET)
    assert report["rtt"] is report["rto"] is report["retransmissions"] is None


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


def test_trust_is_reported_best_first_with_the_time_that_is_left_of_a_ban() -> None:
    good, bad = NodeId(b"g" * 32), NodeId(b"b" * 32)
    settings = TrustSettings(network_id="net", epoch=1, wall_offset=WALL_OFFSET)
    trust = Trust(Identity(b"o" * 32), settings, random=Random(1))
    for second in range(100):
        trust.delivered(good, bad, second * SECOND)
    for _ in range(8):
        trust.blame(bad, "bad_signature", 100 * SECOND)
    snapshot = node_snapshot(trust=trust.overview(100 * SECOND), taken_at=160 * SECOND)
    report = trust_report(snapshot)
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert [(peer["node_id"], peer["band"]) for peer in report["peers"]] == [
        (good.hex(), "trusted"),
        (bad.hex(), "banned"),
    ]
    assert (report["peers"][1]["banned_for"], report["peers"][1]["penalties"]) == (3540.0, {"bad_signature": 8})
    assert report["stats"]["peers"] == {"banned": 1, "doubtful": 0, "neutral": 0, "known": 0, "trusted": 1}


def test_peers_are_told_one_by_one_as_all_at_once() -> None:
    snapshot = node_snapshot(link(2), link(2, smoothed_rtt=7 * SECOND), link(4), peers=(peer(2), peer(3, "down")))
    reports = peer_reports(snapshot, WALL_OFFSET)
    assert reports == [peer_report(known, snapshot, WALL_OFFSET) for known in snapshot.peers]
    assert [report["rtt"] for report in reports] == [0.02, None]
