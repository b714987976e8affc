"""Ten hosts of py-libp2p with gossipsub over TCP, Noise and Yamux, strictly signed, everybody linked with everybody."""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack
from typing import Any

import trio
from libp2p import new_host
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.custom_types import TProtocol
from libp2p.peer.peerinfo import PeerInfo
from libp2p.pubsub.gossipsub import GossipSub
from libp2p.pubsub.pubsub import Pubsub
from libp2p.tools.anyio_service import background_trio_service
from multiaddr import Multiaddr

from crowds.load import NODES, Meter, Steps, Work, measure

__all__ = ["run"]

PATIENCE = 60.0
TOPIC = "bench"
PROTOCOL = TProtocol("/meshsub/1.1.0")


def run(steps: Steps) -> dict[str, float]:
    """What a crowd of theirs achieves."""
    logging.disable(logging.CRITICAL)
    found: dict[str, float] = trio.run(_run, steps)
    return found


async def _run(steps: Steps) -> dict[str, float]:
    async with trio.open_nursery() as nursery, AsyncExitStack() as stack:
        crowd = _Crowd()
        hosts: list[Any] = []
        for _ in range(NODES):
            host = new_host(key_pair=create_new_key_pair())
            await stack.enter_async_context(host.run(listen_addrs=[Multiaddr("/ip4/127.0.0.1/tcp/0")]))
            router = GossipSub(
                [PROTOCOL], degree=8, degree_low=6, degree_high=12, heartbeat_interval=1, spam_protection_enabled=False
            )
            pubsub = Pubsub(host, router)
            await stack.enter_async_context(background_trio_service(pubsub))
            await stack.enter_async_context(background_trio_service(router))
            await pubsub.wait_until_ready()
            hosts.append(host)
            crowd.pubsubs.append(pubsub)
            nursery.start_soon(crowd.listen, host.get_id().to_bytes(), await pubsub.subscribe(TOPIC))
        for index, host in enumerate(hosts):
            for other in hosts[:index]:
                await host.connect(PeerInfo(other.get_id(), other.get_addrs()))
        with trio.fail_after(PATIENCE):
            while any(len(pubsub.router.mesh.get(TOPIC, ())) < NODES - 1 for pubsub in crowd.pubsubs):  # noqa: ASYNC110  # no event tells
                await trio.sleep(0.1)
        found = await measure(crowd, steps)
        nursery.cancel_scope.cancel()
    return found


class _Crowd:
    def __init__(self) -> None:
        self.meter = Meter()
        self.pubsubs: list[Any] = []

    async def listen(self, own: bytes, subscription: Any) -> None:
        while True:
            message = await subscription.get()
            if message.from_id != own:
                self.meter.delivered(message.data)

    async def publish(self, number: int, body: bytes) -> None:
        await self.pubsubs[number].publish(TOPIC, body)

    async def sleep(self, seconds: float) -> None:
        await trio.sleep(seconds)

    async def beside(self, watch: Work, work: Work) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            await work()
            nursery.cancel_scope.cancel()
