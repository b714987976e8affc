"""A key-value store without a server: every node holds all of it, and every change reaches every node once.

    python examples/key_value.py --port 9000
    python examples/key_value.py --port 9001 --join 127.0.0.1:9000

Then type `set NAME VALUE`, `get NAME` or `all`; end with Ctrl-D. Changes made while a node is away are not replayed to
it: a newcomer asks somebody for everything. Of two changes of one key the later wins, and of two at one moment the one
of the larger author, so all nodes agree whatever the order of arrival.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time

from node import NetworkConfig, Node
from node.errors import PositronError


class Store:
    """One node's copy: the value of each key, and which change it comes from."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.entries: dict[str, tuple[float, str, str]] = {}
        node.register_data_handler(self.on_data)

    def get(self, key: str) -> str | None:
        entry = self.entries.get(key)
        return entry[2] if entry else None

    async def set(self, key: str, value: str) -> None:
        change = (time.time(), self.node.identity.node_id, value)  # noqa: TID251 - the moment is part of the change
        self.merge(key, change)
        await self.node.broadcast({"set": {key: list(change)}})

    async def catch_up(self, peer: str) -> None:
        """Asks a peer for everything that it holds."""
        await self.node.send_message(peer, {"want": "all"})

    def merge(self, key: str, change: tuple[float, str, str]) -> None:
        self.entries[key] = max(change, self.entries.get(key, change))

    async def on_data(self, data: dict, sender_id: str) -> None:
        if data.get("want") == "all":
            for key, change in list(self.entries.items()):
                await self.node.send_message(sender_id, {"set": {key: list(change)}})
        for key, change in data.get("set", {}).items():
            self.merge(key, tuple(change))


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--join", action="append", default=[], metavar="HOST:PORT")
    arguments = parser.parse_args()

    config = NetworkConfig(port=arguments.port, bootstrap_nodes=arguments.join, is_seed=not arguments.join)
    async with Node(config) as node:
        store = Store(node)
        for address in arguments.join:
            await store.catch_up(await node.peer_manager.connect_to_peer(address))
        print(f"{node.name} with {len(node.peer_manager.active_peers)} peers", flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            match line.split(maxsplit=2):
                case ["set", key, value]:
                    await store.set(key, value.strip())
                case ["get", key]:
                    print(store.get(key), flush=True)
                case ["all"]:
                    print({key: store.get(key) for key in sorted(store.entries)}, flush=True)
                case _:
                    print("set NAME VALUE, get NAME, or all", flush=True)


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except PositronError as error:  # an impossible address, a port that is taken, nobody there
        sys.exit(f"{error}")
