"""A started node: the machine, its driver, its transports, and whoever waits for something from them.

Knows nothing of files, HTTP and life cycles, which are `node.py`'s. Commands come as coroutines and end when the
machine reports their outcome; what concerns nobody who waits goes to the `Audience`.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeAlias

from node.config import NetworkConfig, format_address
from node.core.events import (
    BroadcastProgress,
    DataReceived,
    DialFailed,
    DialSucceeded,
    MemberChanged,
    NodeEvent,
    PeerDown,
    PeerUp,
    Problem,
    SendFinished,
    TransportEvent,
)
from node.core.machine import Machine
from node.core.settings import CoreSettings
from node.core.snapshot import NodeSnapshot
from node.core.state import Rows
from node.errors import Code, ConnectionFailed, PositronError, QueueFull, SendTimeout, StartError
from node.identity.keys import Identity
from node.impairment.wire import Wire
from node.messages.packing import Value
from node.messages.types import Carrier, MessageType
from node.node.chaos import Chaos
from node.node.goal import Goal, Pursuit
from node.node.listening import with_the_way_out
from node.node.wired import Wired
from node.transport.addresses import listening_address
from node.transport.driver import Driver, Runner
from node.transport.packet import Datagram
from node.transport.settings import TransportSettings
from node.transport.stream import StreamInput
from node.transport.tcp_streams import open_tcp_listener
from node.transport.tcp_transport import TCPTransport
from node.transport.udp_socket import open_udp_socket
from node.transport.udp_transport import UDPTransport
from node.types import Address, NodeId, from_seconds
from node.wire.limits import RECEIPTS_MAX

__all__ = ["Audience", "Engine", "Life", "Target"]

Target: TypeAlias = NodeId | Address

_News: TypeAlias = (
    DialSucceeded | DialFailed | PeerUp | PeerDown | DataReceived | Problem | BroadcastProgress | MemberChanged
)

WAITERS_MAX = 10_000
"""Sends and dials of the application that wait for their outcome at once."""

QLOG_MEMORY = 1 << 18
"""Bytes of events that a traced connection keeps until they are written."""

FREE_PORT_TRIES = 5
"""Times that a port chosen by the system may be taken by somebody else before the node listens on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """One life of a node. epoch: wall milliseconds, higher than in any earlier one. remembered: from earlier ones.

    wall_offset: wall clock minus monotonic clock, in nanoseconds. arrange: called with the engine before it takes part.
    """

    epoch: int
    wall_offset: int
    remembered: Rows = field(default_factory=dict)
    arrange: Callable[[Engine], None] = lambda _: None


class Audience(Protocol):
    """Whoever is told what the node has seen."""

    def peer_up(self, event: PeerUp) -> None: ...
    def peer_down(self, event: PeerDown) -> None: ...
    def data_received(self, event: DataReceived) -> None: ...
    def dial_failed(self, event: DialFailed) -> None: ...
    def problem(self, event: Problem) -> None: ...


class Engine:
    """Runs one machine. Built by `Engine.start`, ended once by `stop`."""

    def __init__(self, machine: Machine, audience: Audience, wall_offset: int) -> None:
        self.machine = machine
        self.wall_offset = wall_offset
        self.udp: UDPTransport | None = None
        self.tcp: TCPTransport | None = None
        self._audience = audience
        self._driver: Driver[Datagram | StreamInput, NodeEvent] = Driver(
            machine, on_event=self._on_event, busy_poll=machine.settings.transport.busy_poll
        )
        self._sends: dict[int, asyncio.Future[PositronError | None]] = {}
        self._receipts: dict[str, Pursuit] = {}
        self._dials: dict[Address, list[asyncio.Future[NodeId | ConnectionFailed]]] = {}
        self._stack = AsyncExitStack()
        self.chaos: Chaos | None = None
        self.last_words: Rows = {}
        """What is to be remembered of this life, once it is over."""

    @classmethod
    async def start(
        cls, config: NetworkConfig, identity: Identity, audience: Audience, *, name: str, life: Life
    ) -> Engine:
        """Opens every socket and begins to take part. StartError leaves nothing behind."""
        tries = 1 if _has_fixed_ports(config) else FREE_PORT_TRIES
        while True:
            settings = core_settings(config, name, await _ports(config))
            machine = Machine(
                identity,
                settings,
                entropy=os.urandom,
                random=random.SystemRandom(),
                wall_offset=life.wall_offset,
                epoch=life.epoch,
            )
            engine = cls(machine, audience, life.wall_offset)
            try:
                await engine._open(config)
            except StartError:
                tries -= 1
                if not tries:
                    raise
            else:
                life.arrange(engine)
                machine.import_state(life.remembered, engine._driver.now())
                machine.start(engine._driver.now())
                engine._driver.pump()
                return engine

    async def stop(self) -> None:
        """Takes leave of every peer and closes every socket; under a second."""
        self.last_words = self.machine.export_state(is_final=True)
        self.machine.stop(self._driver.now())
        self._driver.flush()
        await self._stack.aclose()
        self._driver.close()
        self._abandon()

    def now(self) -> int:
        """The clock of the machine, in nanoseconds."""
        return self._driver.now()

    def snapshot(self) -> NodeSnapshot:
        """The machine at this instant, with what the kernel has measured on TCP connections."""
        snapshot, tcp = self.machine.snapshot(self.now()), self.tcp
        if tcp is None:
            return snapshot
        links = (
            replace(link, connection=tcp.measured(link.connection)) if link.connection.transport == "tcp" else link
            for link in snapshot.links
        )
        return replace(snapshot, links=tuple(links))

    def pump(self) -> None:
        """Has the machine's outputs carried out, after something was done to it past this class."""
        self._driver.pump()

    # --- commands

    def broadcast(self, payload: dict[str, Value], goal: Goal | None = None, *, exclude: Sequence[Target] = ()) -> str:
        """As `Machine.broadcast`. With a goal, `pursue` has to follow at once."""
        if goal is not None and len(self._receipts) >= RECEIPTS_MAX:
            raise QueueFull(f"{RECEIPTS_MAX} broadcasts are followed")
        message_id = self.machine.broadcast(
            payload,
            self.now(),
            exclude=self._keys(exclude),
            follow=goal is not None,
            visit=goal is not None and goal.is_coverage,
        )
        if goal is not None:
            self._receipts[message_id] = Pursuit(goal)
        self._driver.pump()
        return message_id

    async def pursue(self, message_id: str, seconds: float) -> None:
        """Returns once that broadcast has come as far as its goal. ReceiptTimeout; NotRunning if the node stops."""
        try:
            await self._receipts[message_id].wait(message_id, seconds)
        finally:
            del self._receipts[message_id]
            self.machine.unfollow(message_id)

    def set_lag(self, lag: int) -> None:
        """As `Machine.set_lag`."""
        self.machine.set_lag(lag)

    async def send(self, target: Target, payload: Value, *, reliable: bool, seconds: float) -> None:
        """Returns once the peer has the message, or raises what became of it. As `Machine.send`."""
        if len(self._sends) >= WAITERS_MAX:
            raise QueueFull(f"{WAITERS_MAX} sends are under way")
        token = self.machine.send(target, payload, self.now(), reliable=reliable, timeout=from_seconds(seconds))
        outcome = self._sends[token] = asyncio.get_running_loop().create_future()
        try:
            self._driver.pump()
            error = await outcome
        finally:
            self._sends.pop(token, None)
        if error is not None:
            raise error

    def address_of(self, node_id: NodeId) -> Address:
        """Where that node was met, or is said to be. UnknownPeer."""
        return self.machine.known(node_id).address

    async def connect(self, address: Address, seconds: float) -> NodeId:
        """The node at that address, once it is an active peer. ConnectionFailed, SendTimeout."""
        if len(self._dials) >= WAITERS_MAX:
            raise QueueFull(f"{WAITERS_MAX} dials are under way")
        outcome: asyncio.Future[NodeId | ConnectionFailed] = asyncio.get_running_loop().create_future()
        waiters = self._dials.setdefault(address, [])
        waiters.append(outcome)
        try:
            known = self.machine.connect(address, self.now())
            self._driver.pump()
            if known is not None:
                return known
            async with asyncio.timeout(seconds):
                found = await outcome
        except TimeoutError as error:
            raise SendTimeout(f"{format_address(address)} did not introduce itself within {seconds:g} s") from error
        finally:
            waiters.remove(outcome)
            if not waiters and self._dials.get(address) is waiters:
                del self._dials[address]
        if isinstance(found, ConnectionFailed):
            raise found
        return found

    def add_bootstrap(self, address: Address) -> None:
        """As `Machine.add_bootstrap`."""
        self.machine.add_bootstrap(address, self.now())
        self._driver.pump()

    def mark_slow(self, target: Target) -> None:
        """As `Machine.mark_slow`."""
        self.machine.mark_slow(target)

    def mark_down(self, target: Target) -> None:
        """As `Machine.mark_down`."""
        self.machine.mark_down(target, self.now())
        self._driver.pump()

    def take(self, target: Target, kind: MessageType, body: bytes, signature: bytes) -> None:
        """As `Machine.take`."""
        try:
            self.machine.take(target, kind, body, signature, self.now())
        finally:
            self._driver.pump()

    def limit_segments(self, is_impaired: bool) -> None:
        """One datagram per system call while a queueing discipline would drop a batch as one packet."""
        if self.machine.udp is not None:
            most = self.machine.settings.transport.segments_max
            self.machine.udp.segments_max = 1 if is_impaired else most

    # --- private

    def _keys(self, targets: Sequence[Target]) -> list[NodeId]:
        return [peer.node_id for target in targets if (peer := self.machine.find(target)) is not None]

    async def _open(self, config: NetworkConfig) -> None:
        settings, machine = self.machine.settings, self.machine
        async with AsyncExitStack() as stack:
            driver: Runner[Any] = self._driver
            if config.chaos_control:
                driver = wired = Wired(self._driver, Wire(seed="", name=settings.name))
                self.chaos = Chaos(wired, self, config.host)
                stack.callback(wired.close)
                stack.push_async_callback(self.chaos.close)
            if machine.udp is not None:
                self.udp = UDPTransport(
                    config.host,
                    settings.udp_port,
                    identity=machine.identity,
                    settings=settings.transport,
                    driver=driver,
                    endpoint=machine.udp,
                )
                await _listen(self.udp, "port")
                stack.push_async_callback(self.udp.stop)
            if machine.tcp is not None:
                self.tcp = TCPTransport(
                    config.host,
                    settings.tcp_port,
                    identity=machine.identity,
                    settings=settings.transport,
                    driver=driver,
                    endpoint=machine.tcp,
                )
                await _listen(self.tcp, "tcp_port")
                stack.push_async_callback(self.tcp.stop)
            self._stack = stack.pop_all()

    def _on_event(self, event: NodeEvent) -> None:
        match event:
            case SendFinished(token=token, error=error):
                self._finish_send(token, error)
            case TransportEvent(carrier=carrier, event=inner):
                transport = self.udp if carrier is Carrier.UDP else self.tcp
                if transport is not None:
                    transport.handle_event(inner)
            case _:
                self._on_news(event)

    def _on_news(self, event: _News) -> None:
        match event:
            case DialSucceeded(address=address, node_id=node_id):
                self._finish_dial(address, node_id)
            case DialFailed():
                self._finish_dial(event.address, ConnectionFailed(event.code, event.hint or event.reason))
                self._audience.dial_failed(event)
            case PeerUp():
                self._audience.peer_up(event)
            case PeerDown():
                self._audience.peer_down(event)
            case DataReceived():
                self._audience.data_received(event)
            case Problem():
                self._audience.problem(event)
            case BroadcastProgress(message_id=message_id):
                if message_id in self._receipts:
                    self._receipts[message_id].follow(event)
            case MemberChanged():
                pass  # the list of members shows it

    def _finish_send(self, token: int, error: PositronError | None) -> None:
        outcome = self._sends.get(token)
        if outcome is not None and not outcome.done():
            outcome.set_result(error)

    def _finish_dial(self, address: Address, found: NodeId | ConnectionFailed) -> None:
        for outcome in self._dials.get(address, ()):
            if not outcome.done():
                outcome.set_result(found)

    def _abandon(self) -> None:
        error = ConnectionFailed(Code.SHUTDOWN, "the node stops")
        for token in self._sends:
            self._finish_send(token, error)
        for address in self._dials:
            self._finish_dial(address, error)
        for pursuit in self._receipts.values():
            pursuit.abandon()


async def _listen(transport: UDPTransport | TCPTransport, port: str) -> None:
    try:
        await transport.start()
    except StartError as error:
        raise with_the_way_out(str(error), error.__cause__, host="host", port=port) from error


def core_settings(config: NetworkConfig, name: str, ports: tuple[int, int]) -> CoreSettings:
    """The settings of the machine. ports: UDP and TCP, as they will be bound; 0 where the transport is off."""
    transport = TransportSettings(
        mtu=config.mtu,
        mss=config.mss,
        initial_window=config.initial_window,
        max_connections=config.max_connections,
        min_rto=from_seconds(config.min_rto),
        max_rto=from_seconds(config.max_rto),
        max_retries=config.max_retries,
        segments_max=config.segments_max,
        busy_poll=from_seconds(config.busy_poll),
        congestion=config.congestion,
        idle_timeout=from_seconds(config.connection_timeout),
        keep_alive=from_seconds(config.keep_alive),
        handshake_rate=config.handshake_rate,
        handshake_rate_per_address=config.handshake_rate_per_address,
        network_id=config.network_id,
        qlog_bytes_max=QLOG_MEMORY if config.qlog_dir else 0,
    )
    return CoreSettings(
        name=name,
        transport=transport,
        udp_port=ports[0],
        tcp_port=ports[1],
        advertise_host=config.advertise_host,
        enable_udp=config.enable_udp,
        enable_tcp=config.enable_tcp,
        is_seed=config.is_seed,
        heartbeat_interval=from_seconds(config.heartbeat_interval),
        gossip_fanout=config.gossip_fanout,
        peers_max=config.peers_max,
        outbound_max=config.outbound_max,
        inbound_max=config.inbound_max,
        gossip_retention=from_seconds(config.gossip_retention),
        gossip_retention_bytes=config.gossip_retention_bytes,
    )


def _has_fixed_ports(config: NetworkConfig) -> bool:
    return bool((config.port or not config.enable_udp) and (config.tcp_port or not config.enable_tcp))


async def _ports(config: NetworkConfig) -> tuple[int, int]:
    """The ports that will be bound. Peers are told them, so they must be known before the machine begins."""
    udp_port = config.port if config.enable_udp else 0
    tcp_port = config.tcp_port if config.enable_tcp else 0
    try:
        if config.enable_udp and not udp_port:
            host, _ = await listening_address("UDP", (config.host, 0))
            with open_udp_socket(host, 0) as probe:
                udp_port = probe.getsockname()[1]
        if config.enable_tcp and not tcp_port:
            host, _ = await listening_address("TCP", (config.host, 0))
            with open_tcp_listener(host, 0) as probe:
                tcp_port = probe.getsockname()[1]
    except StartError as error:
        raise with_the_way_out(str(error), error.__cause__, host="host", port="port") from error
    return udp_port, tcp_port
