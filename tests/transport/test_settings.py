"""Every setting of the transport does what it says: two or more values of each, and what is then seen from outside.

What is seen are datagrams on a virtual wire, their instants and marks, ends of connections and what callers are told;
never the setting itself. The tables at the end hold the list complete.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any

import pytest

from node.config import NetworkConfig
from node.config.fields import FIELDS
from node.crypto.suites import CIPHERS, Suite
from node.errors import Code, UsageError
from node.impairment.link import LinkSettings
from node.node.engine import core_settings
from node.transport.congestion import CONTROLLERS
from node.transport.events import Closed, Connected
from node.transport.packet import Transmit
from node.transport.settings import TransportSettings
from node.transport.stats import EndpointStats
from node.types import MILLISECOND, SECOND, Address, Instant
from node.wire.header import PacketType, parse_header
from node.wire.limits import HEADER_BYTES, MSS_MIN, REASSEMBLY_BYTES_MAX, TAG_BYTES
from tests.pair import CLIENT, SERVER, Pair, make_side
from tests.transport.sleeping import Naps
from tests.transport.watching import transport

ENVELOPE = HEADER_BYTES + TAG_BYTES
DELAY = 10 * MILLISECOND
RTT = 2 * DELAY


@dataclass(frozen=True)
class Seen:
    """One datagram on the wire. at: of the world's clock."""

    at: Instant
    source: Address
    target: Address
    data: bytes
    ecn: int

    @property
    def kind(self) -> PacketType:
        return parse_header(self.data).packet_type


class Watched(Pair):
    """A pair of which every datagram is seen, those included that a cut line loses."""

    def __init__(self, *, link: LinkSettings | None = None, **changed: Any) -> None:
        """changed: settings of both ends."""
        settings = TransportSettings(**changed)
        super().__init__(link=link or LinkSettings(delay=DELAY), client_settings=settings)
        self.seen: list[Seen] = []
        inject = self.world.inject

        def watch(source: Address, target: Address, data: bytes, ecn: int = 0) -> None:
            self.seen.append(Seen(self.world.now, source, target, data, ecn))
            inject(source, target, data, ecn)

        self.world.inject = watch  # type: ignore[method-assign]

    def data(self, source: Address = CLIENT) -> list[Seen]:
        """The DATA packets from there."""
        return [one for one in self.seen if one.source == source and one.kind is PacketType.DATA]

    def cut(self) -> None:
        self.set_link(LinkSettings(loss=1.0))


def connected(**changed: Any) -> Watched:
    pair = Watched(**changed)
    pair.connect()
    # The first round trips are over, and the packet size is found.
    pair.client.send(bytes(60_000))
    pair.run(2)
    pair.seen.clear()
    return pair


def silenced(**changed: Any) -> tuple[list[float], Closed]:
    """A message into a line that was cut: when its rounds leave, in seconds since the first packet, and the end."""
    pair = connected(**{"idle_timeout": 3600 * SECOND, **changed})
    pair.cut()
    pair.client.send(b"hello?")
    pair.run(3000)
    times = sorted({(one.at - pair.seen[0].at) / SECOND for one in pair.data()})
    end = pair.client.closed()
    assert end is not None
    return times, end


# --- sizes


def test_mtu_is_the_largest_datagram() -> None:
    for mtu in (1200, 1300, 1472):
        pair = connected(mtu=mtu, mss=mtu)
        pair.client.send(bytes(100_000))
        pair.run(2)
        assert max(len(one.data) for one in pair.seen) == mtu


def test_mss_is_the_largest_content_of_a_packet() -> None:
    for mss in (MSS_MIN, 700, 1300):
        pair = connected(mss=mss)
        pair.client.send(bytes(50_000))
        pair.run(2)
        assert max(len(one.data) for one in pair.data()) == mss + ENVELOPE


def test_segments_max_is_how_many_packets_leave_in_one_call() -> None:
    for segments_max in (1, 4, 9):
        pair = Watched(segments_max=segments_max)
        batches: list[int] = []
        poll = pair.client.endpoint.poll_transmit

        def count(now: Instant, poll: Any = poll, batches: list[int] = batches) -> Transmit | None:
            transmit: Transmit | None = poll(now)
            if transmit is not None:
                batches.append(-(-len(transmit.data) // transmit.segment_size))
            return transmit

        pair.client.endpoint.poll_transmit = count  # type: ignore[method-assign]
        pair.connect()
        pair.client.send(bytes(200_000))
        pair.run(2)
        assert max(batches) == segments_max


def test_initial_window_is_what_may_be_sent_before_any_credit() -> None:
    for window in (4_000, 9_000):
        pair = Watched(initial_window=window, mtu=1200)
        pair.connect()
        pair.seen.clear()
        pair.client.send(bytes(100_000))
        pair.run(0.015)  # nothing has come back yet
        sent = sum(len(one.data) for one in pair.data())
        assert window <= sent <= window + 12 * ENVELOPE + 300


def test_reassembly_bytes_max_is_memory_for_messages_in_parts() -> None:
    # Nine messages that stop before their end; each takes a MiB of what all connections share.
    for size, has_room in ((REASSEMBLY_BYTES_MAX, False), (2 * REASSEMBLY_BYTES_MAX, True)):
        pair = Pair(
            link=LinkSettings(delay=DELAY),
            client_settings=TransportSettings(max_retries=100, idle_timeout=3600 * SECOND),
            server_settings=TransportSettings(reassembly_bytes_max=size),
        )
        for number in range(9):
            address = (f"10.1.0.{number}", 9000)
            side = make_side(pair.world, address, pair.client_settings, seed=f"{number}", identity=10 + number)
            side.connect(SERVER)
            assert pair.run_until(lambda side=side: bool(side.of(Connected)), 5)  # type: ignore[misc]
            side.send(bytes(1 << 20))
            pair.run(0.05)
            pair.world.set_link(address, SERVER, LinkSettings(loss=1.0))
        assert (pair.server.endpoint.stats.packets_dropped["no_room"] == 0) == has_room


# --- how many


def dialled(number: int, **changed: Any) -> tuple[Pair, EndpointStats]:
    """That many clients, each on a host of its own, have dialled one server at once and never confirm."""
    pair = Pair(link=LinkSettings(delay=DELAY), server_settings=TransportSettings(**changed))
    for index in range(number):
        address = (f"10.1.{index >> 8}.{index & 255}", 9000)
        side = make_side(pair.world, address, TransportSettings(), seed=f"{index}", identity=10 + index % 200)
        pair.world.set_link(SERVER, address, LinkSettings(loss=1.0), both=False)
        side.connect(SERVER)
    pair.run(0.05)
    return pair, pair.server.endpoint.stats


def test_a_connection_that_has_ended_makes_room_for_another_at_once() -> None:
    pair = Pair(client_settings=TransportSettings(max_connections=1))
    pair.connect()
    pair.client.disconnect()
    assert pair.client.snapshot.state == "closing"
    pair.client.connect(SERVER)
    with pytest.raises(UsageError, match="1 connections are open: max_connections allows no more"):
        pair.client.connect(SERVER)
    assert pair.run_until(lambda: len(pair.client.of(Connected)) == 2, 5)


def test_max_connections_is_how_many_peers_are_kept() -> None:
    for most in (1, 3):
        pair = Pair(link=LinkSettings(delay=DELAY), server_settings=TransportSettings(max_connections=most))
        for number in range(5):
            side = make_side(
                pair.world, (f"10.1.0.{number}", 9000), TransportSettings(), seed=f"{number}", identity=10 + number
            )
            side.connect(SERVER)
        pair.run(3)
        assert len(pair.server.of(Connected)) == most
        assert pair.server.endpoint.stats.handshakes_completed == 5, "the others were told"
        with pytest.raises(UsageError, match=f"{most} connections are open: max_connections allows no more"):
            pair.server.endpoint.connect(CLIENT, pair.server.now)


def test_half_open_max_is_how_many_strangers_may_be_on_their_way() -> None:
    for most in (4, 16):
        pair, stats = dialled(40, half_open_max=most)
        assert len(pair.server.endpoint._half_open) == most // 2
        assert stats.retries_sent == 40 - most // 2, "the others are asked for a cookie"


def test_handshake_rate_is_how_many_begin_per_second() -> None:
    for rate in (10, 50):
        pair, stats = dialled(60, handshake_rate=rate)
        assert len(pair.server.endpoint._half_open) == rate // 2
        assert stats.retries_sent == 60 - rate // 2


def test_handshake_rate_per_address_is_how_many_begin_per_second_from_one() -> None:
    for rate in (4, 20):
        pair = Pair(
            link=LinkSettings(delay=DELAY),
            server_settings=TransportSettings(handshake_rate_per_address=rate),
        )
        pair.world.set_link(SERVER, CLIENT, LinkSettings(loss=1.0), both=False)
        for _ in range(30):
            pair.client.connect(SERVER)
        pair.run(0.05)
        assert len(pair.server.endpoint._half_open) == rate // 2


# --- timers


def test_min_rto_is_the_least_time_between_retransmissions() -> None:
    for seconds in (0.3, 1.0):
        times, _ = silenced(min_rto=round(seconds * SECOND))
        # The packet, two probes at the computed timeout, then the effective one, doubled each time.
        gaps = [later - earlier for earlier, later in pairwise(times[2:])]
        assert gaps[0] == pytest.approx(seconds, rel=0.01)
        assert gaps[1] == pytest.approx(2 * seconds, rel=0.01)


def test_max_rto_is_the_most() -> None:
    for seconds in (0.5, 3.0, 60.0):
        times, _ = silenced(min_rto=SECOND // 4, max_rto=round(seconds * SECOND), max_retries=8)
        gaps = [later - earlier for earlier, later in pairwise(times)]
        assert max(gaps) == pytest.approx(min(seconds, 0.25 * 2**8), rel=0.01)


def test_max_retries_is_how_often_that_happens_before_the_end() -> None:
    for retries in (0, 1, 4):
        times, end = silenced(max_retries=retries)
        assert end.code is Code.RETRIES_EXHAUSTED
        assert str(retries) in end.reason
        assert len(times) == 4 + retries, "the packet, two probes, the retransmissions, and the CLOSE"


def test_idle_timeout_is_the_silence_that_ends_a_connection() -> None:
    for seconds in (5, 20):
        pair = connected(idle_timeout=seconds * SECOND)
        began = pair.world.now
        assert pair.run_until(lambda pair=pair: pair.client.closed() is not None, 100)  # type: ignore[misc]
        end = pair.client.closed()
        assert end is not None
        assert end.code is Code.IDLE_TIMEOUT
        # The last packet came within the two seconds before.
        assert seconds - 2 <= (pair.world.now - began) / SECOND <= seconds


def test_keep_alive_is_the_silence_after_which_a_sign_of_life_is_asked_for() -> None:
    for seconds in (0, 2, 5):
        pair = Watched(keep_alive=seconds * SECOND, idle_timeout=60 * SECOND)
        pair.server_settings = TransportSettings()
        pair.connect()
        pair.run(3)
        pair.seen.clear()
        pair.run(40)
        # Either end asks, and hears the other's question as a sign of life.
        asked = len(pair.data(CLIENT)) + len(pair.data(SERVER))
        assert bool(asked) == bool(seconds)
        if seconds:
            assert 40 / seconds <= asked <= 4 * 40 / seconds


def test_max_ack_delay_is_what_a_lone_packet_waits_for_twice() -> None:
    for milliseconds in (10, 100):
        pair = connected(max_ack_delay=milliseconds * MILLISECOND)
        pair.client.send(b"alone")
        pair.run(1)
        (sent, *_), (acked, *_) = pair.data(CLIENT), pair.data(SERVER)
        assert acked.at - sent.at - DELAY == pytest.approx(milliseconds * MILLISECOND // 2, rel=0.01)


# --- behaviour


def test_congestion_decides_what_a_loss_costs() -> None:
    delivered = {}
    for name in CONTROLLERS:
        link = LinkSettings(delay=DELAY, rate=2_000_000, loss=0.03, limit=200)
        pair = Pair(link=link, client_settings=TransportSettings(congestion=name))
        pair.connect()
        for _ in range(300):
            while pair.client.snapshot.send_queue_messages < 40:
                pair.client.send(bytes(10_000))
            pair.run(0.01)
        delivered[name] = len(pair.server.received())
    assert len(set(delivered.values())) == len(CONTROLLERS)
    assert delivered["lossfloor"] > 2 * max(delivered["newreno"], delivered["cubic"])


def test_suites_decide_how_packets_are_sealed() -> None:
    if Suite.AES_256_GCM not in CIPHERS:
        pytest.skip("this processor has no instructions for AES")
    both, one = tuple(CIPHERS), (Suite.CHACHA20_POLY1305,)
    for ours, theirs, agreed in ((both, both, Suite.AES_256_GCM), (both, one, one[0]), (one, both, one[0])):
        pair = Pair(client_settings=TransportSettings(suites=ours), server_settings=TransportSettings(suites=theirs))
        pair.connect()
        for side in pair.sides:
            protection = side.connection._protection
            assert protection is not None
            assert protection.suite is agreed


def test_ecn_decides_whether_packets_are_marked() -> None:
    for ecn in (True, False):
        pair = Watched(ecn=ecn)
        pair.connect()
        pair.client.send(bytes(50_000))
        pair.run(1)
        assert {one.ecn for one in pair.data()} >= ({2} if ecn else {0})
        assert any(one.ecn for one in pair.seen) == ecn


def test_network_id_decides_who_may_speak_to_whom() -> None:
    for theirs, is_ours in (("a", True), ("b", False)):
        pair = Pair(
            client_settings=TransportSettings(network_id="a"), server_settings=TransportSettings(network_id=theirs)
        )
        pair.client.connect(SERVER)
        pair.run(5)
        assert bool(pair.client.of(Connected)) == is_ours
        assert (pair.server.endpoint.stats.refusals_sent["network_mismatch"] > 0) != is_ours
        assert (pair.client.endpoint.stats.refusals_received["network_mismatch"] > 0) != is_ours


def test_qlog_bytes_max_is_what_is_remembered_of_a_connection() -> None:
    sizes = []
    for bytes_max in (0, 5_000, 50_000):
        pair = Watched(qlog_bytes_max=bytes_max)
        pair.connect()
        for _ in range(30):
            pair.client.send(bytes(20_000))
            pair.run(0.1)
        assert pair.client.handle is not None
        sizes.append(len(pair.client.endpoint.qlog(pair.client.handle) or b""))
    assert sizes[0] == 0
    assert 4_000 < sizes[1] < 6_000
    assert 48_000 < sizes[2] < 51_000


# --- the event loop


@pytest.mark.loopback
@pytest.mark.asyncio
async def test_busy_poll_is_how_long_the_event_loop_asks_before_it_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    naps = Naps(monkeypatch)
    for busy_poll in (2 * MILLISECOND, 10 * MILLISECOND):
        async with transport(settings=TransportSettings(busy_poll=busy_poll)) as (one, _):
            sent_at = time.monotonic_ns()
            await one.send_unreliable(("127.0.0.1", 9), b"x")
            assert await naps.next() >= sent_at + busy_poll


# --- nothing is left out

_TESTS = [name for name in list(globals()) if name.startswith("test_")]


@pytest.mark.parametrize("name", [field.name for field in fields(TransportSettings)])
def test_every_setting_has_a_test_of_its_effect(name: str) -> None:
    assert any(test.startswith(f"test_{name}_") for test in _TESTS)


_OF_THE_NODE: dict[str, tuple[str, tuple[Any, Any], Callable[[Any], Any]]] = {
    "mtu": ("mtu", (1200, 1300), int),
    "mss": ("mss", (500, 1300), int),
    "initial_window": ("initial_window", (9000, 90_000), int),
    "max_connections": ("max_connections", (64, 900), int),
    "min_rto": ("min_rto", (0.2, 0.5), lambda value: round(value * SECOND)),
    "max_rto": ("max_rto", (3.0, 9.0), lambda value: round(value * SECOND)),
    "max_retries": ("max_retries", (0, 9), int),
    "segments_max": ("segments_max", (1, 9), int),
    "busy_poll": ("busy_poll", (0.0, 0.0003), lambda value: round(value * SECOND)),
    "congestion": ("congestion", ("cubic", "newreno"), str),
    "connection_timeout": ("idle_timeout", (9.0, 90.0), lambda value: round(value * SECOND)),
    "keep_alive": ("keep_alive", (0.0, 3.0), lambda value: round(value * SECOND)),
    "handshake_rate": ("handshake_rate", (10, 900), int),
    "handshake_rate_per_address": ("handshake_rate_per_address", (10, 90), int),
    "network_id": ("network_id", ("a", "b"), str),
    "qlog_dir": ("qlog_bytes_max", ("", "traces"), lambda value: bool(value) << 18),
}
"""Field of the configuration: the setting of the transport that it is, two values, and what they become."""


@pytest.mark.parametrize("name", _OF_THE_NODE)
def test_what_an_operator_sets_is_what_the_transport_is_given(name: str) -> None:
    setting, values, converted = _OF_THE_NODE[name]
    for value in values:
        transport = core_settings(NetworkConfig(**{name: value}), "n", (1, 2)).transport
        assert getattr(transport, setting) == converted(value)


_ELSEWHERE = {
    "enable_udp", "enable_tcp", "qlog_dir_bytes_max",
    "host", "port", "tcp_port", "advertise_host", "bootstrap_nodes", "is_seed", "name", "data_dir", "profile",
    "enable_http", "metrics_host", "metrics_port", "api_token", "api_token_file", "api_hosts", "metrics_peers",
    "chaos_control", "peers_max", "outbound_max", "inbound_max", "heartbeat_interval", "gossip_fanout",
    "gossip_retention", "gossip_retention_bytes", "log_level", "log_format", "health_file", "impairment_file",
}  # fmt: skip
"""Fields that are none of the transport's, or whose effect needs sockets or files and is tested with them."""


def test_no_field_of_the_configuration_is_forgotten() -> None:
    assert set(FIELDS) == set(_OF_THE_NODE) | _ELSEWHERE


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"mtu": 1199}, "mtu 1199: allowed is 1200 to 65507"),
        ({"mss": 255}, "mss 255: allowed is 256 and more"),
        ({"segments_max": 65}, "segments_max 65: allowed is 1 to 64"),
        ({"busy_poll": 10 * MILLISECOND + 1}, "busy_poll 10000001: allowed is 0 to 10000000"),
        ({"max_connections": 0}, "max_connections 0: allowed is 1 and more"),
        ({"max_retries": -1}, "max_retries -1: allowed is 0 and more"),
        ({"max_ack_delay": -1}, "max_ack_delay -1: allowed is 0 to 1000000000"),
        ({"qlog_bytes_max": -1}, "qlog_bytes_max -1: allowed is 0 and more"),
        ({"half_open_max": 0}, "half_open_max 0: allowed is 1 and more"),
        ({"initial_window": 100}, "initial_window 100: allowed is 2736 to 67108864"),
        ({"initial_window": 1 << 63}, "initial_window 9223372036854775808: allowed is 2736 to 67108864"),
        ({"max_ack_delay": SECOND + 1}, "max_ack_delay 1000000001: allowed is 0 to 1000000000"),
        ({"min_rto": 0.5}, "min_rto 0.5: allowed is a whole number"),
        ({"mtu": "1400"}, "mtu '1400': allowed is a whole number"),
        ({"max_retries": True}, "max_retries True: allowed is a whole number"),
        ({"ecn": 1}, "ecn 1: allowed is True or False"),
        ({"congestion": None}, "congestion None: allowed is a text"),
        ({"suites": 1}, "suites 1: allowed is a tuple"),
        ({"network_id": ""}, "network_id '': allowed are 1 to 64 letters"),
        ({"network_id": "a\0b"}, r"network_id 'a\\x00b': allowed are 1 to 64 letters"),
        ({"keep_alive": 60 * SECOND}, "keep_alive 60000000000: allowed is 0, or 10000000 to less than idle_timeout 6"),
        ({"keep_alive": 1}, "keep_alive 1: allowed is 0, or 10000000 to less than idle_timeout 60000000000"),
        ({"keep_alive": -1}, "keep_alive -1: allowed is 0, or 10000000 to less than idle_timeout 60000000000"),
        ({"min_rto": 0}, "min_rto 0: allowed is more than 0 and at most max_rto"),
        ({"min_rto": 61 * SECOND}, "min_rto 61000000000: allowed is more than 0 and at most max_rto"),
        ({"suites": ()}, r"suites \(\): this machine has"),
        ({"congestion": "bbr"}, "congestion 'bbr': allowed are newreno, cubic, lossfloor"),
    ],
)
def test_what_cannot_be_is_one_line_that_names_the_limit(changed: dict[str, Any], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        TransportSettings(**changed)
