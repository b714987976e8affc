"""Addresses of local testnets."""

from __future__ import annotations

import ipaddress
import socket

import pytest

from node.testnet.runners.loopback import PORT, as_number, free_hosts, has_loopback_network

pytestmark = pytest.mark.loopback


def test_each_testnet_has_addresses_of_its_own_and_the_same_each_time() -> None:
    assert has_loopback_network()
    hosts = free_hosts("one", 300)
    assert hosts == free_hosts("one", 300)
    assert len(set(hosts)) == 300
    assert set(hosts).isdisjoint(free_hosts("two", 300))
    assert all(ipaddress.ip_address(host) in ipaddress.ip_network("127.0.0.0/8") for host in hosts)
    assert all(not host.startswith("127.0.") for host in hosts)


def test_addresses_that_are_in_use_are_left_alone() -> None:
    first = free_hosts("three", 3)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind((first[1], PORT))
        assert set(free_hosts("three", 3)).isdisjoint(first)


def test_an_address_as_a_number_is_no_address_to_a_node_and_one_to_a_resolver() -> None:
    assert as_number("127.5.3.1") == "0x7f050301"
    assert socket.getaddrinfo("0x7f050301", 1, socket.AF_INET)[0][4][0] == "127.5.3.1"
