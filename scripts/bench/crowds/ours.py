"""Ten of our nodes, each with its sockets and its application, as programs use them."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

from crowds.load import NODES, Meter, Steps, Work, measure
from node.config import NetworkConfig
from node.node import Node

__all__ = ["run"]

PATIENCE = 60.0


def run(steps: Steps) -> dict[str, float]:
    """What a crowd of our nodes achieves."""
    return asyncio.run(_run(steps))


async def _run(steps: Steps) -> dict[str, float]:
    async with AsyncExitStack() as stack:
        crowd = _Crowd()
        addresses: list[str] = []
        for _ in range(NODES):
            config = NetworkConfig(
                host="127.0.0.1", port=0, enable_http=False, profile="testnet", log_level="ERROR",
                bootstrap_nodes=addresses[:1], is_seed=not addresses, gossip_fanout=8,
            )  # fmt: skip
            node = await stack.enter_async_context(Node(config))
            node.register_data_handler(crowd.on_data)
            crowd.nodes.append(node)
            assert node.udp_transport is not None
            addresses.append("{}:{}".format(*node.udp_transport.local_address))
        async with asyncio.timeout(PATIENCE):
            while any(len(node.peer_manager.active_peers) < NODES - 1 for node in crowd.nodes):  # noqa: ASYNC110  # no event tells
                await asyncio.sleep(0.05)
        return await measure(crowd, steps)


class _Crowd:
    def __init__(self) -> None:
        self.meter = Meter()
        self.nodes: list[Node] = []

    def on_data(self, data: dict[str, Any], _sender: str) -> None:
        self.meter.delivered(data["body"])

    async def publish(self, number: int, body: bytes) -> None:
        await self.nodes[number].broadcast({"body": body})

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def beside(self, watch: Work, work: Work) -> None:
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(watch())
            await work()
            watching.cancel()
