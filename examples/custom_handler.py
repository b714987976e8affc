"""Requests and answers on top of a node: a handler per kind of message, and calls that wait for their answer.

    python examples/custom_handler.py

Two nodes in one process; the second offers `add` and `upper`, the first calls them. Ends by itself.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable

from node import NetworkConfig, Node


class Calls:
    """Named functions of one node that others may call."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.functions: dict[str, Callable] = {}
        self.numbers = itertools.count(1)
        self.waiting: dict[int, asyncio.Future] = {}
        node.register_data_handler(self.on_data)

    def offer(self, function: Callable) -> Callable:
        self.functions[function.__name__] = function
        return function

    async def call(self, peer: str, name: str, *arguments: object) -> object:
        number = next(self.numbers)
        answer = self.waiting[number] = asyncio.get_running_loop().create_future()
        try:
            await self.node.send_message(peer, {"call": name, "number": number, "arguments": list(arguments)})
            async with asyncio.timeout(5):
                return await answer
        finally:
            del self.waiting[number]

    async def on_data(self, data: dict, sender_id: str) -> None:
        # sender_id is proved by a signature, so this is the place to ask who may call what.
        match data:
            case {"call": name, "number": number, "arguments": arguments} if name in self.functions:
                result = self.functions[name](*arguments)
                await self.node.send_message(sender_id, {"answer": number, "result": result})
            case {"answer": number, "result": result} if number in self.waiting:
                self.waiting[number].set_result(result)


async def main() -> None:
    config = {"host": "127.0.0.1", "port": 0, "enable_http": False}
    async with Node(NetworkConfig(**config)) as client_node, Node(NetworkConfig(**config)) as server_node:
        client, server = Calls(client_node), Calls(server_node)

        @server.offer
        def add(a: int, b: int) -> int:
            return a + b

        @server.offer
        def upper(text: str) -> str:
            return text.upper()

        peer = await client_node.peer_manager.connect_to_peer(server_node.udp_transport.local_address)
        print("add(2, 3) =", await client.call(peer, "add", 2, 3))
        print("upper('hello') =", await client.call(peer, "upper", "hello"))


if __name__ == "__main__":
    asyncio.run(main())
