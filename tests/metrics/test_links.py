from __future__ import annotations

import pytest

from node.metrics.links import LINK_METRICS, link_rows
from node.metrics.names import CATALOGUE, LINKS_LISTED_MAX
from tests.metrics.samples import WALL_OFFSET, link, tcp_link


def test_every_metric_of_a_link_has_its_place_in_a_row() -> None:
    placed = [name for names in LINK_METRICS.values() for name in names]
    assert sorted(placed) == sorted(name for name, metric in CATALOGUE.items() if metric.tier == 2)


def test_a_row_has_a_value_for_each_metric_in_its_units() -> None:
    udp = dict(zip(LINK_METRICS["udp"], link_rows([link(2)], "udp", 9, WALL_OFFSET).rows["00000002"], strict=True))
    assert udp["positron_link_rtt_smoothed_seconds"] == 0.02
    assert udp["positron_link_established_timestamp_seconds"] == 1_700_000_002
    assert udp["positron_link_state"] == 3
    assert udp["positron_link_retransmitted_packets_total"] == 5
    assert udp["positron_link_ssthresh_bytes"] is None
    tcp = dict(zip(LINK_METRICS["tcp"], link_rows([tcp_link(2)], "tcp", 9, 0).rows["00000002"], strict=True))
    assert tcp["positron_tcp_link_rto_seconds"] == 0.212


def test_the_most_senior_link_with_a_peer_is_the_one_that_is_listed() -> None:
    younger, older = link(2, connection=1, established_at=9, mtu=1), link(2, connection=2, established_at=4, mtu=2)
    never = link(2, connection=3, established_at=None, state="handshake", mtu=3)
    (row,) = (found := link_rows([younger, never, older], "udp", 9, 0)).rows.values()
    assert row[LINK_METRICS["udp"].index("positron_link_mtu_bytes")] == 2
    assert found.unlisted == 2


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_stranger_is_neither_listed_nor_counted(transport: str) -> None:
    crowd = [link(number, transport=transport, peer_id=None) for number in range(LINKS_LISTED_MAX + 1)]
    assert link_rows(crowd, transport, LINKS_LISTED_MAX, 0) == (transport, {}, 0)


def test_a_stream_of_which_the_kernel_told_nothing_has_no_row() -> None:
    assert link_rows([tcp_link(2, kernel=None)], "tcp", 9, 0) == ("tcp", {}, 0)
