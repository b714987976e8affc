from __future__ import annotations

import asyncio
import random
import socket
import time
from typing import Any

import pytest

from node.config import NetworkConfig, format_address
from node.core.events import DataReceived, DialFailed, PeerDown, PeerUp, Problem
from node.errors import Code, ConnectionFailed
from node.identity.keys import Identity
from node.node import Node
from node.node.engine import Engine, Life, core_settings
from node.types import MILLISECOND, SECOND
from tests.node.network import Inbox, configuration, until


class Audience:
    def __init__(self) -> None:
        self.events: list[object] = []

    def peer_up(self, event: PeerUp) -> None:
        self.events.append(event)

    def peer_down(self, event: PeerDown) -> None:
        self.events.append(event)

    def data_received(self, event: DataReceived) -> None:
        self.events.append(event)

    def dial_failed(self, event: DialFailed) -> None:
        self.events.append(event)

    def problem(self, event: Problem) -> None:
        self.events.append(event)


async def started(number: int, audience: Audience | None = None) -> Engine:
    return await Engine.start(
        configuration(),
        Identity(bytes([number]) * 32),
        audience or Audience(),
        name=f"node-{number}",
        life=Life(epoch=time.time_ns() // MILLISECOND, wall_offset=time.time_ns() - time.monotonic_ns()),
    )


def test_every_setting_reaches_the_machine() -> None:
    config = NetworkConfig(
        network_id="lab",
        advertise_host="10.0.0.1",
        is_seed=True,
        mtu=1300,
        mss=1000,
        initial_window=9000,
        max_connections=7,
        min_rto=0.2,
        max_rto=3.0,
        max_retries=4,
        congestion="cubic",
        connection_timeout=9.0,
        keep_alive=3.0,
        handshake_rate=70,
        handshake_rate_per_address=7,
        heartbeat_interval=0.5,
        gossip_fanout=2,
        gossip_retention=90.0,
        gossip_retention_bytes=1 << 23,
        peers_max=9,
        inbound_max=3,
        enable_tcp=False,
    )

    settings = core_settings(config, "node-1", (9000, 0))

    transport = settings.transport
    assert (transport.mtu, transport.mss, transport.initial_window, transport.max_connections) == (1300, 1000, 9000, 7)
    assert (transport.min_rto, transport.max_rto, transport.max_retries) == (200 * MILLISECOND, 3 * SECOND, 4)
    assert (transport.idle_timeout, transport.network_id, transport.congestion) == (9 * SECOND, "lab", "cubic")
    assert (transport.keep_alive, transport.handshake_rate, transport.handshake_rate_per_address) == (3 * SECOND, 70, 7)
    assert (settings.name, settings.udp_port, settings.tcp_port) == ("node-1", 9000, 0)
    assert (settings.advertise_host, settings.is_seed, settings.enable_tcp) == ("10.0.0.1", True, False)
    assert (settings.heartbeat_interval, settings.gossip_fanout) == (500 * MILLISECOND, 2)
    assert (settings.gossip_retention, settings.gossip_retention_bytes) == (90 * SECOND, 1 << 23)
    assert (settings.peers_max, settings.outbound_max, settings.inbound_max) == (9, 4, 3)


@pytest.mark.loopback
@pytest.mark.asyncio
async def test_ports_chosen_by_the_system_are_the_ports_that_peers_are_told() -> None:
    engine = await started(1)
    try:
        settings = engine.machine.settings
        assert engine.udp is not None
        assert engine.tcp is not None
        assert engine.udp.local_address[1] == settings.udp_port != 0
        assert engine.tcp.local_address[1] == settings.tcp_port != 0
    finally:
        await engine.stop()


@pytest.mark.loopback
@pytest.mark.asyncio
async def test_whoever_waits_when_the_engine_stops_is_told() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        engine = await started(1)
        loop = asyncio.get_running_loop()
        waiting = [
            loop.create_task(engine.connect(silent.getsockname(), 60)),
            loop.create_task(engine.connect(silent.getsockname(), 60)),
            loop.create_task(engine.send(silent.getsockname(), b"x", reliable=True, seconds=60)),
        ]
        await until(lambda: len(engine._sends) == 1)

        await engine.stop()

        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    for outcome in outcomes:
        assert isinstance(outcome, ConnectionFailed)
        assert outcome.code is Code.SHUTDOWN


@pytest.mark.loopback
@pytest.mark.asyncio
async def test_whoever_gives_up_waiting_leaves_nothing_behind() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        engine = await started(1)
        try:
            waiting = [
                asyncio.get_running_loop().create_task(engine.connect(silent.getsockname(), 60)),
                asyncio.get_running_loop().create_task(
                    engine.send(silent.getsockname(), b"x", reliable=True, seconds=60)
                ),
            ]
            await until(lambda: len(engine._sends) == 1)
            for task in waiting:
                task.cancel()
            await asyncio.wait(waiting)

            assert engine._sends == {}
            assert engine._dials == {}
        finally:
            await engine.stop()


@pytest.mark.loopback
@pytest.mark.asyncio
async def test_junk_from_strangers_is_counted_and_changes_nothing() -> None:
    engine = await started(1)
    failures: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
    try:
        assert engine.udp is not None
        source = random.Random(1)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            for size in range(2000):
                stranger.sendto(source.randbytes(1 + size % 1400), engine.udp.local_address)
                if size % 50 == 0:
                    await asyncio.sleep(0)
        stats = engine.udp.endpoint.stats
        received = engine.udp.socket_stats

        def all_seen() -> bool:
            return received.datagrams_received + received.kernel_drops >= 2000 or received.datagrams_received > 1000

        await until(all_seen)
        assert sum(stats.packets_dropped.values()) == received.datagrams_received
        assert failures == []
        assert engine.machine.snapshot(engine.now()).links == ()
    finally:
        await engine.stop()


@pytest.mark.loopback
@pytest.mark.asyncio
@pytest.mark.parametrize(("enable_udp", "enable_tcp"), [(True, True), (True, False), (False, True)])
async def test_a_transport_that_is_switched_off_is_not_there(enable_udp: bool, enable_tcp: bool) -> None:
    changes: dict[str, Any] = {"enable_udp": enable_udp, "enable_tcp": enable_tcp}
    async with Node(configuration(is_seed=True, **changes)) as first:
        transports = {"udp": first.udp_transport, "tcp": first.tcp_transport}
        assert {name: transport is not None for name, transport in transports.items()} == {
            "udp": enable_udp,
            "tcp": enable_tcp,
        }
        transport = first.udp_transport or first.tcp_transport
        assert transport is not None
        seed = format_address(transport.local_address)
        async with Node(configuration(bootstrap_nodes=[seed], **changes)) as second:
            inbox = Inbox()
            first.register_data_handler(inbox)
            await second.peer_manager.connect_to_peer(transport.local_address)
            await second.send_message(first.identity.node_id, {"text": "hello"})
            assert (await inbox.wait_for(1))[0][0] == {"text": "hello"}
            kinds = {link["transport"] for node in (first, second) for link in node.get_stats()["links"]}
            assert kinds <= {name for name, transport in transports.items() if transport is not None}
            report = first.get_stats()["transport"]
            assert {name: report[name] is not None for name in transports} == {"udp": enable_udp, "tcp": enable_tcp}
