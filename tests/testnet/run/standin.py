"""A runner for tests of the conductor: no nodes, a clock that jumps, and answers that a test decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from node.impairment.link import LinkSettings, expected_loss
from node.testnet.errors import TestnetFailed
from node.testnet.runners.base import Event, Fault, LinkCount, LinkName, Plan
from node.testnet.scenario.resolve import LinkFault
from node.types import to_seconds


class StandIn:
    """Every node is up and has every peer, unless `peers` says otherwise; messages reach everybody at once."""

    name = "sim"
    backend = "stand-in"
    reason = "a test"

    def __init__(self) -> None:
        self.time = 0.0
        self.applied: list[Fault] = []
        self.healed = 0
        self.is_down = False
        self.peers: dict[str, int] = {}
        self.unable: list[str] = []
        self.deaf_links = False
        self.loses_messages = False
        self.fails_at = 1e9
        self._names: tuple[str, ...] = ()
        self._links: Mapping[LinkName, LinkSettings] = {}
        self._events: list[Event] = []

    def missing(self, faults: Sequence[Fault], links: Mapping[LinkName, LinkSettings]) -> list[str]:
        return self.unable

    def up(self, plan: Plan) -> None:
        self._names, self._links = plan.topology.names, plan.links
        self._events += [{"node": name, "at": self.time, "event": "started"} for name in self._names]

    def now(self) -> float:
        return self.time

    def sleep_until(self, time: float) -> None:
        if time >= self.fails_at:
            raise TestnetFailed("the engine is gone")
        self.time = max(self.time, time)

    def apply(self, fault: Fault, origin: float) -> None:
        self.applied.append(fault)

    def heal(self) -> None:
        self.healed += 1

    def probe(self, links: Sequence[LinkName], count: int) -> list[LinkCount]:
        return [self._counted(link, count) for link in links]

    def publish(self, node: str, size: int) -> str | None:
        message = f"m{len(self._events)}"
        self._events.append({"node": node, "at": self.time, "event": "published", "message": message})
        for other in self._names:
            if other != node and not self.loses_messages:
                facts = {"message": message, "origin": node}
                self._events.append({"node": other, "at": self.time, "event": "delivered", **facts})
        return message

    def scrape(self) -> dict[str, str | None]:
        return {name: f'positron_peers{{node="{name}"}} {self._peers_of(name)}\n' for name in self._names}

    def stats(self) -> dict[str, dict[str, Any] | None]:
        return {name: self._stats_of(self._peers_of(name)) for name in self._names}

    @staticmethod
    def _stats_of(peers: int) -> dict[str, Any]:
        return {"active_peers": peers, "members": {"alive": peers}, "gossip_stats": {"published": 3}}

    def traces(self) -> dict[str, dict[str, bytes]]:
        return {name: {f"{name}-1.sqlog": b"\x1e{}\n"} for name in self._names}

    def status(self, node: str, path: str) -> int:
        return 200 if path == "/readyz" else 404

    def members(self) -> dict[str, list[str]]:
        return {name: [other for other in self._names if other != name] for name in self._names}

    def history(self) -> list[Event]:
        return list(self._events)

    def logs(self) -> dict[str, list[str]]:
        return {name: ["12:00 INFO node_started"] for name in self._names}

    def digest(self) -> str:
        return "abc"

    def down(self) -> None:
        self.is_down = True

    def _peers_of(self, name: str) -> int:
        return self.peers.get(name, len(self._names) - 1)

    def _counted(self, link: LinkName, count: int) -> LinkCount:
        settings = self._links[link]
        for fault in self.applied:
            if not self.deaf_links and isinstance(fault, LinkFault) and link in fault.links:
                settings = fault.settings
        received = round(count * (1 - expected_loss(settings)))
        return LinkCount(link=link, sent=count, received=received, delays=(to_seconds(settings.delay),) * received)
