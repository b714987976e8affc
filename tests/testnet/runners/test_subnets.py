from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest

from node.testnet.errors import TestnetFailed
from node.testnet.runners.subnets import POOL, free_subnets, routed

HEAD = "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n"


def test_two_testnets_get_different_networks_and_one_always_the_same() -> None:
    assert free_subnets("a", []) == free_subnets("a", [])
    assert not set(free_subnets("a", [])) & set(free_subnets("b", []))


def test_what_is_taken_is_left_alone() -> None:
    first = free_subnets("a", [])
    again = free_subnets("a", first)
    assert not any(one.overlaps(other) for one in again for other in first)
    assert again[0] != again[1]


def test_a_pool_that_is_taken_has_none() -> None:
    assert isinstance(POOL, ipaddress.IPv4Network)
    with pytest.raises(TestnetFailed, match=r"no two networks of 10\.64\.0\.0/10 are free"):
        free_subnets("a", [POOL])


def test_the_routes_of_this_machine_are_taken_except_the_way_to_everywhere(tmp_path: Path) -> None:
    table = tmp_path / "route"
    table.write_text(
        HEAD
        + "eth0 00000000 0100000A 0003 0 0 0 00000000 0 0 0\n"
        + "eth0 0000400A 00000000 0001 0 0 0 0000FFFF 0 0 0\n"
    )
    assert list(routed(table)) == [ipaddress.IPv4Network("10.64.0.0/16")]
    assert list(routed(tmp_path / "none")) == []
