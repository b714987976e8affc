"""Damaged, doubled and forged packets of the handshake: refused one and all, without a trace and without an answer."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from collections.abc import Iterator
from random import Random

import pytest

from node.crypto.cookie import mac
from node.errors import Code
from node.identity.keys import Identity
from node.impairment.link import LinkSettings
from node.transport.endpoint import Endpoint
from node.transport.events import Connected
from node.transport.packet import Datagram
from node.transport.settings import TransportSettings
from node.transport.state import ConnectionState
from node.types import MILLISECOND, SECOND, Address, Instant
from node.wire.header import PacketType, parse_header
from node.wire.limits import COOKIES_PER_DIAL_MAX, INIT_BYTES, SEGMENTS_MAX
from tests.pair import CLIENT, SERVER, Pair

DELAY = 10 * MILLISECOND
UNDER_LOAD = TransportSettings(half_open_max=1)
"""From the first handshake on, strangers must show a cookie."""


class Ends:
    """A client and a server without a network: every datagram passes through the test's hands."""

    def __init__(self, server_settings: TransportSettings | None = None) -> None:
        self.now: Instant = SECOND
        counters = {"client": 0, "server": 0}

        def entropy_of(name: str) -> object:
            def entropy(size: int) -> bytes:
                counters[name] += 1
                return Identity(f"{name} {counters[name]}".ljust(32).encode()).public_key[:size].ljust(size, b"x")

            return entropy

        self.client = Endpoint(Identity(b"c" * 32), TransportSettings(), entropy=entropy_of("client"))  # type: ignore[arg-type]
        self.server = Endpoint(
            Identity(b"s" * 32),
            server_settings or TransportSettings(),
            entropy=entropy_of("server"),  # type: ignore[arg-type]
        )
        self.handle = self.client.connect(SERVER, self.now)

    def sent_by(self, endpoint: Endpoint) -> list[bytes]:
        sent: list[bytes] = []
        while (transmit := endpoint.poll_transmit(self.now)) is not None:
            sent.append(transmit.data)
        return sent

    def give(self, endpoint: Endpoint, data: bytes) -> list[bytes]:
        """Hands over a datagram and returns the answers."""
        address: Address = CLIENT if endpoint is self.server else SERVER
        endpoint.receive(Datagram(address, data), self.now)
        return self.sent_by(endpoint)


def state_of(endpoint: Endpoint) -> object:
    """All that a handshake could change."""
    return (
        [
            (handle, connection.state, connection.peer_id, connection._opening and connection._opening.datagram)
            for handle, connection in endpoint.connections.items()
        ],
        endpoint.next_timeout(),
        len(endpoint._half_open),
        sorted(endpoint._by_peer),
        len(endpoint._events),
    )


def assert_every_bit_counts(ends: Ends, endpoint: Endpoint, datagram: bytes) -> None:
    before = state_of(endpoint)
    for bit in range(8 * len(datagram)):
        damaged = bytearray(datagram)
        damaged[bit // 8] ^= 1 << bit % 8
        dropped = sum(endpoint.stats.packets_dropped.values())
        answers = ends.give(endpoint, bytes(damaged))
        assert state_of(endpoint) == before, f"bit {bit} changed something"
        assert sum(endpoint.stats.packets_dropped.values()) == dropped + 1, f"bit {bit} was not counted"
        # Another version or network in an INIT is answered with a word, and what looks like a packet of a former
        # connection, or its CONFIRM, with a RESET; nothing else is answered at all.
        kinds = {parse_header(answer).packet_type for answer in answers}
        assert kinds <= {PacketType.REFUSE, PacketType.RESET}, f"bit {bit}"
        assert not answers or parse_header(datagram).packet_type in (PacketType.INIT, PacketType.CONFIRM)


@pytest.mark.must("M18")
def test_every_single_bit_flip_of_every_handshake_packet_is_refused_without_a_trace() -> None:
    ends = Ends()
    (init,) = ends.sent_by(ends.client)
    assert_every_bit_counts(ends, ends.server, init)
    (response,) = ends.give(ends.server, init)
    assert_every_bit_counts(ends, ends.client, response)
    confirm, *_ = ends.give(ends.client, response)
    assert parse_header(confirm).packet_type is PacketType.CONFIRM
    assert_every_bit_counts(ends, ends.server, confirm)
    ends.give(ends.server, confirm)
    assert ends.server.connection_of(ends.client.identity.public_key) is not None


def test_every_single_bit_flip_of_a_retry_and_of_a_refusal_is_refused_without_a_trace() -> None:
    ends = Ends(TransportSettings(handshake_rate_per_address=1))
    (init,) = ends.sent_by(ends.client)
    (retry,) = ends.give(ends.server, init)
    assert parse_header(retry).packet_type is PacketType.RETRY
    assert_every_bit_counts(ends, ends.client, retry)
    (again,) = ends.give(ends.client, retry)
    assert_every_bit_counts(ends, ends.server, again)
    (response,) = ends.give(ends.server, again)
    assert parse_header(response).packet_type is PacketType.RESPONSE

    ends = Ends(TransportSettings(network_id="another"))
    (refusal,) = ends.give(ends.server, ends.sent_by(ends.client)[0])
    assert parse_header(refusal).packet_type is PacketType.REFUSE
    assert_every_bit_counts(ends, ends.client, refusal)
    ends.give(ends.client, refusal)
    assert ends.client.stats.refusals_received["network_mismatch"] == 1


@pytest.mark.must("M19")
def test_a_doubled_handshake_packet_of_any_kind_changes_nothing() -> None:
    ends = Ends(TransportSettings(handshake_rate_per_address=1))
    (init,) = ends.sent_by(ends.client)
    first, second = ends.give(ends.server, init), ends.give(ends.server, init)
    assert first == second, "a cookie is a function of the INIT"
    (again,) = ends.give(ends.client, first[0])
    assert ends.give(ends.client, second[0]) == []
    (response,) = ends.give(ends.server, again)
    assert ends.give(ends.server, again) == [response]
    assert ends.server.stats.packets_dropped["duplicate"] == 1
    (confirm,) = ends.give(ends.client, response)
    assert ends.give(ends.client, response) == [confirm]
    ends.give(ends.server, confirm)
    assert ends.give(ends.server, confirm) == []
    assert len(ends.server.connections) == len(ends.client.connections) == 1
    assert ends.server.stats.handshakes_completed == ends.client.stats.handshakes_completed == 1


@pytest.mark.must("M15")
def test_a_handshake_under_load_takes_one_round_trip_more() -> None:
    pair = Pair(server_settings=TransportSettings(handshake_rate_per_address=1))
    pair.client.connect(SERVER)
    assert pair.run_until(lambda: all(side.of(Connected) for side in pair.sides), 10)
    assert pair.world.now == 5 * DELAY
    assert pair.server.endpoint.stats.retries_sent == pair.client.endpoint.stats.retries_received == 1


def test_a_server_that_never_has_enough_cookies_is_obeyed_a_few_times_only() -> None:
    ends = Ends(TransportSettings(handshake_rate_per_address=1))
    (init,) = ends.sent_by(ends.client)
    for _ in range(COOKIES_PER_DIAL_MAX):
        # The secret changes twice between any two.
        (retry,) = ends.give(ends.server, init)
        (init,) = ends.give(ends.client, retry)
        ends.now += 400 * SECOND
    (retry,) = ends.give(ends.server, init)
    assert ends.give(ends.client, retry) == []
    assert ends.client.stats.packets_dropped["rate_limited"] == 1


@pytest.mark.must("M21")
def test_cookies_that_are_none_keep_a_genuine_one_away_for_a_moment_only() -> None:
    ends = Ends(TransportSettings(handshake_rate_per_address=1))
    (init,) = ends.sent_by(ends.client)
    (retry,) = ends.give(ends.server, init)
    for number in range(COOKIES_PER_DIAL_MAX):
        # Somebody on the path has seen the INIT, and so can make a RETRY.
        text = retry[:16] + bytes([number]) * 16
        (init,) = ends.give(ends.client, text + mac(init[-16:], text))
    (retry,) = ends.give(ends.server, init)
    assert ends.give(ends.client, retry) == []
    ends.now += SECOND
    ends.client.handle_timeout(ends.now)
    (init,) = ends.sent_by(ends.client)
    (retry,) = ends.give(ends.server, init)
    (init,) = ends.give(ends.client, retry)
    (response,) = ends.give(ends.server, init)
    assert parse_header(response).packet_type is PacketType.RESPONSE


@pytest.mark.parametrize("seed", range(10))
def test_a_handshake_under_load_survives_loss_duplication_and_damage(seed: int) -> None:
    link = LinkSettings(delay=DELAY, jitter=DELAY, loss=0.2, duplicate=0.3, corrupt=0.1)
    pair = Pair(seed=seed, link=link, server_settings=TransportSettings(handshake_rate_per_address=1))
    pair.client.connect(SERVER)
    assert pair.run_until(lambda: all(side.of(Connected) for side in pair.sides), 10)


@pytest.mark.must("M21")
def test_who_can_only_guess_ends_no_handshake_and_no_connection() -> None:
    ends = Ends()
    (init,) = ends.sent_by(ends.client)
    (response,) = ends.give(ends.server, init)
    confirm, *_ = ends.give(ends.client, response)
    ends.give(ends.server, confirm)
    for endpoint in (ends.client, ends.server):
        (connection,) = endpoint.connections.values()
        for kind in PacketType:
            for size in (16, 32, 48, INIT_BYTES):
                forged = bytearray(size)
                forged[:16] = response[:2] + bytes((1 << 4 | kind,)) + bytes(1) + bytes(12)
                forged[4:8] = connection.origin.local_id.to_bytes(4, "big")
                ends.give(endpoint, bytes(forged))
        assert connection.state is ConnectionState.ESTABLISHED
        assert Code.OK not in [getattr(event, "code", None) for event in endpoint._events]


# --- strangers


def junk_of(ends: Ends, random: Random) -> Iterator[bytes]:
    """What strangers send: whole, cut, damaged and made-up packets of every kind."""
    init = ends.sent_by(ends.client)[0]
    known = [init, *ends.give(ends.server, init)]
    while True:
        data = bytearray(random.choice(known) if random.random() < 0.5 else random.randbytes(random.randrange(1_300)))
        if random.random() < 0.7 and len(data) >= 4:
            data[:4] = b"\xbe\xef" + bytes((1 << 4 | random.randrange(16), random.randrange(4)))
        if random.random() < 0.5 and data:
            data[random.randrange(len(data))] ^= 1 << random.randrange(8)
        yield bytes(data[: random.randrange(1_300)] if random.random() < 0.3 else data)


@pytest.mark.must("M13")
def test_no_stranger_is_ever_sent_more_than_it_sent() -> None:
    random = Random(7)
    ends = Ends(TransportSettings(handshake_rate_per_address=2, half_open_max=4))
    junk = junk_of(ends, random)
    sent_by_strangers: Counter[Address] = Counter({CLIENT: INIT_BYTES})
    sent_to_strangers: Counter[Address] = Counter()
    answers: Counter[PacketType] = Counter()
    inits = [endpoint_init(number) for number in range(40)]
    for number in range(4_000):
        address: Address = (f"10.6.6.{number % 5}", 666)
        data = random.choice(inits) if number % 2 else next(junk)
        ends.now += random.randrange(20) * MILLISECOND
        ends.server.handle_timeout(ends.now)
        ends.server.receive(Datagram(address, data), ends.now)
        sent_by_strangers[address] += len(data)
        while (transmit := ends.server.poll_transmit(ends.now)) is not None:
            sent_to_strangers[transmit.address] += len(transmit.data)
            answers[parse_header(transmit.data).packet_type] += 1
            assert sent_to_strangers[transmit.address] <= sent_by_strangers[transmit.address]
    assert set(answers) == {PacketType.RESPONSE, PacketType.RETRY, PacketType.REFUSE, PacketType.RESET}
    assert not any(connection.peer_id for connection in ends.server.connections.values())


def endpoint_init(number: int) -> bytes:
    """A stranger's INIT, another one for each number; every third is of another network."""
    settings = TransportSettings(network_id="positron" if number % 3 else "another")
    stranger = Endpoint(Identity(b"x" * 32), settings, entropy=Random(number).randbytes)
    stranger.connect(SERVER, 0)
    transmit = stranger.poll_transmit(0)
    assert transmit is not None
    return transmit.data


@pytest.mark.must("M15")
def test_in_a_flood_every_stranger_of_a_turn_is_answered() -> None:
    ends = Ends(UNDER_LOAD)
    ends.give(ends.server, ends.sent_by(ends.client)[0])
    # What one turn of the loop may read: reads end behind 256 datagrams, and the last may hold 64 of them.
    for number in range(256 + SEGMENTS_MAX):
        ends.server.receive(
            Datagram((f"10.6.{number // 256}.{number % 256}", 666), endpoint_init(3 * number + 1)), ends.now
        )
    answered = ends.sent_by(ends.server)
    assert len(answered) == 256 + SEGMENTS_MAX == ends.server.stats.refusals_sent["busy"]


@pytest.mark.must("M8")
def test_memory_stays_flat_under_junk() -> None:
    # `scripts/bench/run handshakes` prints the same for a million.
    ends = Ends(TransportSettings(handshake_rate_per_address=2, half_open_max=4))
    junk = junk_of(ends, Random(8))
    datagrams = [next(junk) for _ in range(500)]

    def flood(count: int) -> None:
        for number in range(count):
            ends.server.receive(Datagram((f"10.6.{number >> 8 & 255}.{number & 255}", 666), datagrams[number % 500]), 0)
            ends.sent_by(ends.server)

    flood(5_000)
    tracemalloc.start()
    flood(1_000)
    before, _ = tracemalloc.get_traced_memory()
    flood(20_000)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 20_000, "a byte per datagram would be too much"
