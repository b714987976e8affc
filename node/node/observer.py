"""What a node shows of itself: to Prometheus, to the HTTP API, to `get_stats`; the same numbers in three forms.

Knows how to read a node and nothing of how it works. Everything is read when it is asked for; nothing is kept.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from node.api.problems import Json
from node.config import NetworkConfig
from node.core.snapshot import LinkSnapshot, NodeSnapshot
from node.metrics.impairment import ChaosReading, Impairment, asked_loss, read_impairments
from node.metrics.names import LINKS_LISTED_MAX
from node.metrics.process import read_process
from node.metrics.readings import Observation, RuntimeStats, SocketReading
from node.metrics.text import render
from node.node.report import link_report, node_report, peer_reports, runtime_report
from node.transport.udp_socket import SocketStats
from node.types import Duration, NodeId

__all__ = ["Observer"]


class Observer:
    """Reads one node. snapshot, socket_stats: the node's own functions."""

    def __init__(
        self,
        config: NetworkConfig,
        runtime: RuntimeStats,
        wall_offset: Duration,
        *,
        snapshot: Callable[[], NodeSnapshot],
        socket_stats: Callable[[], SocketStats | None],
        state_report: Callable[[], dict[str, Any]],
    ) -> None:
        self._config = config
        self._runtime = runtime
        self._wall_offset = wall_offset
        self._snapshot = snapshot
        self._socket_stats = socket_stats
        self._state_report = state_report
        self.chaos: Callable[[], ChaosReading | None] = lambda: None
        """What a controller has the node do to its network; None where there may be none."""

    async def render_metrics(self) -> bytes:
        """The exposition. Nothing waits for both of its turns of the event loop; the next one tells what they took."""
        began_at = time.perf_counter_ns()
        seen = self.observe()
        took = time.perf_counter_ns() - began_at
        await asyncio.sleep(0)
        began_at = time.perf_counter_ns()
        text = render(seen)
        self._runtime.render_time = took + time.perf_counter_ns() - began_at
        return text

    def is_healthy(self) -> bool:
        """Whether the node runs."""
        return self._snapshot().state == "running"

    def is_ready(self) -> bool:
        """Whether the node has an active peer, or is a seed."""
        return self._snapshot().is_ready

    def stats(self) -> dict[str, Any]:
        """What `Node.get_stats` returns."""
        stats = self._socket_stats()
        socket = None if stats is None else asdict(stats)
        snapshot, chaos = self._snapshot(), self.chaos()
        report = node_report(snapshot, wall_offset=self._wall_offset, socket=socket)
        self._note_loss_asked(snapshot.links, report["links"], chaos)
        return report | {
            "faults": [{"step": step, "kind": kind} for step, kind in dict.fromkeys(chaos.active if chaos else ())],
            "runtime": runtime_report(self._runtime),
            "state_stats": self._state_report(),
        }

    def links(self, of: NodeId | None = None, *, snapshot: NodeSnapshot | None = None) -> list[dict[str, Any]]:
        """Every connection, or those with one peer. snapshot: the present one, of whoever has it already."""
        found = self._snapshot() if snapshot is None else snapshot
        links = [link for link in found.links if of is None or link.connection.peer_id == of]
        reports = [link_report(link, self._wall_offset) for link in links]
        self._note_loss_asked(links, reports, self.chaos())
        return reports

    def _note_loss_asked(
        self, links: Sequence[LinkSnapshot], reports: Sequence[dict[str, Any]], chaos: ChaosReading | None
    ) -> None:
        """Adds `loss_asked` to the report of each link: the share of what it sends that shall be lost."""
        impairments = self._demanded(chaos)
        for link, report in zip(links, reports, strict=True):
            report["loss_asked"] = asked_loss(impairments, link.peer_name, link.connection.address[0])

    def _demanded(self, chaos: ChaosReading | None) -> tuple[Impairment, ...]:
        """Everything that is asked of this node's network."""
        configured = self.impairments() or ()
        links = chaos.links if chaos else ()
        if not any(one.backend != "none" for one in configured):
            return links or configured
        return (*links, *configured)

    def peers(self) -> list[Json]:
        """Every known peer."""
        return list(peer_reports(self._snapshot(), self._wall_offset))

    def impairments(self) -> tuple[Impairment, ...] | None:
        """What is configured on this node's network; None if that cannot be known."""
        return read_impairments(self._config.impairment_file)

    def is_impaired(self) -> bool:
        """Whether anything is, or may be, configured on this node's network."""
        impairments = self.impairments()
        return impairments is None or any(one.backend != "none" for one in impairments)

    def observe(self) -> Observation:
        """Everything that metrics are made of."""
        return Observation(
            snapshot=self._snapshot(),
            wall_offset=self._wall_offset,
            socket=_reading(self._socket_stats()),
            runtime=self._runtime,
            tasks=len(asyncio.all_tasks()),
            process=read_process(),
            impairments=self.impairments(),
            is_seed=self._config.is_seed,
            profile=self._config.profile,
            chaos=self.chaos(),
            listed_max=_listed_max(self._config.metrics_peers),
        )


def _listed_max(metrics_peers: str) -> int:
    """How many links the setting gives series of their own."""
    match metrics_peers.partition(":"):
        case "full", _, _:
            return LINKS_LISTED_MAX
        case "top", _, count:
            return int(count)
        case _:
            return 0


def _reading(stats: SocketStats | None) -> SocketReading | None:
    if stats is None:
        return None
    return SocketReading(
        sent_datagrams=stats.datagrams_sent,
        received_datagrams=stats.datagrams_received,
        sent_bytes=stats.bytes_sent,
        received_bytes=stats.bytes_received,
        send_errors=stats.send_errors,
        backlog_drops=stats.backlog_drops,
        kernel_drops=stats.kernel_drops,
        receive_buffer=stats.receive_buffer or None,
        send_buffer=stats.send_buffer or None,
        asked_buffer=stats.buffer_asked,
    )
