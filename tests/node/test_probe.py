from __future__ import annotations

import socket

import pytest

from node.errors import ConnectionFailed, SendTimeout
from node.node.probe import kernel_features, path_mtu, reach
from tests.node.network import network, udp_address

pytestmark = pytest.mark.loopback


@pytest.mark.asyncio
async def test_a_node_is_reached_by_both_carriers_and_does_not_notice_a_peer() -> None:
    async with network(1) as (node,):
        assert node.tcp_transport is not None
        for carrier, address in (("udp", udp_address(node)), ("tcp", node.tcp_transport.local_address)):
            found, seconds = await reach(carrier, address, network_id="positron", seconds=20)
            assert found == address
            assert 0 < seconds < 20
        assert len(node.peer_manager.active_peers) == 0
        assert node.get_stats()["known_peers"] == 0


@pytest.mark.asyncio
@pytest.mark.parametrize("carrier", ["udp", "tcp"])
async def test_nobody_there_is_an_error(carrier: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        with pytest.raises((ConnectionFailed, SendTimeout)):
            await reach(carrier, silent.getsockname(), network_id="positron", seconds=0.3)


@pytest.mark.asyncio
@pytest.mark.parametrize(("carrier", "seconds"), [("tcp", 20), ("udp", 20), ("udp", 0.9)])
async def test_a_node_of_another_network_is_an_error_that_says_so(carrier: str, seconds: float) -> None:
    # A dial by UDP that was refused waits for a second for a genuine answer: the caller's time may be over before.
    async with network(1) as (node,):
        assert node.tcp_transport is not None
        address = udp_address(node) if carrier == "udp" else node.tcp_transport.local_address
        with pytest.raises(ConnectionFailed, match="network_mismatch"):
            await reach(carrier, address, network_id="other", seconds=seconds)


@pytest.mark.asyncio
async def test_an_ipv6_address_that_is_silent_is_written_as_one() -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as silent:
        silent.bind(("::1", 0))
        with pytest.raises((ConnectionFailed, SendTimeout), match=r"\[::1\]:\d+ did not"):
            await reach("udp", silent.getsockname()[:2], network_id="positron", seconds=0.3)


def test_the_kernel_says_what_it_grants() -> None:
    found = kernel_features()
    assert 0 < found.receive_buffer <= 2 * found.buffer_wanted
    assert 0 < found.send_buffer <= 2 * found.buffer_wanted


def test_the_route_to_this_machine_has_an_mtu() -> None:
    assert (path_mtu(("127.0.0.1", 9)) or 0) >= 1280
    assert path_mtu(("not an address", 9)) is None
