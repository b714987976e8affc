"""Virtual TCP keeps the order of bytes whatever the link does, and ends as a kernel would end it."""

from __future__ import annotations

from collections import deque
from functools import partial
from random import Random

import pytest

from node.errors import UsageError
from node.impairment.link import LinkSettings, Order
from node.sim.cuts import GroupCut
from node.sim.streams import RETRIES_MAX, Streams
from node.sim.world import Host, World
from node.transport.stream import (
    StreamClosed,
    StreamConnect,
    StreamData,
    StreamInput,
    StreamOpened,
    StreamShutdown,
    StreamWrite,
)
from node.types import MILLISECOND, SECOND, Address, Instant

A: Address = ("10.0.0.1", 8888)
B: Address = ("10.0.0.2", 8888)
LISTENING: Address = ("10.0.0.2", 8889)
DELAY = 20 * MILLISECOND
DIALLED = 1 << 32


class Ends:
    """A machine that notes what happens to its streams."""

    def __init__(self) -> None:
        self.inputs: list[tuple[Instant, StreamInput]] = []
        self.outputs: deque[object] = deque()
        self.first_words: list[object] = []

    def receive(self, happening: StreamInput, now: Instant) -> None:
        self.inputs.append((now, happening))
        if isinstance(happening, StreamOpened):
            self.outputs.extend(self.first_words)

    def handle_timeout(self, now: Instant) -> None:
        raise AssertionError("no timer was set")

    def poll_transmit(self, now: Instant) -> object | None:
        return self.outputs.popleft() if self.outputs else None

    def poll_event(self) -> None:
        return None

    def next_timeout(self) -> None:
        return None

    def of(self, kind: type[StreamInput]) -> list[StreamInput]:
        return [happening for _, happening in self.inputs if isinstance(happening, kind)]

    @property
    def data(self) -> bytes:
        return b"".join(happening.data for _, happening in self.inputs if isinstance(happening, StreamData))


class Wires:
    """Two hosts; B listens."""

    def __init__(self, link: LinkSettings | None = None, seed: int = 1, *, refuses: bool = False) -> None:
        self.world = World(Random(seed), default=link or LinkSettings(delay=DELAY))
        self.streams = Streams(self.world, can_refuse=lambda _, __: refuses and bool(self.world.cuts))
        self.a, self.b = Ends(), Ends()
        self.host_a, self.host_b = self.world.add_host(A, self.a), self.world.add_host(B, self.b)  # type: ignore[arg-type]
        self.streams.listen(self.host_b, LISTENING)
        self.host_a.on_output = partial(self.streams.take, self.host_a)

    def say(self, host: Host, *outputs: object) -> None:
        for output in outputs:
            self.streams.take(host, output)

    def connect(self, address: Address = LISTENING) -> None:
        self.say(self.host_a, StreamConnect(DIALLED, address))


@pytest.fixture
def wires() -> Wires:
    wires = Wires()
    wires.connect()
    wires.world.run(1)
    return wires


def test_both_ends_open_after_the_handshake() -> None:
    wires = Wires()
    wires.connect()
    wires.world.run(1)
    assert wires.a.inputs == [(2 * DELAY, StreamOpened(DIALLED, LISTENING, is_initiator=True))]
    (at, opened), *_ = wires.b.inputs
    assert at == 3 * DELAY
    assert isinstance(opened, StreamOpened)
    assert opened.stream == 1
    assert opened.address[0] == A[0]
    assert not opened.is_initiator


def test_bytes_arrive_in_both_directions_after_the_delay(wires: Wires) -> None:
    wires.say(wires.host_a, StreamWrite(DIALLED, b"hello"))
    wires.say(wires.host_b, StreamWrite(1, b"there"))
    now = wires.world.now
    wires.world.run(1)
    assert wires.b.inputs[-1] == (now + DELAY, StreamData(1, b"hello"))
    assert wires.a.inputs[-1] == (now + DELAY, StreamData(DIALLED, b"there"))


@pytest.mark.parametrize("seed", range(5))
def test_order_and_bytes_survive_a_terrible_link(seed: int) -> None:
    rough = LinkSettings(
        delay=DELAY,
        jitter=15 * MILLISECOND,
        order=Order.NATURAL,
        loss=0.3,
        duplicate=0.1,
        corrupt=0.2,
        reorder=0.1,
    )
    wires = Wires(rough, seed)
    wires.connect()
    assert wires.world.run_until(lambda: bool(wires.b.inputs), 60)
    sent = Random(seed).randbytes(300_000)
    for at in range(0, len(sent), 10_000):
        wires.say(wires.host_a, StreamWrite(DIALLED, sent[at : at + 10_000]))
    assert wires.world.run_until(lambda: len(wires.b.data) >= len(sent), 600)
    assert wires.b.data == sent
    assert wires.streams.segments_lost > 0


def test_shutdown_delivers_what_was_written_before(wires: Wires) -> None:
    wires.say(wires.host_a, StreamWrite(DIALLED, bytes(200_000)), StreamShutdown(DIALLED))
    wires.world.run(5)
    assert len(wires.b.data) == 200_000
    assert wires.b.inputs[-1][1] == StreamClosed(1, "end of stream")
    assert not wires.a.of(StreamClosed)


def test_nobody_who_listens_means_refused_after_a_round_trip() -> None:
    wires = Wires()
    wires.connect((B[0], 9))
    wires.world.run(1)
    assert wires.a.inputs == [(2 * DELAY, StreamClosed(DIALLED, "Connection refused"))]


def test_nobody_at_that_address_means_a_timeout_of_two_minutes() -> None:
    wires = Wires()
    wires.connect(("10.9.9.9", 9))
    wires.world.run(60)
    assert wires.a.inputs == []
    wires.world.run(60)
    assert wires.a.of(StreamClosed) == [StreamClosed(DIALLED, "Connection timed out")]


def test_silent_cut_holds_bytes_up_and_loses_none(wires: Wires) -> None:
    cut = GroupCut([[A], [B]])
    wires.world.cuts.append(cut)
    wires.say(wires.host_a, StreamWrite(DIALLED, b"held up"))
    wires.world.run(5)
    assert wires.b.data == b""
    wires.world.cuts.remove(cut)
    wires.world.run(10)
    assert wires.b.data == b"held up"


def test_cut_that_refuses_answers_a_dial_at_once() -> None:
    wires = Wires(refuses=True)
    wires.world.cuts.append(GroupCut([[A], [B]], refuses=True))
    wires.connect()
    wires.world.run(1)
    assert wires.a.of(StreamClosed) == [StreamClosed(DIALLED, "Connection refused")]


def test_cut_that_stays_breaks_the_stream_in_the_end(wires: Wires) -> None:
    wires.world.cuts.append(GroupCut([[A], [B]]))
    wires.say(wires.host_a, StreamWrite(DIALLED, b"in vain"))
    wires.world.run(120.0 * RETRIES_MAX)
    assert wires.a.of(StreamClosed) == [StreamClosed(DIALLED, "Connection reset by peer")]


def test_process_that_dies_hangs_up(wires: Wires) -> None:
    wires.streams.forget(wires.host_b, is_silent=False)
    wires.world.remove_host(wires.host_b)
    wires.world.run(1)
    assert wires.a.of(StreamClosed) == [StreamClosed(DIALLED, "end of stream")]


def test_machine_that_loses_power_says_nothing_until_its_successor_resets(wires: Wires) -> None:
    wires.streams.forget(wires.host_b, is_silent=True)
    wires.world.remove_host(wires.host_b)
    wires.say(wires.host_a, StreamWrite(DIALLED, b"anybody?"))
    wires.world.run(10)
    assert not wires.a.of(StreamClosed)
    wires.world.add_host(B, Ends())  # type: ignore[arg-type]
    wires.say(wires.host_a, StreamWrite(DIALLED, b"anybody?"))
    wires.world.run(1)
    assert wires.a.of(StreamClosed) == [StreamClosed(DIALLED, "Connection reset by peer")]


def test_paused_host_gets_everything_late_and_in_order() -> None:
    wires = Wires()
    wires.world.pause(wires.host_b, 2 * SECOND)
    wires.connect()
    wires.world.run(1)
    wires.say(wires.host_a, StreamWrite(DIALLED, b"1"), StreamWrite(DIALLED, b"2"))
    wires.world.run(5)
    assert [type(happening) for _, happening in wires.b.inputs] == [StreamOpened, StreamData, StreamData]
    assert {at for at, _ in wires.b.inputs} == {2 * SECOND}
    assert wires.b.data == b"12"


@pytest.mark.parametrize("seed", range(20))
def test_the_first_bytes_never_overtake_the_opening(seed: int) -> None:
    wires = Wires(LinkSettings(delay=DELAY, jitter=DELAY // 2), seed)
    wires.a.first_words.append(StreamWrite(DIALLED, b"first"))
    wires.connect()
    wires.world.run(1)
    assert [type(happening) for _, happening in wires.b.inputs] == [StreamOpened, StreamData]


def test_dial_that_is_given_up_leaves_nothing() -> None:
    wires = Wires()
    wires.connect()
    wires.say(wires.host_a, StreamShutdown(DIALLED))
    wires.world.run(5)
    assert wires.a.inputs == wires.b.inputs == []


def test_other_outputs_are_a_mistake(wires: Wires) -> None:
    with pytest.raises(UsageError):
        wires.say(wires.host_a, "a datagram")
