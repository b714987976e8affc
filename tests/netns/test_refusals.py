"""Hosts whose kernel refuses to send for a while: every refusal is counted by its name, and no message is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.netns.hosts import INTERFACE, IPV4, LEFT, RIGHT, Hosts
from tests.netns.test_links import PATIENCE, ends

FOR_A_WHILE = 0.7  # seconds


@dataclass(frozen=True)
class Fault:
    """What the left host suffers. refusal: the error by which its kernel refuses packets; None where it takes them."""

    begin: Callable[[Hosts], object]
    end: Callable[[Hosts], object]
    refusal: str | None
    is_loss: bool = False


def filtered(side: str, chain: str, target: str) -> tuple[Callable[[Hosts], object], Callable[[Hosts], object]]:
    rule = (chain, "-p", "udp", "-j", target)
    return (
        lambda hosts: hosts.run(side, "iptables", "--wait", "--append", *rule),
        lambda hosts: hosts.run(side, "iptables", "--wait", "--delete", *rule),
    )


def route(verb: str, kind: str) -> Callable[[Hosts], object]:
    return lambda hosts: hosts.run(LEFT, "ip", "route", verb, kind, f"{IPV4[RIGHT]}/32")


def address(verb: str) -> Callable[[Hosts], object]:
    return lambda hosts: hosts.run(LEFT, "ip", "address", verb, f"{IPV4[LEFT]}/24", "dev", INTERFACE)


FAULTS = {
    "a firewall of its own": Fault(*filtered(LEFT, "OUTPUT", "DROP"), "EPERM", is_loss=True),
    "a firewall that answers": Fault(*filtered(RIGHT, "INPUT", "REJECT"), None),
    "no cable": Fault(lambda hosts: hosts.unplug(LEFT), lambda hosts: hosts.plug(LEFT), "ENETUNREACH"),
    "no address": Fault(address("delete"), address("add"), "ENETUNREACH"),
    "no way there": Fault(route("add", "unreachable"), route("delete", "unreachable"), "EHOSTUNREACH"),
    "no leave to go there": Fault(route("add", "prohibit"), route("delete", "prohibit"), "other"),
}


@pytest.mark.asyncio
@pytest.mark.must("M72")
@pytest.mark.parametrize("name", FAULTS)
async def test_what_the_kernel_refuses_for_a_while_costs_no_message(hosts: Hosts, name: str) -> None:
    fault = FAULTS[name]
    messages = [number.to_bytes(2) * 10_000 for number in range(50)]
    async with ends(hosts) as (left, right, address):
        await left.transport.send_reliable(address, b"", PATIENCE)
        fault.begin(hosts)
        asyncio.get_running_loop().call_later(FOR_A_WHILE, fault.end, hosts)
        async with asyncio.TaskGroup() as group:
            for message in messages:
                group.create_task(left.transport.send_reliable(address, message, PATIENCE))
        assert sorted(right.received) == [b"", *messages]
        stats = left.transport.socket_stats
        refused = {error for error, count in stats.send_errors.items() if count}
        assert refused == ({fault.refusal} if fault.refusal else set())
        assert (stats.errors == 0) == (fault.is_loss or fault.refusal is None)
