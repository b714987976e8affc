"""What a controller may do to a node: commands that are refused, and one that is carried out between real nodes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from node import NetworkConfig, Node
from node.errors import UsageError
from node.impairment.wire import Wire
from node.node.chaos import Chaos
from node.node.wired import Wired
from tests.node.test_afflictions import engine
from tests.node.test_wired import Driver

FAULT = {"step": "f", "kind": "loss", "settings": {"loss": 0.5}, "seconds": 5}


def called(command: str, body: dict[str, Any]) -> Any:
    async def scenario() -> Any:
        chaos = Chaos(Wired(Driver(), Wire(seed="", name="a")), engine(), "127.0.0.1")
        return getattr(chaos, command)(body)

    return asyncio.run(scenario())


@pytest.mark.parametrize(
    ("command", "body"),
    [
        ("add_fault", FAULT | {"seconds": 0}),
        ("add_fault", FAULT | {"seconds": 1e9}),
        ("add_fault", FAULT | {"seconds": None}),
        ("add_fault", FAULT | {"step": ""}),
        ("add_fault", FAULT | {"step": "x" * 100}),
        ("add_fault", FAULT | {"kind": 3}),
        ("add_fault", FAULT | {"settings": {"loss": 5}}),
        ("add_fault", FAULT | {"hosts": "10.0.0.1"}),
        ("afflict", {"step": "f", "kind": "dns"}),
        ("afflict", {"step": "f", "kind": "dns", "seconds": 0}),
        ("afflict", {"step": "f", "kind": "loss", "seconds": 1}),
        ("afflict", {"step": "f", "kind": "clock", "seconds": 1, "ahead": -1}),
        ("afflict", {"step": "f", "kind": "hostile", "seconds": 1, "behaviour": "rude"}),
        ("set_links", {"hosts": []}),
        ("set_links", {"hosts": {"a": {"loss": 5}}}),
        ("set_links", {"default": 3}),
        ("set_links", {"names": {"a": ""}}),
        ("send_probes", {"targets": []}),
        ("send_probes", {"targets": ["10.0.0.1:1"], "count": 0}),
        ("send_probes", {"targets": ["10.0.0.1:1"], "interval": 0}),
        ("received_probes", "xyz"),
    ],
)
def test_what_cannot_be_is_refused(command: str, body: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        called(command, body)


def test_a_fault_is_shown_with_the_time_that_it_has_left_and_healed_by_name() -> None:
    async def scenario() -> None:
        chaos = Chaos(Wired(Driver(), Wire(seed="", name="a")), engine(), "127.0.0.1")
        chaos.add_fault(FAULT | {"hosts": ["10.0.0.1"]})
        (shown,) = chaos.status()["faults"]
        assert shown == {
            "step": "f",
            "kind": "loss",
            "settings": {"loss": 0.5},
            "hosts": ["10.0.0.1"],
            "seconds_left": 5.0,
        }
        assert chaos.heal("other") == {"healed": []}
        assert chaos.heal("f") == {"healed": ["f"]}
        assert chaos.status()["faults"] == []

    asyncio.run(scenario())


def config(host: str, **changes: Any) -> NetworkConfig:
    return NetworkConfig(
        host=host, port=0, tcp_port=0, data_dir="", enable_http=False, profile="testnet", chaos_control=True, **changes
    )


async def sent(source: Node, target: Node, count: int) -> list[float]:
    """Sends probes and returns the delays of those that arrived, when no more of them can."""
    assert source.chaos is not None
    assert target.chaos is not None
    address = f"{target.config.host}:{target.chaos.carry_out('listen', {})['port']}"
    measured = source.chaos.send_probes({"targets": [address], "count": count, "interval": 0.001})["measurement"]
    async with asyncio.timeout(20):
        while measured in source.chaos._sending:
            await asyncio.sleep(0)
        # Links keep the order: once one of these is there, none of the others is still under way.
        last = source.chaos.send_probes({"targets": [address], "count": 50, "interval": 0.02})["measurement"]
        while not target.chaos.received_probes(last)["delays"]:
            await asyncio.sleep(0)
    assert target.chaos.received_probes(measured)["sent"] is None
    assert set(source.chaos.received_probes(measured)["sent"]) == {"late", "behind"}
    return list(target.chaos.received_probes(measured)["delays"].get(source.config.host, []))


@pytest.mark.loopback
def test_links_between_real_nodes_lose_and_delay_what_was_asked_and_heal_by_themselves() -> None:
    async def scenario() -> None:
        async with Node(config("127.0.1.1", is_seed=True)) as first:
            assert first.udp_transport is not None
            address = "{}:{}".format(*first.udp_transport.local_address)
            async with Node(config("127.0.1.2", bootstrap_nodes=[address])) as second:
                assert second.chaos is not None
                assert len(await sent(second, first, 300)) == 300
                settings = {"loss": 0.2, "delay": 30_000_000}
                second.chaos.set_links({"seed": "7", "name": "b", "hosts": {"127.0.1.1": settings}})
                delays = await sent(second, first, 300)
                assert 200 <= len(delays) <= 270
                assert min(delays) >= 0.03
                assert len(await sent(first, second, 300)) == 300, "the way back is the other node's"
                second.chaos.add_fault(FAULT | {"settings": {"loss": 1.0}, "seconds": 0.2})
                assert len(await sent(second, first, 100)) < 20
                assert second.chaos.status()["faults"] == []

    asyncio.run(scenario())


@pytest.mark.loopback
def test_a_node_cannot_be_touched_unless_it_was_started_for_it() -> None:
    async def scenario() -> None:
        async with Node(NetworkConfig(host="127.0.0.1", port=0, tcp_port=0, data_dir="", enable_http=False)) as node:
            assert node.chaos is None

    asyncio.run(scenario())


def test_what_runs_and_what_links_are_asked_is_told_for_the_metrics() -> None:
    async def scenario() -> None:
        chaos = Chaos(Wired(Driver(), Wire(seed="", name="a")), engine(), "127.0.0.1")
        chaos.set_links({"hosts": {"10.0.0.1": {"delay": 1_000_000}}, "names": {"10.0.0.1": "b"}})
        chaos.add_fault(FAULT | {"hosts": ["10.0.0.1"]})
        chaos.afflict({"step": "g", "kind": "dns", "seconds": 5})
        chaos.mark({"step": "h", "kind": "kill", "seconds": 5})
        reading = chaos.reading()
        assert reading.active == (("f", "loss"), ("g", "dns"), ("h", "kill"))
        (link,) = reading.links
        assert (link.target, link.backend, link.loss_ratio, link.delay_seconds) == ("b", "wire", 0.5, 0.001)
        assert sorted(chaos.heal()["healed"]) == ["f", "g"]
        assert chaos.reading().active == ()

    asyncio.run(scenario())
