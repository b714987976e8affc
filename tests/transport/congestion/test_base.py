"""The initial window of RFC 9002 §7.2, whatever the size of a packet."""

from __future__ import annotations

import pytest

from node.transport.congestion import CONTROLLERS, new_controller
from node.transport.congestion.base import initial_window


@pytest.mark.parametrize(
    ("packet_bytes", "window"), [(1_200, 12_000), (1_472, 14_720), (4_000, 14_720), (9_000, 18_000), (65_507, 131_014)]
)
def test_initial_window_is_ten_packets_but_bounded_in_bytes(packet_bytes: int, window: int) -> None:
    assert initial_window(packet_bytes) == window


@pytest.mark.parametrize("name", CONTROLLERS)
def test_every_controller_begins_with_the_initial_window(name: str) -> None:
    controller = new_controller(name, 1_400)
    assert controller.congestion_window == 14_000
    controller.on_packet_size(65_507)
    assert controller.congestion_window == 131_014
