"""The asyncio shell of a node: `Node`, from key and sockets to metrics and API."""

from node.node.node import Node

__all__ = ["Node"]
