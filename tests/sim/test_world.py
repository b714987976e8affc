"""The virtual world moves datagrams and time, the same way for the same seed, and finds machines that spin."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from random import Random

import pytest

from node.errors import UsageError
from node.impairment.link import LinkSettings, Order
from node.sim.clock import Clock
from node.sim.world import Stalled, World
from node.transport.packet import Datagram, Transmit
from node.types import MILLISECOND, SECOND, Address, Instant

A: Address = ("10.0.0.1", 1)
B: Address = ("10.0.0.2", 1)
C: Address = ("10.0.0.3", 1)


class Recorder:
    """A machine that notes what it is given and says what it is told to."""

    def __init__(self) -> None:
        self.received: list[tuple[Instant, Address, bytes]] = []
        self.timeouts: list[Instant] = []
        self.deadline: Instant | None = None
        self.outputs: deque[object] = deque()
        self.events: deque[object] = deque()

    def receive(self, datagram: Datagram, now: Instant) -> None:
        self.received.append((now, datagram.address, datagram.data))
        self.events.append(("received", datagram.data))

    def handle_timeout(self, now: Instant) -> None:
        self.timeouts.append(now)
        self.deadline = None

    def poll_transmit(self, now: Instant) -> object | None:
        return self.outputs.popleft() if self.outputs else None

    def poll_event(self) -> object | None:
        return self.events.popleft() if self.events else None

    def next_timeout(self) -> Instant | None:
        return self.deadline

    def say(self, target: Address, data: bytes, segment_size: int | None = None) -> None:
        self.outputs.append(Transmit(target, data, segment_size or max(1, len(data))))


class Echo(Recorder):
    """Sends back what it gets, once per datagram until it has had its fill."""

    def receive(self, datagram: Datagram, now: Instant) -> None:
        super().receive(datagram, now)
        if len(self.received) < 20:
            self.say(datagram.address, datagram.data + b".")


class Stuck(Recorder):
    """Never moves its deadline."""

    def handle_timeout(self, now: Instant) -> None:
        self.timeouts.append(now)


def two_hosts(
    settings: LinkSettings | None = None, machine: Callable[[], Recorder] = Recorder, seed: int = 1
) -> tuple[World, Recorder, Recorder]:
    world = World(Random(seed), default=settings)
    first, second = machine(), machine()
    world.add_host(A, first)
    world.add_host(B, second)
    return world, first, second


def test_datagram_arrives_after_the_delay_with_its_source() -> None:
    world, first, second = two_hosts(LinkSettings(delay=20 * MILLISECOND))
    first.say(B, b"hello")
    world.drain(world.hosts[A])
    world.run(1)
    assert second.received == [(20 * MILLISECOND, A, b"hello")]


def test_segments_of_one_transmit_travel_apart() -> None:
    world, first, second = two_hosts()
    first.say(B, b"aaabbbcc", 3)
    world.drain(world.hosts[A])
    world.run(1)
    assert [data for _, _, data in second.received] == [b"aaa", b"bbb", b"cc"]


def test_datagrams_to_nobody_are_counted() -> None:
    world, first, _ = two_hosts()
    first.say(C, b"lost")
    world.drain(world.hosts[A])
    world.run(1)
    assert world.undeliverable == 1


def test_timeout_is_handled_at_its_instant() -> None:
    world, first, _ = two_hosts()
    first.deadline = 300 * MILLISECOND
    world.drain(world.hosts[A])
    world.run(1)
    assert first.timeouts == [300 * MILLISECOND]


def test_timeout_that_moved_is_handled_once_at_the_new_instant() -> None:
    world, first, _ = two_hosts()
    for deadline in (300, 200, 500):
        first.deadline = deadline * MILLISECOND
        world.drain(world.hosts[A])
    world.run(1)
    assert first.timeouts == [500 * MILLISECOND]


def test_timeout_in_the_past_is_handled_now() -> None:
    world, first, _ = two_hosts()
    world.run(1)
    first.deadline = 0
    world.drain(world.hosts[A])
    world.run(1)
    assert first.timeouts == [SECOND]


def test_machine_whose_timeout_never_advances_is_found() -> None:
    world, first, _ = two_hosts(machine=Stuck)
    first.deadline = 5
    world.drain(world.hosts[A])
    with pytest.raises(Stalled, match="timeouts at one instant"):
        world.run(1)


def test_machine_that_never_stops_sending_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.sim.world.OUTPUTS_PER_DRAIN_MAX", 100)
    world, first, _ = two_hosts()
    for _ in range(200):
        first.say(B, b"x")
    with pytest.raises(Stalled, match="outputs in one drain"):
        world.drain(world.hosts[A])


def test_each_host_sees_its_own_clock() -> None:
    world = World(Random(1))
    first, second = Recorder(), Recorder()
    world.add_host(A, first, clock=Clock(5 * SECOND))
    world.add_host(B, second)
    first.deadline = 6 * SECOND
    first.say(B, b"x")
    second.say(A, b"y")
    for host in world.hosts.values():
        world.drain(host)
    world.run(2)
    assert first.timeouts == [6 * SECOND]
    assert first.received[0][0] == 5 * SECOND
    assert second.received[0][0] == 0


def test_run_until_stops_at_the_condition_and_says_so() -> None:
    world, first, second = two_hosts(LinkSettings(delay=20 * MILLISECOND))
    first.say(B, b"hello")
    world.drain(world.hosts[A])
    assert world.run_until(lambda: bool(second.received), 1)
    assert world.now == 20 * MILLISECOND
    assert not world.run_until(lambda: bool(first.received), 1)
    assert world.now == SECOND + 20 * MILLISECOND


def test_paused_host_gets_its_input_and_timeout_late_and_in_order() -> None:
    world, first, second = two_hosts()
    second.deadline = 10 * MILLISECOND
    world.drain(world.hosts[B])
    world.pause(world.hosts[B], 200 * MILLISECOND)
    first.say(B, b"1")
    first.say(B, b"2")
    world.drain(world.hosts[A])
    world.run(1)
    assert [(at, data) for at, _, data in second.received] == [(SECOND // 5, b"1"), (SECOND // 5, b"2")]
    assert second.timeouts == [200 * MILLISECOND]


def test_pause_that_is_extended_loses_no_timeout() -> None:
    world, first, _ = two_hosts()
    host = world.hosts[A]
    first.deadline = 10 * MILLISECOND
    world.drain(host)
    world.pause(host, 100 * MILLISECOND)
    world.call_at(50 * MILLISECOND, lambda: world.pause(host, 100 * MILLISECOND))
    world.run(1)
    assert first.timeouts == [150 * MILLISECOND]


def test_crashed_host_is_silent_and_its_successor_gets_the_mail() -> None:
    world, first, second = two_hosts(LinkSettings(delay=10 * MILLISECOND))
    second.deadline = 20 * MILLISECOND
    world.drain(world.hosts[B])
    first.say(B, b"to whom it may concern")
    world.drain(world.hosts[A])
    successor = Recorder()
    world.add_host(B, successor)
    world.run(1)
    assert second.received == []
    assert second.timeouts == []
    assert len(successor.received) == 1


def test_moved_host_sends_from_its_new_address() -> None:
    world, first, second = two_hosts()
    world.move_host(world.hosts[A], C)
    first.say(B, b"moved")
    world.drain(world.hosts[C])
    world.run(1)
    assert second.received == [(0, C, b"moved")]
    with pytest.raises(UsageError):
        world.move_host(world.hosts[C], B)


def test_events_are_kept_and_reported_after_the_drain() -> None:
    world, first, second = two_hosts()
    seen: list[object] = []
    world.hosts[B].on_event = seen.append
    first.say(B, b"x")
    world.drain(world.hosts[A])
    world.run(1)
    assert seen == world.hosts[B].events == [("received", b"x")]
    assert second.events == deque()


def test_other_outputs_go_to_their_taker_or_are_a_mistake() -> None:
    world, first, second = two_hosts()
    taken: list[object] = []
    world.hosts[A].on_output = taken.append
    first.outputs.append("stream output")
    world.drain(world.hosts[A])
    assert taken == ["stream output"]
    second.outputs.append("stream output")
    with pytest.raises(UsageError, match="nobody takes"):
        world.drain(world.hosts[B])


def test_one_direction_can_be_worse_than_the_other() -> None:
    world, first, second = two_hosts()
    world.set_link(A, B, LinkSettings(loss=1.0), both=False)
    first.say(B, b"x")
    second.say(A, b"y")
    for host in world.hosts.values():
        world.drain(host)
    world.run(1)
    assert second.received == []
    assert len(first.received) == 1


def chatter(seed: int) -> str:
    rough = LinkSettings(
        delay=20 * MILLISECOND,
        jitter=10 * MILLISECOND,
        order=Order.NATURAL,
        loss=0.1,
        duplicate=0.1,
        corrupt=0.1,
    )
    world, first, _ = two_hosts(rough, Echo, seed)
    for index in range(20):
        first.say(B, bytes([index]))
    world.drain(world.hosts[A])
    world.run(10)
    return world.digest()


def test_same_seed_gives_the_same_digest_and_another_seed_another() -> None:
    assert chatter(1) == chatter(1) != chatter(2)


def test_traffic_of_one_pair_does_not_change_the_fate_of_another() -> None:
    def arrivals_at_b(with_third: bool) -> list[bytes]:
        world, first, second = two_hosts(LinkSettings(loss=0.5))
        third = Recorder()
        world.add_host(C, third)
        for index in range(100):
            first.say(B, bytes([index]))
            if with_third:
                third.say(A, b"noise")
        for host in world.hosts.values():
            world.drain(host)
        world.run(1)
        return [data for _, _, data in second.received]

    assert arrivals_at_b(with_third=False) == arrivals_at_b(with_third=True)
