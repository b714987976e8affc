from __future__ import annotations

from collections import Counter
from itertools import product

import pytest

from node.metrics.names import CATALOGUE, LINKS_LISTED_MAX
from node.metrics.readings import Observation, readings
from node.transport.stats import EndpointStats
from node.types import MILLISECOND, short_id
from tests.metrics.samples import WALL_OFFSET, link, node_id, node_snapshot, observation, peer, tcp_link


def values(seen: Observation) -> dict[tuple[str, ...], float]:
    return {(reading.name, *reading.labels): reading.value for reading in readings(seen)}


def test_every_reading_is_in_the_catalogue_with_values_that_its_labels_allow() -> None:
    for reading in readings(observation()):
        metric = CATALOGUE[reading.name]
        assert len(reading.labels) == len(metric.labels), reading
        for label, value in zip(metric.labels, reading.labels, strict=True):
            assert not label.values or value in label.values, reading


def test_every_known_label_set_is_there_from_the_start() -> None:
    seen = values(observation(node_snapshot()))

    for name, metric in CATALOGUE.items():
        if all(label.values for label in metric.labels):
            for labels in product(*(label.values for label in metric.labels)):
                assert (name, *labels) in seen, (name, labels)


def test_every_metric_of_the_catalogue_is_exposed_by_a_node_with_links() -> None:
    linked = node_snapshot(link(2, slow_start_threshold=9_000), tcp_link(2))

    assert {name for name, *_ in values(observation(linked))} == set(CATALOGUE)


def test_no_series_appears_twice_even_when_two_connections_lead_to_one_peer() -> None:
    links = (link(2), link(2, connection=7, established_at=None, state="handshake"), link(2, connection=8))

    counts = Counter((reading.name, *reading.labels) for reading in readings(observation(node_snapshot(*links))))

    assert max(counts.values()) == 1
    assert values(observation(node_snapshot(*links)))["positron_links_unlisted", "udp"] == 2


def test_tcp_links_show_what_the_kernel_has_measured() -> None:
    seen = values(observation(node_snapshot(tcp_link(2), tcp_link(3, kernel=None))))
    label = short_id(node_id(2))
    assert seen[("positron_tcp_link_rtt_smoothed_seconds", label)] == 0.012
    assert seen[("positron_tcp_link_rto_seconds", label)] == 0.212
    assert seen[("positron_tcp_link_retransmitted_segments_total", label)] == 2
    assert ("positron_tcp_link_rto_seconds", short_id(node_id(3))) not in seen


def test_refusals_are_counted_at_both_ends_by_reason() -> None:
    snapshot = node_snapshot()
    assert snapshot.udp is not None
    assert snapshot.tcp is not None
    snapshot.udp.refusals_sent["network_mismatch"] = 2
    snapshot.tcp.refusals_received["version_mismatch"] = 3
    seen = values(observation(snapshot))
    assert seen[("positron_handshake_refusals_total", "udp", "sent", "network_mismatch")] == 2
    assert seen[("positron_handshake_refusals_total", "tcp", "received", "version_mismatch")] == 3
    assert seen[("positron_handshake_refusals_total", "tcp", "sent", "busy")] == 0


def test_both_timeouts_of_a_link_are_in_seconds() -> None:
    seen = values(observation())

    assert seen[("positron_link_rtt_smoothed_seconds", "00000002")] == 0.020
    assert seen[("positron_link_rto_computed_seconds", "00000002")] == 0.062
    assert seen[("positron_link_rto_effective_seconds", "00000002")] == 1.0
    assert seen[("positron_link_established_timestamp_seconds", "00000002")] == WALL_OFFSET / 1e9 + 2
    assert seen[("positron_link_retransmitted_packets_total", "00000002")] == 5


def test_a_round_trip_that_nobody_measured_is_absent_and_not_zero() -> None:
    fresh = link(2, latest_rtt=None, smoothed_rtt=None, rttvar=None, min_rtt=None, established_at=None)
    seen = values(observation(node_snapshot(fresh)))

    assert ("positron_link_rtt_smoothed_seconds", "00000002") not in seen
    assert ("positron_link_rto_computed_seconds", "00000002") in seen


def test_a_stranger_gets_no_series() -> None:
    seen = values(observation(node_snapshot(link(2, peer_id=None, state="handshake"))))

    assert not [key for key in seen if key[0] == "positron_link_state"]
    assert seen[("positron_links", "udp", "handshake")] == 1


def test_links_beyond_the_limit_are_counted_and_the_oldest_stay() -> None:
    crowd = [link(number) for number in range(LINKS_LISTED_MAX + 50, 0, -1)]
    seen = values(observation(node_snapshot(*crowd)))

    listed = sorted(key[1] for key in seen if key[0] == "positron_link_state")
    assert listed == [node_id(number)[:4].hex() for number in range(1, LINKS_LISTED_MAX + 1)]
    assert seen["positron_links_unlisted", "udp"] == 50


@pytest.mark.parametrize("most", [0, 1, 3, LINKS_LISTED_MAX + 50])
def test_fewer_links_are_listed_where_fewer_are_wanted(most: int) -> None:
    links = [*(link(number) for number in range(5, 0, -1)), tcp_link(1), tcp_link(2)]
    seen = values(observation(node_snapshot(*links), listed_max=most))

    for metric, there in (("positron_link_state", 5), ("positron_tcp_link_rto_seconds", 2)):
        listed = sorted(key[1] for key in seen if key[0] == metric)
        assert listed == [node_id(number)[:4].hex() for number in range(1, min(most, there) + 1)]
    assert seen["positron_links_unlisted", "udp"] == max(0, 5 - most)
    assert seen["positron_links_unlisted", "tcp"] == max(0, 2 - most)
    assert seen[("positron_links", "udp", "established")] == 5


def test_the_number_of_series_is_bounded_whatever_connects() -> None:
    crowd = [link(number) for number in range(1, 1000)]
    alone = len(list(readings(observation(node_snapshot()))))
    crowded = len(list(readings(observation(node_snapshot(*crowd)))))

    per_link = len([metric for metric in CATALOGUE.values() if metric.tier == 2])
    assert crowded - alone <= per_link * LINKS_LISTED_MAX


def test_a_transport_that_is_off_has_no_series() -> None:
    seen = values(observation(node_snapshot(udp=None), socket=None))

    assert not [key for key in seen if "udp" in key or key[0].startswith("positron_udp")]
    assert ("positron_rtt_seconds",) not in seen
    assert ("positron_retransmitted_packets_total", "probe") not in seen


def test_tcp_claims_no_retransmissions_because_the_kernel_does_not_tell() -> None:
    stats = EndpointStats()
    seen = values(observation(node_snapshot(link(2, transport="tcp"), tcp=stats)))

    assert not [key for key in seen if key[0].startswith("positron_link_")]
    assert not [key for key in seen if "tcp" in key and "retransmitted" in key[0]]


def test_an_unknown_send_error_is_counted_as_other() -> None:
    seen = values(observation())

    assert seen[("positron_udp_send_errors_total", "EPERM")] == 3
    assert seen[("positron_udp_send_errors_total", "other")] == 2


def test_peers_are_counted_by_state() -> None:
    seen = values(observation(node_snapshot(peers=(peer(1), peer(2), peer(3, "slow"), peer(4, "down")))))

    assert [seen[("positron_peers", state)] for state in ("connecting", "up", "slow", "down")] == [0, 2, 1, 1]


def test_an_impairment_that_cannot_be_known_is_absent_and_not_zero() -> None:
    assert not [key for key in values(observation(impairments=None, chaos=None)) if "impairment" in key[0]]


def test_what_a_controller_does_to_a_node_takes_the_place_of_none() -> None:
    seen = values(observation())
    assert seen["positron_chaos_active", "split", "partition"] == 1
    assert seen["positron_impairment_loss_ratio", "node-2", "egress", "wire"] == 0.1
    assert seen["positron_impairment_asked_delay_seconds", "node-2", "egress", "wire"] == 0.02
    assert seen["positron_impairment_offered_packets_total", "wire"] == 10
    assert not [key for key in seen if key[0].startswith("positron_impairment") and "none" in key]


def test_hops_fall_into_the_bucket_of_their_number() -> None:
    snapshot = node_snapshot()
    snapshot.gossip.hops.update({1: 5, 7: 2, 40: 1})

    (hops,) = [reading for reading in readings(observation(snapshot)) if reading.name == "positron_gossip_hops"]

    assert hops.counts == (5, 0, 0, 0, 0, 0, 2, 0, 1)
    assert hops.value == 5 + 14 + 40


def test_the_sum_of_a_histogram_is_in_seconds() -> None:
    snapshot = node_snapshot()
    assert snapshot.udp is not None
    snapshot.udp.rtt.observe(20 * MILLISECOND)

    (rtt,) = [reading for reading in readings(observation(snapshot)) if reading.name == "positron_rtt_seconds"]

    assert rtt.value == 0.020
    assert rtt.counts is not None
    assert sum(rtt.counts) == 1


def test_a_node_tells_for_how_long_it_runs() -> None:
    assert values(observation())["positron_uptime_seconds",] == 90.0
