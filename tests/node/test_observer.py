from __future__ import annotations

from pathlib import Path

import pytest

from node.config import NetworkConfig
from node.core.snapshot import NodeSnapshot
from node.metrics.impairment import ChaosReading, Impairment
from node.metrics.names import CATALOGUE
from node.metrics.readings import RuntimeStats, readings
from node.metrics.text import render
from node.node.node import Node
from node.node.observer import Observer
from node.transport.udp_socket import SocketStats
from node.transport.udp_transport import UDPTransport
from tests.metrics.samples import WALL_OFFSET, link, node_id, node_snapshot, peer
from tests.node.network import configuration, until


def observer(
    snapshot: NodeSnapshot, config: NetworkConfig | None = None, socket: SocketStats | None = None
) -> Observer:
    return Observer(
        config or NetworkConfig(),
        RuntimeStats(),
        WALL_OFFSET,
        snapshot=lambda: snapshot,
        socket_stats=lambda: socket,
        state_report=dict,
    )


@pytest.mark.asyncio
async def test_metrics_statistics_and_peers_show_one_and_the_same_node() -> None:
    snapshot = node_snapshot(link(2), peers=(peer(2),))
    watched = observer(snapshot, socket=SocketStats(datagrams_sent=7, send_errors={"EPERM": 2}))

    text = (await watched.render_metrics()).decode()
    stats = watched.stats()

    assert 'positron_link_rtt_smoothed_seconds{node="node-1",peer="00000002"} 0.02' in text
    assert 'positron_udp_sent_datagrams_total{node="node-1"} 7' in text
    assert 'positron_udp_send_errors_total{node="node-1",errno="EPERM"} 2' in text
    assert stats["links"][0]["rtt"] == 0.02
    assert stats["transport"]["udp"]["socket"]["datagrams_sent"] == 7
    assert [known["name"] for known in watched.peers() if isinstance(known, dict)] == ["node-2"]


@pytest.mark.asyncio
async def test_the_time_of_rendering_is_told_with_the_next_scrape() -> None:
    watched = observer(node_snapshot())

    assert b'positron_scrape_render_seconds{node="node-1"} 0.0\n' in await watched.render_metrics()
    assert b'positron_scrape_render_seconds{node="node-1"} 0.0\n' not in await watched.render_metrics()


@pytest.mark.asyncio
async def test_others_have_their_turn_between_reading_the_node_and_writing_it_down() -> None:
    scrape = observer(node_snapshot()).render_metrics()

    assert scrape.send(None) is None
    with pytest.raises(StopIteration) as ended:
        scrape.send(None)
    assert b"positron_ready" in ended.value.value


def test_health_is_running_and_readiness_is_the_machine_s_word() -> None:
    assert observer(node_snapshot()).is_healthy()
    assert not observer(node_snapshot(state="stopped")).is_healthy()
    assert observer(node_snapshot()).is_ready()
    assert not observer(node_snapshot(is_ready=False)).is_ready()


def test_an_impairment_that_cannot_be_known_counts_as_one(tmp_path: Path) -> None:
    file = tmp_path / "impairment.json"
    watched = observer(node_snapshot(), NetworkConfig(impairment_file=str(file)))

    assert not watched.is_impaired()
    file.write_text('{"backend": "netem"}')
    assert watched.is_impaired()
    file.write_text("{")
    assert watched.is_impaired()
    assert watched.impairments() is None


def test_a_link_says_what_loss_its_network_is_asked_for_and_the_node_which_faults_it_was_told_of(
    tmp_path: Path,
) -> None:
    file = tmp_path / "impairment.json"
    watched = observer(node_snapshot(link(2), link(3), peers=(peer(2),)), NetworkConfig(impairment_file=str(file)))
    assert [one["loss_asked"] for one in watched.stats()["links"]] == [0.0, 0.0]
    assert watched.stats()["faults"] == []

    lossy = Impairment(backend="wire", target="node-2", loss_ratio=0.3)
    watched.chaos = lambda: ChaosReading(active=(("lossy", "loss"), ("lossy", "loss")), links=(lossy,))
    stats = watched.stats()
    assert [one["loss_asked"] for one in stats["links"]] == [0.3, None]
    assert stats["connections"][node_id(2).hex()]["loss_asked"] == 0.3
    assert stats["faults"] == [{"step": "lossy", "kind": "loss"}]

    file.write_text('{"backend": "netem", "loss_ratio": 0.5}')
    assert [one["loss_asked"] for one in watched.links()] == [0.65, 0.5]
    watched.chaos = lambda: None
    file.write_text("{")
    assert [one["loss_asked"] for one in watched.links(node_id(3))] == [None]


@pytest.mark.loopback
@pytest.mark.asyncio
async def test_a_tcp_link_shows_the_kernels_round_trips_in_statistics_and_metrics() -> None:
    async with Node(configuration(is_seed=True, enable_udp=False)) as first:
        assert first.tcp_transport is not None
        host, port = first.tcp_transport.local_address
        async with Node(configuration(bootstrap_nodes=[f"{host}:{port}"], enable_udp=False)):
            await until(lambda: any(link["state"] == "established" for link in first.get_stats()["links"]))
            (link,) = first.get_stats()["links"]
            assert link["transport"] == "tcp"
            assert 0 < link["rtt"] < 1
            assert 0 < link["rto"] < 5
            assert link["retransmissions"] >= 0
            assert link["congestion_window"] > 0
            names = {reading.name for reading in readings(first.observe())}
            assert {name for name in CATALOGUE if name.startswith("positron_tcp_link_")} <= names


@pytest.mark.slow
@pytest.mark.loopback
@pytest.mark.asyncio
async def test_a_thousand_identities_that_come_and_go_leave_no_series_behind() -> None:
    crowd, cap = 100, 40
    config = configuration(is_seed=True, metrics_peers=f"top:{cap}", handshake_rate_per_address=100_000)
    async with Node(config) as node:
        assert node.udp_transport is not None
        address = node.udp_transport.local_address
        alone = series_of(node)
        per_link = len([metric for metric in CATALOGUE.values() if metric.tier == 2])
        for _ in range(1000 // crowd):
            others = [UDPTransport("127.0.0.1", 0) for _ in range(crowd)]
            for other in others:
                await other.start()
                await other.send_reliable(address, b"hello", 10.0)
            crowded = series_of(node)
            assert len(links_in(crowded)) == cap
            assert len(crowded) <= len(alone) + cap * per_link
            for other in others:
                await other.stop()
            await until(lambda: not node.get_stats()["links"])
            assert links_in(series_of(node)) == set()
        assert len(series_of(node)) == len(alone)


def series_of(node: Node) -> list[str]:
    """Name and labels of every series of one scrape."""
    lines = render(node.observe()).decode().splitlines()
    return [line.rpartition(" ")[0] for line in lines if not line.startswith("#")]


def links_in(series: list[str]) -> set[str]:
    return {one for one in series if one.startswith("positron_link_state{")}
