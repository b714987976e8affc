"""The node as a program runs it: key, sockets, machine, metrics and API, from `start` to `stop`.

Everything that needs the outside world is put together here, and nothing is decided here: what the network does is the
machine's affair (`node.core`), what HTTP answers is `node.api`'s. A node is made, started, stopped, and may be started
again.

    node = Node(NetworkConfig(port=9000))
    node.register_data_handler(lambda data, author: print(author[:8], data))
    await node.start()
    await node.broadcast({"text": "hello"})
    await node.stop()
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import AsyncExitStack
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any

from node.api.access import Access
from node.api.server import ApiServer
from node.config import FIELDS, NetworkConfig, format_address, read_token
from node.config.network import KEY_FILE
from node.config.version import package_version
from node.core.events import DataReceived, DialFailed, PeerDown, PeerUp, Problem
from node.core.snapshot import NodeSnapshot
from node.core.state import Rows
from node.errors import Code, ConnectionFailed, NotRunning, SendTimeout, StartError, UnknownPeer, UsageError
from node.identity.keys import Identity
from node.messages.packing import Value
from node.messages.types import MessageType
from node.metrics.readings import Observation, RuntimeStats
from node.node.api_source import ApiSource
from node.node.blank import blank_snapshot
from node.node.chaos import Chaos
from node.node.chronicle import Chronicle
from node.node.engine import Engine, Life, Target
from node.node.goal import checked_timeout, parse_goal
from node.node.handlers import DataHandler, DataHandlers
from node.node.keeper import Keeper
from node.node.listening import open_http_listener
from node.node.log import EventLog
from node.node.observer import Observer
from node.node.qlog import Recorder, files_for
from node.node.resolver import Names, ResolutionError, family_of
from node.node.upkeep import follow, keep_health_file, measure_lag, resolve_seeds, watch_clock
from node.node.views import GossipView, PeerManager, PeerName, TrustView, named
from node.storage.keyfile import load_or_create, lock
from node.transport.shell import random_identity
from node.transport.tcp_transport import TCPTransport
from node.transport.udp_socket import SocketStats
from node.transport.udp_transport import UDPTransport
from node.types import MILLISECOND, Address, Duration, Instant, short_id, to_seconds

__all__ = ["Node"]

SEND_TIMEOUT = 5.0
"""Seconds in which a peer must acknowledge a message of `send_message`, unless the caller says otherwise."""

_NO_NEWS = (Code.SHUTDOWN, Code.SELF_CONNECTION, Code.DUPLICATE_IDENTITY)
"""Ends of a dial of which there is nothing to say: this node stops, this node itself, reported as a problem already."""


class _Life(StrEnum):
    NEW = "new"
    STARTING = "starting"
    RUNNING = "running"
    STOPPED = "stopped"


class Node:
    """One node of the network.

    config: see NetworkConfig. identity: instead of the key file of `config.data_dir`. Making a node reads its key file,
    and writes it if there is none; nothing else happens before `start`. Raises StartError.

    udp_transport, tcp_transport: None before `start`, and where the configuration switches them off.
    arrange: called in every life before the node takes part, for testnets that begin with bad links.
    """

    def __init__(self, config: NetworkConfig | None = None, *, identity: Identity | None = None) -> None:
        self.config = config if config is not None else NetworkConfig()
        self.identity = identity if identity is not None else _own_identity(self.config)
        self.name = self.config.name or f"node-{short_id(self.identity.public_key)}"
        self.wall_offset: Duration = time.time_ns() - time.monotonic_ns()
        self.peer_manager = PeerManager(self)
        self.gossip = GossipView(self)
        self.trust_manager = TrustView(self)
        self.http_address: Address | None = None
        self.chronicle = Chronicle(self.wall_offset)
        self.arrange: Callable[[Engine], None] = lambda _: None
        self._runtime = RuntimeStats()
        self._log = EventLog(self._runtime)
        self._handlers = DataHandlers(self)
        self._observer = Observer(
            self.config,
            self._runtime,
            self.wall_offset,
            snapshot=self.snapshot,
            socket_stats=self._socket_stats,
            state_report=self._state_report,
        )
        self._observer.chaos = lambda: None if self.chaos is None else self.chaos.reading()
        self._unreachable: dict[Address, bool] = {}
        self._life = _Life.NEW
        self._epoch = 0
        self._names = Names(partial(self._has, "dns"))
        self._remembered: Rows = {}
        self._keeper = Keeper("", self.identity.public_key, self._log, self._runtime)
        self._engine: Engine | None = None
        self._stack = AsyncExitStack()
        self._stopping: asyncio.Task[None] | None = None
        self._ended = asyncio.Event()
        self._opening = asyncio.Lock()
        self._failure: BaseException | None = None

    # --- life ---------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Opens every socket and takes part in the network; does nothing while running.

        Raises StartError, with everything that had been opened closed again; UsageError while it starts or stops. A
        node that was stopped may be started again: it has the same key, handlers and memory, and a new epoch.
        """
        if self._stopping is not None and not self._stopping.done():
            raise UsageError("a node that is stopping cannot be started yet")
        if self._life is _Life.RUNNING:
            return
        if self._life is _Life.STARTING:
            raise UsageError("a node that is starting cannot be started again")
        before, self._life = self._life, _Life.STARTING
        self._stopping, self._failure = None, None
        self._ended.clear()
        self._handlers.open()
        has_opened = False
        try:
            async with self._opening, AsyncExitStack() as stack:
                await self._open(stack)
                self._stack = stack.pop_all()
            has_opened = True
        finally:
            self._life = _Life.RUNNING if has_opened else before
            if not has_opened:
                self._engine, self.http_address = None, None
                if before is _Life.STOPPED:
                    self._ended.set()
        self.chronicle.started(self.identity.public_key, self._running().now())
        self._log.info("node_started", **self._introduction())

    async def stop(self) -> None:
        """Takes leave of every peer and closes everything; ends in under a second, may be called again and again.

        While the node starts, that is waited for first.
        """
        async with self._opening:
            pass  # otherwise it would run on, and whoever stopped it would not know
        if self._stopping is None:
            if self._life is not _Life.RUNNING:
                return
            # One stop for all callers: it must not end half-way because one of them is cancelled.
            self._stopping = asyncio.get_running_loop().create_task(self._stop())
        await asyncio.shield(self._stopping)

    async def wait(self) -> None:
        """Returns when the node has stopped; raises what ended it, if a bug of ours did."""
        await self._ended.wait()
        if self._failure is not None:
            raise self._failure

    async def __aenter__(self) -> Node:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    # --- messages -----------------------------------------------------------------------------------------------

    def register_data_handler(self, handler: DataHandler) -> None:
        """Calls `handler(data, sender_id)` once for every message that reaches this node, broadcast or not.

        data: what the author passed to `broadcast` or `send_message`. sender_id: the author's node id, proved by a
        signature. handler: a function, called on the spot, or a coroutine function; calls begin in order of arrival.
        """
        self._handlers.register(handler)

    async def broadcast(
        self,
        data: dict[str, Value],
        *,
        wait: str | None = None,
        timeout: float = SEND_TIMEOUT,  # noqa: ASYNC109 - the name that the callers know
        exclude: Iterable[PeerName] | None = None,
    ) -> str:
        """Sends to every node, each of which delivers it once; returns the id of the message.

        wait: None or "queued" to return at once; "acked:k" once k peers have acknowledged a copy; "covered" once every
        living member that it was sent to is known to have it, which links this node with all of them for a moment.
        timeout: seconds for that. exclude: peers that get no copy from this node itself.
        Raises ReceiptTimeout, which says how far it came; Backpressure when the network takes no more for now;
        NotRunning, MessageTooLarge, UsageError for what no message can hold.
        """
        engine, goal, seconds = self._running(), parse_goal(wait), checked_timeout(timeout)
        message_id = engine.broadcast(data, goal, exclude=[named(name) for name in exclude or ()])
        self.chronicle.published(message_id, engine.now())
        if goal is not None:
            await engine.pursue(message_id, seconds)
        return message_id

    async def send_message(
        self,
        peer_addr: PeerName,
        message: Value,
        reliable: bool = True,
        timeout: float = SEND_TIMEOUT,  # noqa: ASYNC109 - the name that the callers know
    ) -> None:
        """Sends to one node; with `reliable`, returns once it has acknowledged, else once the message is on its way.

        peer_addr: a node id of a known peer, or an address, which is dialled if need be. timeout: seconds.
        Raises SendTimeout (the peer is marked slow), ConnectionFailed (marked down), UnknownPeer, MessageTooLarge,
        QueueFull, NotRunning.
        """
        engine, timeout = self._running(), checked_timeout(timeout)
        target = await self._target(peer_addr)
        try:
            await engine.send(target, message, reliable=reliable, seconds=timeout)
        except SendTimeout:
            self._log.warning("send_timed_out", peer=_call(target), timeout=timeout)
            with contextlib.suppress(UnknownPeer):
                engine.mark_slow(target)
            raise
        except ConnectionFailed as error:
            if error.code is not Code.SHUTDOWN:
                self._log.warning("send_failed", peer=_call(target), reason=str(error))
                with contextlib.suppress(UnknownPeer):
                    engine.mark_down(target)
            raise

    # --- what it shows ------------------------------------------------------------------------------------------

    def get_stats(self) -> dict[str, Any]:
        """Everything the node knows about itself, fit for JSON, in every state. Durations are seconds."""
        return self._observer.stats()

    def snapshot(self) -> NodeSnapshot:
        """The node at this instant."""
        if self._engine is None:
            return blank_snapshot(self.identity, self.config, self.name)
        return self._engine.snapshot()

    def observe(self) -> Observation:
        """Everything that metrics are made of, for `node.metrics.collector`."""
        return self._observer.observe()

    @property
    def chaos(self) -> Chaos | None:
        """What a controller may do to this node; None unless `chaos_control` is on and the node runs."""
        return None if self._engine is None else self._engine.chaos

    @property
    def udp_transport(self) -> UDPTransport | None:
        """The UDP transport of a started node."""
        return None if self._engine is None else self._engine.udp

    @property
    def tcp_transport(self) -> TCPTransport | None:
        """The TCP transport of a started node."""
        return None if self._engine is None else self._engine.tcp

    # --- for the views and the API ------------------------------------------------------------------------------

    async def connect(self, peer: PeerName, seconds: float) -> str:
        """As `PeerManager.connect_to_peer`."""
        engine, seconds = self._running(), checked_timeout(seconds)
        target = named(peer)
        address = engine.address_of(target) if isinstance(target, bytes) else await self._resolve(target)
        return (await engine.connect(address, seconds)).hex()

    def mark_slow(self, peer: PeerName) -> None:
        """As `PeerManager.mark_peer_slow`."""
        self._running().mark_slow(named(peer))

    def mark_down(self, peer: PeerName) -> None:
        """As `PeerManager.mark_peer_down`."""
        self._running().mark_down(named(peer))

    def take(self, peer: PeerName, kind: MessageType, body: bytes, signature: bytes) -> None:
        """As `GossipView.handle_message` and `TrustView.handle_update`."""
        self._running().take(named(peer), kind, body, signature)

    # --- what the engine tells (Audience, Witness) --------------------------------------------------------------

    def peer_up(self, event: PeerUp) -> None:
        """A peer became active."""
        for address in (event.address, *event.aliases):
            if address in self._unreachable:
                self._unreachable[address] = False
        self.chronicle.peer_up(event, self._now())
        self._log.info("peer_up", peer=short_id(event.node_id), name=event.name)

    def peer_down(self, event: PeerDown) -> None:
        """An active peer is gone."""
        self.chronicle.peer_down(event, self._now())
        self._log.info("peer_down", peer=short_id(event.node_id), name=event.name, reason=event.reason)

    def data_received(self, event: DataReceived) -> None:
        """A message for the application."""
        author = event.origin.hex()
        self._log.debug(
            "message_delivered", id=event.message_id, author=author[:8], hops=event.hops, age=to_seconds(event.age)
        )
        self.chronicle.delivered(event, self._now())
        self._handlers.dispatch(event.payload, author)

    def dial_failed(self, event: DialFailed) -> None:
        """A dial ended without a peer."""
        address = format_address(event.address)
        reason = event.hint or event.reason or event.code.name.lower()
        is_explained = bool(event.hint) or event.code in _NO_NEWS
        if self._unreachable.get(event.address) is False and not is_explained:
            self._unreachable[event.address] = True  # said once, until it was reached
            self._log.warning("bootstrap_unreachable", address=address, reason=reason, action="retrying")
        else:
            self._log.debug("dial_failed", address=address, reason=reason)

    def problem(self, event: Problem) -> None:
        """Something that a person should look at."""
        self._log.warning(event.kind, text=event.text)

    def handler_failed(self, error: BaseException) -> None:
        """A handler of the application raised."""
        self._runtime.handler_errors += 1
        self._log.failure("handler_failed", error, kind=type(error).__name__)

    def handler_dropped(self) -> None:
        """A message found no room in the queue of the application's handlers."""
        self._runtime.handler_drops += 1
        self._log.warning("handler_queue_full", action="message dropped")

    # --- private ------------------------------------------------------------------------------------------------

    async def _open(self, stack: AsyncExitStack) -> None:
        config = self.config
        keeper = Keeper(config.data_dir, self.identity.public_key, self._log, self._runtime)
        keeper.is_full = partial(self._has, "disk_full")
        if config.data_dir:
            stack.enter_context(_locked(config.data_dir, self._log))
        stack.callback(keeper.close)
        remembered = keeper.load()
        token = read_token(config)
        listener = await open_http_listener(config.metrics_host, config.metrics_port) if config.enable_http else None
        if listener is not None:
            stack.callback(listener.close)
        earliest = max(self._epoch + 1, (time.monotonic_ns() + self.wall_offset) // MILLISECOND)
        self._epoch = await keeper.begin(remembered, earliest)
        recorder = Recorder(files_for(config, self.identity.public_key, self._epoch), self._log)
        life = Life(
            epoch=self._epoch,
            wall_offset=self.wall_offset,
            remembered=self._remembered or remembered,
            arrange=self.arrange,
        )
        engine = await Engine.start(config, self.identity, self, name=self.name, life=life)
        stack.push_async_callback(self._remember, engine, keeper)
        stack.push_async_callback(recorder.finish, engine.machine.udp)
        stack.push_async_callback(engine.stop)
        stack.push_async_callback(self._handlers.close)
        engine.limit_segments(self._observer.is_impaired())
        self._engine, self._keeper = engine, keeper
        upkeep = asyncio.get_running_loop().create_task(self._keep_up(engine, keeper, recorder))
        upkeep.add_done_callback(self._on_upkeep_done)
        stack.push_async_callback(_cancel, upkeep)
        if listener is not None:
            access = Access(token, config.api_hosts)
            server = ApiServer(ApiSource(self, self._observer), access)
            stack.push_async_callback(server.stop)
            await server.start(listener)
            self.http_address = listener.getsockname()[:2]

    async def _remember(self, engine: Engine, keeper: Keeper) -> None:
        self._remembered = engine.last_words
        await keeper.finish(engine.last_words)

    async def _keep_up(self, engine: Engine, keeper: Keeper, recorder: Recorder) -> None:
        config = self.config
        jobs: list[Coroutine[Any, Any, None]] = [
            measure_lag(self._runtime.loop_lag, engine.set_lag),
            watch_clock(self.wall_offset, self._runtime, self._log),
            recorder.keep(engine.machine.udp),
        ]
        if config.data_dir:
            machine = engine.machine
            jobs.append(keeper.keep(partial(machine.export_state, is_final=False), machine.export_watermarks))
        if config.health_file:
            jobs.append(keep_health_file(config.health_file, self._observer.is_ready, self._log))
        if config.impairment_file:
            jobs.append(follow(lambda: engine.limit_segments(self._observer.is_impaired())))
        jobs.extend(
            resolve_seeds(seed, config.host, partial(self._add_bootstrap, engine), self._log, self._names.resolve)
            for seed in config.bootstrap_addresses
        )
        async with asyncio.TaskGroup() as group:
            for job in jobs:
                group.create_task(job)

    def _add_bootstrap(self, engine: Engine, address: Address) -> None:
        self._unreachable.setdefault(address, False)
        engine.add_bootstrap(address)

    def _on_upkeep_done(self, upkeep: asyncio.Task[None]) -> None:
        error = None if upkeep.cancelled() else upkeep.exception()
        if error is not None:
            self._failure = error
            self._log.failure("node_failed", error)
            self._ended.set()

    async def _stop(self) -> None:
        began_at = time.monotonic_ns()
        self._life = _Life.STOPPED
        self._log.info("node_stopping")
        await self._stack.aclose()
        self._log.info("node_stopped", seconds=to_seconds(time.monotonic_ns() - began_at))
        self._ended.set()

    def _introduction(self) -> dict[str, object]:
        udp, tcp = self.udp_transport, self.tcp_transport
        return {
            "name": self.name,
            "node": self.identity.node_id,
            "version": package_version(),
            "network": self.config.network_id,
            "udp": "off" if udp is None else format_address(udp.local_address),
            "tcp": "off" if tcp is None else format_address(tcp.local_address),
            "http": "off" if self.http_address is None else format_address(self.http_address),
            "profile": self.config.profile,
            "min_rto": self.config.min_rto,
        }

    def _now(self) -> Instant:
        return time.monotonic_ns() if self._engine is None else self._engine.now()

    def _running(self) -> Engine:
        if self._engine is None or self._life is not _Life.RUNNING:
            raise NotRunning(f"the node is {self._life}")
        return self._engine

    def _state_report(self) -> dict[str, Any]:
        return self._keeper.report()

    def _socket_stats(self) -> SocketStats | None:
        if not self.config.enable_udp:
            return None
        return SocketStats() if self.udp_transport is None else self.udp_transport.socket_stats

    def _has(self, affliction: str) -> bool:
        return self.chaos is not None and self.chaos.afflictions.has(affliction)

    async def _target(self, peer: PeerName) -> Target:
        target = named(peer)
        return target if isinstance(target, bytes) else await self._resolve(target)

    async def _resolve(self, address: Address) -> Address:
        try:
            found = await self._names.resolve(address, family_of(self.config.host))
        except ResolutionError as error:
            raise ConnectionFailed(Code.HANDSHAKE_FAILED, f"{format_address(address)}: {error}") from error
        return found[0]


def _own_identity(config: NetworkConfig) -> Identity:
    return load_or_create(Path(config.data_dir) / KEY_FILE) if config.data_dir else random_identity()


@contextlib.contextmanager
def _locked(directory: str, log: EventLog) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        try:
            problem = stack.enter_context(lock(directory))
        except StartError as error:
            raise StartError(
                f"{error}; choose another with {FIELDS['data_dir'].flag} or {FIELDS['port'].flag}"
            ) from error
        if problem:
            log.warning("data_directory_not_locked", text=problem)
        yield


def _call(target: Target) -> str:
    return short_id(target) if isinstance(target, bytes) else format_address(target)


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
