"""Turns what a node reports into records of the history. Knows every event of a node and keeps nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass

from node.core.events import DataReceived, PeerDown, PeerUp, SendFinished, TransportEvent
from node.sim.history import Fact, History
from node.sim.nodes import SimNode
from node.sim.world import World
from node.types import Instant, NodeId, format_address, short_id

__all__ = ["Reporter"]


class Reporter:
    """numbers, published_at: of the network; they grow while it runs."""

    def __init__(
        self,
        world: World,
        history: History,
        numbers: Mapping[NodeId, int],
        published_at: Mapping[str, Instant],
    ) -> None:
        self._world = world
        self._history = history
        self._numbers = numbers
        self._published_at = published_at

    def report(self, node: SimNode, event: object) -> None:
        """Takes one event of that node."""
        match event:
            case DataReceived():
                self._on_data(node, event)
            case TransportEvent():
                pass
            case PeerUp():
                self._add(node, "peer_up", {"peer": self._name(event.node_id)})
            case PeerDown():
                self._add(node, "peer_down", {"peer": self._name(event.node_id), "reason": event.reason})
            case SendFinished():
                error = None if event.error is None else type(event.error).__name__
                self._add(node, "sent", {"token": event.token, "error": error})
            case _:
                self._add(node, _kind_of(event), self._facts_of(event))

    def _on_data(self, node: SimNode, event: DataReceived) -> None:
        origin = self._name(event.origin)
        if not event.is_broadcast:
            self._add(node, "received", {"message": event.message_id, "origin": origin})
            return
        published_at = self._published_at.get(event.message_id)
        latency = None if published_at is None else self._world.now - published_at
        facts: dict[str, Fact] = {
            "message": event.message_id,
            "origin": origin,
            "hops": event.hops,
            "latency": latency,
            "age": event.age,
        }
        self._add(node, "delivered", facts)

    def _add(self, node: SimNode, kind: str, facts: dict[str, Fact]) -> None:
        self._history.add(self._world.now, node.number, kind, facts)

    def _name(self, node_id: NodeId) -> int | str:
        number = self._numbers.get(node_id)
        return short_id(node_id) if number is None else number

    def _facts_of(self, event: object) -> dict[str, Fact]:
        if not is_dataclass(event):
            return {"text": repr(event)}
        return {
            "peer" if field.name == "node_id" else field.name: self._plain(getattr(event, field.name))
            for field in fields(event)
        }

    def _plain(self, value: object) -> Fact:
        match value:
            case bytes():
                return self._name(NodeId(value))
            case str() | int() | float() | None:
                return value
            case (str(host), int(port)):
                return format_address((host, port))
            case _:
                return str(value)


def _kind_of(event: object) -> str:
    name = type(event).__name__
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("_")
