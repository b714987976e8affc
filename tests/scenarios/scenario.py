"""One random scenario of two endpoints on a bad network, made, run and judged by its seed alone.

The promise under test: every reliable message is delivered exactly once, or the end of its connection is reported; and
whatever a side was told about a message is true.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from random import Random

from node.errors import Code, QueueFull, UnknownPeer
from node.impairment.link import GilbertElliott, LinkSettings, Order
from node.transport.congestion import CONTROLLERS
from node.transport.events import Closed, Connected, Delivery, MessageAcknowledged, MessageFailed, MessageReceived
from node.transport.settings import TransportSettings
from node.types import MILLISECOND, SECOND, Address, Duration, from_seconds
from node.wire.header import PacketType, parse_header
from node.wire.limits import HEADER_BYTES, MTU_MAX, MTU_MIN
from tests.pair import SERVER, Pair, Side

__all__ = ["Scenario", "Sent"]

TRAFFIC_SECONDS = 4.0
SETTLE_SECONDS = 240.0
LABEL_BYTES = 6


@dataclass(slots=True)
class Sent:
    """A message that was accepted; its payload begins with its number, so that each is one of a kind.

    sender: the life of the node that sent it.
    """

    sender: Side
    payload: bytes
    delivery: Delivery
    channel: int
    timeout: float | None
    message_id: int
    connection: int


@dataclass
class Scenario:
    """Everything that the seed decides.

    has_outage: a link was cut, or was such that no timer fits it, so that closing is allowed.
    past: earlier lives of the server, which crashed. moves: how often the client got another address.
    numbers_seen, numbers_reused: nonces that went over the links, and how many of them went twice.
    """

    seed: int
    random: Random = field(init=False)
    pair: Pair = field(init=False)
    sent: dict[str, list[Sent]] = field(default_factory=lambda: {"client": [], "server": []})
    has_outage: bool = False
    past: list[Side] = field(default_factory=list)
    moves: int = 0
    numbers_seen: set[bytes] = field(default_factory=set)
    numbers_reused: int = 0

    def __post_init__(self) -> None:
        self.random = Random(f"scenario {self.seed}")
        settings = self._transport_settings()
        self.pair = Pair(seed=self.seed, client_settings=settings, server_settings=self._transport_settings())
        self._set_links()
        self._inject = self.pair.world.inject
        self.pair.world.inject = self._watch  # type: ignore[method-assign]

    # --- making

    def _transport_settings(self) -> TransportSettings:
        random = self.random
        mtu = random.choice((1200, 1400, 1400, 9000))
        mss = random.choice((256, 1400, 1400, 9000))
        return TransportSettings(
            mtu=mtu,
            mss=mss,
            initial_window=random.choice((20_000, 65_535, 1_000_000)),
            min_rto=random.choice((25, 200, 1_000)) * MILLISECOND,
            max_ack_delay=random.choice((0, 10, 25)) * MILLISECOND,
            segments_max=random.choice((1, 16)),
            congestion=random.choice(CONTROLLERS),
        )

    def _set_links(self) -> None:
        self.pair.world.set_link(self.pair.client.address, SERVER, self._link(), both=False)
        self.pair.world.set_link(SERVER, self.pair.client.address, self._link(), both=False)

    def _link(self) -> LinkSettings:
        random = self.random
        delay = random.choice((0, 1, 10, 50, 150)) * MILLISECOND

        def sometimes(highest: float) -> float:
            return random.choice((0.0, 0.0, highest * random.random()))

        link = LinkSettings(
            delay=delay,
            jitter=int(delay * sometimes(1.0)),
            order=random.choice(tuple(Order)),
            loss=sometimes(0.2),
            bursts=random.choice((None, None, GilbertElliott(p=0.01, r=0.3))),
            reorder=sometimes(0.1),
            duplicate=sometimes(0.2),
            corrupt=sometimes(0.05),
            rate=random.choice((0, 0, 200_000, 5_000_000)),
            limit=random.choice((20, 1_000)),
            mtu=random.choice((MTU_MAX, MTU_MAX, MTU_MAX, MTU_MIN, 1_300)),
        )
        # Some packets pass by a queue of seconds within a millisecond: whatever a timer learns is wrong for the others.
        self.has_outage |= bool(link.reorder and link.rate)
        return link

    # --- running

    def run(self) -> None:
        """Connects, sends for some seconds while the network misbehaves, heals it and lets everything settle."""
        pair, random = self.pair, self.random
        pair.client.connect(SERVER)
        for name in self.sent:
            for _ in range(random.randrange(0, 60)):
                at = from_seconds(random.uniform(0, TRAFFIC_SECONDS))
                pair.world.call_at(at, partial(self._send, name))
        for _ in range(random.randrange(0, 4)):
            pair.world.call_at(from_seconds(random.uniform(0, TRAFFIC_SECONDS)), self._disturb)
        pair.run(TRAFFIC_SECONDS)
        pair.world.set_link(pair.client.address, SERVER, LinkSettings(delay=10 * MILLISECOND))
        pair.run_until(self._is_settled, SETTLE_SECONDS)
        pair.run(1)
        # A connection that has come about in that second may just have something under way.
        pair.run_until(self._is_settled, 5)

    def _watch(self, source: Address, target: Address, data: bytes, ecn: int = 0) -> None:
        # Connection id and packet number: the nonce under one key. A second use would give both plaintexts away.
        header = parse_header(data)
        if header.packet_type is PacketType.DATA:
            nonce = repr(source).encode() + data[4:HEADER_BYTES]
            self.numbers_reused += nonce in self.numbers_seen
            self.numbers_seen.add(nonce)
        self._inject(source, target, data, ecn)

    def _side(self, name: str) -> Side:
        return self.pair.client if name == "client" else self.pair.server

    def _send(self, name: str) -> None:
        random, side = self.random, self._side(name)
        delivery = random.choice((Delivery.RELIABLE, Delivery.RELIABLE, Delivery.ORDERED, Delivery.UNRELIABLE))
        size = random.choice((0, 1, 100, 255, 256, 1_100, 5_000, 40_000))
        if delivery is Delivery.UNRELIABLE:
            size = min(size, 200)
        channel = random.randrange(3) if delivery is Delivery.ORDERED else 0
        timeout = random.choice((None, None, 0.05, 0.5, 5.0)) if delivery is Delivery.RELIABLE else None
        number = len(self.sent[name])
        payload = (delivery.to_bytes(1, "big") + bytes([channel]) + number.to_bytes(4, "big")).ljust(
            LABEL_BYTES + size, bytes([number % 256])
        )
        if side.handle is None:
            return
        try:
            message_id = side.send(payload, delivery, timeout=timeout, channel=channel)
        except (UnknownPeer, QueueFull):
            return
        self.sent[name].append(Sent(side, payload, delivery, channel, timeout, message_id, side.handle))

    def _disturb(self) -> None:
        pair, random = self.pair, self.random
        match random.choice(("link", "pause", "cut", "half cut", "clean", "restart", "move")):
            case "link":
                self._set_links()
            case "pause":
                side = random.choice(pair.sides)
                pair.world.pause(side.host, random.randrange(0, 500) * MILLISECOND)
            case "cut":
                self._cut(both=True)
            case "half cut":
                self._cut(both=False)
            case "restart":
                self._restart()
            case "move":
                self._move()
            case _:
                pair.world.set_link(pair.client.address, SERVER, LinkSettings())

    def _cut(self, *, both: bool) -> None:
        # Longer than the shortest of RTOs survives, shorter than the idle timeout.
        self.has_outage = True
        self.pair.world.set_link(self.pair.client.address, SERVER, LinkSettings(loss=1.0), both=both)
        heal_at = self.pair.world.now + self.random.randrange(10, 3_000) * MILLISECOND
        self.pair.world.call_at(heal_at, self._set_links)

    def _move(self) -> None:
        # Whoever is only sent to does not show where it went: the other end may give up.
        self.has_outage = True
        self.moves += 1
        host, port = self.pair.client.address
        address = (f"10.0.1.{self.moves}", port) if self.random.randrange(2) else (host, port + 1)
        self.pair.world.move_host(self.pair.client.host, address)
        self._set_links()

    def _restart(self) -> None:
        self.past.append(self.pair.server)
        self.pair.restart_server()
        # As nodes do, one of the two dials after a while; the other may still believe in the old connection.
        at = self.pair.world.now + self.random.randrange(0, 2_000) * MILLISECOND
        self.pair.world.call_at(at, self._dial)

    def _dial(self) -> None:
        if self.random.randrange(2):
            self.pair.client.connect(SERVER)
        else:
            self.pair.server.connect(self.pair.client.address)

    def _is_settled(self) -> bool:
        for name in self.sent:
            side = self._side(name)
            finished = len(side.of(MessageAcknowledged)) + len(side.of(MessageFailed))
            if finished < sum(one.delivery is not Delivery.UNRELIABLE for one in self._sent_by(side, name)):
                return False
            if any(snapshot.bytes_in_flight for snapshot in side.endpoint.snapshots()):
                return False
        return True

    def _sent_by(self, side: Side, name: str) -> list[Sent]:
        return [one for one in self.sent[name] if one.sender is side]

    # --- judging

    def check(self) -> None:
        """Raises AssertionError where a promise was broken."""
        pair = self.pair
        servers = [*self.past, pair.server]
        for side in (pair.client, *servers):
            self._check_events(side)
        self._check_arrivals(self.sent["client"], servers)
        self._check_arrivals(self.sent["server"], [pair.client])
        for name, receivers in (("client", servers), ("server", [pair.client])):
            self._check_outcomes(self._sent_by(self._side(name), name), self._side(name), receivers)
            self._check_rest(self._side(name))
        assert self.numbers_reused == 0, "a packet number was used twice"
        assert pair.world.undeliverable == 0 or self.moves

    def _check_events(self, side: Side) -> None:
        connected: set[int] = set()
        closed: set[int] = set()
        for event in side.events:
            handle: int = event.connection  # type: ignore[attr-defined]
            assert handle not in closed, f"{event} after the end of its connection"
            match event:
                case Connected():
                    assert handle not in connected
                    connected.add(handle)
                case Closed():
                    closed.add(handle)
                    assert self._may_close(event), f"{event} without a reason in the network"
                case MessageReceived():
                    assert handle in connected
                case _:
                    pass

    def _may_close(self, event: Closed) -> bool:
        if event.code is Code.REPLACED:
            return bool(self.past)
        # A peer that gave up knows the connection no more than one that was started again.
        ends = (Code.RETRIES_EXHAUSTED, Code.HANDSHAKE_TIMEOUT, Code.IDLE_TIMEOUT, Code.PEER_RESTARTED)
        return (self.has_outage or bool(self.past)) and event.code in ends

    def _check_arrivals(self, sent: list[Sent], receivers: list[Side]) -> None:
        received = Counter(payload for receiver in receivers for payload in receiver.received())
        twice = [payload[:LABEL_BYTES] for payload, count in received.items() if count > 1]
        assert not twice, f"delivered more than once: {twice}"
        assert received.keys() <= {one.payload for one in sent}, "something arrived that nobody sent"
        for receiver in receivers:
            self._check_order(sent, receiver.received(Delivery.ORDERED))

    def _check_order(self, sent: list[Sent], arrived: list[bytes]) -> None:
        # An ordered channel lives and ends with its connection.
        channels: dict[tuple[int, int, int], list[bytes]] = {}
        for one in sent:
            if one.delivery is Delivery.ORDERED:
                channels.setdefault((id(one.sender), one.connection, one.channel), []).append(one.payload)
        for expected in channels.values():
            found = [payload for payload in arrived if payload in expected]
            assert found == expected[: len(found)], "a channel is out of order"

    def _check_outcomes(self, sent: list[Sent], sender: Side, receivers: list[Side]) -> None:
        received = {payload for receiver in receivers for payload in receiver.received()}
        acknowledged = Counter((event.connection, event.message_id) for event in sender.of(MessageAcknowledged))
        failed = {(event.connection, event.message_id): event.expired for event in sender.of(MessageFailed)}
        has_closed = bool(sender.of(Closed))
        for one in sent:
            if one.delivery is Delivery.UNRELIABLE:
                continue
            key = (one.connection, one.message_id)
            assert (key in acknowledged) != (key in failed), f"message {key} has not exactly one outcome"
            assert acknowledged[key] <= 1, f"message {key} acknowledged twice"
            if key in acknowledged:
                # What waited for its turn in a channel went down with the connection, or with its peer's process.
                may_be_lost = one.delivery is Delivery.ORDERED and (has_closed or bool(self.past))
                assert one.payload in received or may_be_lost, f"message {key} acknowledged, not delivered"
            else:
                assert has_closed or (failed[key] and one.timeout is not None), f"message {key} failed for no reason"

    def _check_rest(self, side: Side) -> None:
        for snapshot in side.endpoint.snapshots():
            assert snapshot.send_queue_messages == 0
            assert snapshot.bytes_in_flight == 0
            assert snapshot.effective_rto >= side.endpoint.settings.min_rto
            assert snapshot.computed_rto < 30 * SECOND
        due: Duration | None = side.endpoint.next_timeout()
        assert due is None or due > side.now - SECOND
