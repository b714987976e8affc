"""Awaitable sends over an endpoint whose answers each test writes down."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

import pytest

from node.errors import Code, ConnectionFailed, QueueFull, SendTimeout, UnknownPeer, UsageError
from node.transport.events import Closed, Delivery, MessageAcknowledged, MessageFailed
from node.transport.packet import Message, Priority
from node.transport.sends import Sends
from node.transport.stats import ConnectionSnapshot
from node.types import Address, Instant, NodeId
from tests.transport.watching import LoopErrors, until

PEER = ("192.0.2.1", 9000)
PEER_ID = NodeId(bytes(32))


@dataclass
class FakeEndpoint:
    """room: messages that it takes; beyond them QueueFull."""

    room: int = 1000
    is_unanswered: bool = False
    by_address: dict[Address, int] = field(default_factory=dict)
    by_peer: dict[NodeId, int] = field(default_factory=dict)
    sent: list[tuple[int, bytes]] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    withdrawn: list[tuple[int, int]] = field(default_factory=list)
    handles: int = 0
    is_gone: bool = False
    mistake: UsageError | None = None
    sent_one: asyncio.Event = field(default_factory=asyncio.Event)

    def connect(self, address: Address, now: Instant, expected: NodeId | None = None) -> int:
        self.handles += 1
        self.by_address[address] = self.handles
        return self.handles

    def send(self, connection: int, message: Message, now: Instant) -> int:
        if self.is_gone:
            raise UnknownPeer("gone")
        if self.mistake is not None:
            raise self.mistake
        if message.priority is not Priority.CONTROL:
            if self.room <= 0:
                raise QueueFull("full")
            self.room -= 1
        self.sent.append((connection, message.data))
        self.messages.append(message)
        self.sent_one.set()
        return len(self.sent) - 1

    def withdraw(self, connection: int, message_id: int, now: Instant) -> None:
        self.withdrawn.append((connection, message_id))

    def connection_of(self, peer_id: NodeId) -> int | None:
        return self.by_peer.get(peer_id)

    def connection_at(self, address: Address) -> int | None:
        return self.by_address.get(address)

    def snapshot(self, connection: int) -> ConnectionSnapshot | None:
        return HANDSHAKING if self.is_unanswered else None

    # The clock and the driver.

    def now(self) -> Instant:
        return time.monotonic_ns()

    def pump(self) -> None: ...

    async def wait_for(self, count: int) -> None:
        await until(lambda: len(self.sent) >= count, self.sent_one)


class _Handshaking:
    state = "handshake"
    hint = ""


HANDSHAKING: ConnectionSnapshot = _Handshaking()  # type: ignore[assignment]  # only these are asked for


def closed(connection: int, code: Code, *, by_peer: bool = False, hint: str = "") -> Closed:
    return Closed(
        connection=connection,
        peer_id=PEER_ID,
        address=PEER,
        code=code,
        reason="why",
        by_peer=by_peer,
        is_initiator=True,
        hint=hint,
    )


def start(number: int = 1, *, room: int = 1000) -> tuple[FakeEndpoint, Sends, list[asyncio.Task[None]]]:
    endpoint = FakeEndpoint(room)
    sends = Sends(endpoint, endpoint)
    tasks = [asyncio.create_task(sends.deliver(PEER, bytes([index]), 5)) for index in range(number)]
    return endpoint, sends, tasks


@pytest.mark.asyncio
async def test_an_acknowledged_message_ends_the_wait() -> None:
    endpoint, sends, (task,) = start()
    await endpoint.wait_for(1)
    sends.handle_event(MessageAcknowledged(connection=1, message_id=0))
    await task
    assert not sends._messages


@pytest.mark.asyncio
async def test_an_expired_message_is_a_timeout() -> None:
    endpoint, sends, (task,) = start()
    await endpoint.wait_for(1)
    sends.handle_event(MessageFailed(connection=1, message_id=0, expired=True))
    with pytest.raises(SendTimeout, match=r"192\.0\.2\.1:9000"):
        await task


@pytest.mark.asyncio
async def test_an_expired_message_to_somebody_who_never_answered_is_a_failed_connection() -> None:
    endpoint, sends, (task,) = start()
    endpoint.is_unanswered = True
    await endpoint.wait_for(1)
    sends.handle_event(MessageFailed(connection=1, message_id=0, expired=True))
    with pytest.raises(ConnectionFailed) as caught:
        await task
    assert caught.value.code is Code.HANDSHAKE_TIMEOUT


@pytest.mark.asyncio
async def test_a_failed_handshake_tells_what_the_other_side_claimed() -> None:
    endpoint, sends, (task,) = start()
    await endpoint.wait_for(1)
    sends.handle_event(MessageFailed(connection=1, message_id=0, expired=False))
    sends.handle_event(closed(1, Code.HANDSHAKE_TIMEOUT, hint="network_mismatch"))
    with pytest.raises(ConnectionFailed, match=r"why \(network_mismatch\)"):
        await task


@pytest.mark.asyncio
async def test_a_lost_connection_fails_with_the_reason_of_its_end() -> None:
    endpoint, sends, (task,) = start()
    await endpoint.wait_for(1)
    sends.handle_event(MessageFailed(connection=1, message_id=0, expired=False))
    sends.handle_event(closed(1, Code.RETRIES_EXHAUSTED))
    with pytest.raises(ConnectionFailed, match="why") as caught:
        await task
    assert caught.value.code is Code.RETRIES_EXHAUSTED


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("code", "by_peer"), [(Code.REPLACED, False), (Code.REPLACED, True), (Code.IDLE_TIMEOUT, True)]
)
async def test_a_message_of_a_connection_that_gave_way_is_sent_again(code: Code, by_peer: bool) -> None:
    endpoint, sends, (task,) = start()
    await endpoint.wait_for(1)
    endpoint.by_address[PEER] = 2
    sends.handle_event(closed(1, code, by_peer=by_peer))
    await endpoint.wait_for(2)
    sends.handle_event(MessageAcknowledged(connection=2, message_id=1))
    await task
    assert endpoint.sent == [(1, b"\0"), (2, b"\0")]


@pytest.mark.asyncio
async def test_the_peer_behind_a_replaced_connection_is_found_although_it_has_another_address() -> None:
    endpoint, sends, (task,) = start()
    await endpoint.wait_for(1)
    endpoint.by_address.clear()
    endpoint.by_peer[PEER_ID] = 7
    sends.handle_event(closed(1, Code.REPLACED))
    await endpoint.wait_for(2)
    sends.handle_event(MessageAcknowledged(connection=7, message_id=1))
    await task
    assert endpoint.handles == 1


@pytest.mark.asyncio
@pytest.mark.must("M48")
async def test_callers_without_room_have_their_turn_in_order() -> None:
    endpoint, sends, tasks = start(4, room=1)
    await endpoint.wait_for(1)
    for message_id in range(4):
        assert len(endpoint.sent) == message_id + 1
        endpoint.room = 1
        sends.handle_event(MessageAcknowledged(connection=1, message_id=message_id))
        if message_id < 3:
            await endpoint.wait_for(message_id + 2)
    await asyncio.gather(*tasks)
    assert [data for _, data in endpoint.sent] == [b"\0", b"\1", b"\2", b"\3"]
    assert not sends._rooms


@pytest.mark.asyncio
async def test_room_for_many_lets_many_in() -> None:
    endpoint, sends, tasks = start(5, room=1)
    await endpoint.wait_for(1)
    endpoint.room = 100
    sends.handle_event(MessageAcknowledged(connection=1, message_id=0))
    await endpoint.wait_for(5)
    for message_id in range(1, 5):
        sends.handle_event(MessageAcknowledged(connection=1, message_id=message_id))
    await asyncio.gather(*tasks)


@pytest.mark.asyncio
async def test_a_newcomer_waits_behind_those_who_wait() -> None:
    endpoint, sends, tasks = start(2, room=1)
    await endpoint.wait_for(1)
    endpoint.room = 1
    newcomer = asyncio.create_task(sends.deliver(PEER, b"new", 5))
    await asyncio.sleep(0)
    assert len(endpoint.sent) == 1
    sends.handle_event(MessageAcknowledged(connection=1, message_id=0))
    await endpoint.wait_for(2)
    assert endpoint.sent[1][1] == b"\1"
    sends.close()
    await asyncio.gather(newcomer, *tasks, return_exceptions=True)


@pytest.mark.asyncio
async def test_a_caller_who_gives_up_passes_its_turn_on() -> None:
    endpoint, sends, tasks = start(3, room=1)
    await endpoint.wait_for(1)
    tasks[1].cancel()
    await asyncio.wait([tasks[1]])
    endpoint.room = 1
    sends.handle_event(MessageAcknowledged(connection=1, message_id=0))
    await endpoint.wait_for(2)
    assert endpoint.sent[1][1] == b"\2"
    sends.handle_event(MessageAcknowledged(connection=1, message_id=1))
    await asyncio.gather(tasks[0], tasks[2])


@pytest.mark.asyncio
async def test_who_gives_up_just_as_its_turn_has_come_withdraws() -> None:
    endpoint, sends, tasks = start(2, room=1)
    await endpoint.wait_for(1)
    endpoint.room = 1
    sends.handle_event(MessageAcknowledged(connection=1, message_id=0))
    tasks[1].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert endpoint.withdrawn == [(1, 1)]
    assert not sends._messages
    assert not sends._rooms


@pytest.mark.asyncio
async def test_what_a_cancelled_caller_has_sent_is_withdrawn() -> None:
    endpoint, _sends, tasks = start(2)
    await endpoint.wait_for(2)
    tasks[1].cancel()
    await asyncio.gather(tasks[1], return_exceptions=True)
    assert endpoint.withdrawn == [(1, 1)]
    tasks[0].cancel()


@pytest.mark.asyncio
@pytest.mark.must("M39")
async def test_ordered_messages_keep_their_order_on_the_connection_that_stays() -> None:
    endpoint = FakeEndpoint(room=2)
    sends = Sends(endpoint, endpoint)
    tasks = [asyncio.create_task(sends.deliver(PEER, bytes([index]), 5, channel=3)) for index in range(4)]
    await endpoint.wait_for(2)
    # One who comes later, and whose turn of the loop is just before that of those who are told.
    late = asyncio.create_task(sends.deliver(PEER, b"late", 5, channel=3))
    endpoint.room = 100
    endpoint.by_address[PEER] = 2
    sends.handle_event(closed(1, Code.REPLACED))
    await endpoint.wait_for(7)
    assert endpoint.sent[2:] == [(2, b"\0"), (2, b"\1"), (2, b"\2"), (2, b"\3"), (2, b"late")]
    assert {(one.delivery, one.channel, one.deadline) for one in endpoint.messages} == {(Delivery.ORDERED, 3, None)}
    for message_id in range(2, 7):
        sends.handle_event(MessageAcknowledged(connection=2, message_id=message_id))
    await asyncio.gather(late, *tasks)
    assert not sends._messages


@pytest.mark.asyncio
async def test_a_caller_waits_for_an_ordered_message_no_longer_than_it_said() -> None:
    endpoint = FakeEndpoint(room=1)
    sends = Sends(endpoint, endpoint)
    queued = asyncio.create_task(sends.deliver(PEER, b"queued", 0.01, channel=0))
    waiting = asyncio.create_task(sends.deliver(PEER, b"waiting", 0.01, channel=0))
    with pytest.raises(SendTimeout, match=r"may yet get, the message within 0\.01 s"):
        await queued
    with pytest.raises(SendTimeout, match=r"had no room for the message within 0\.01 s"):
        await waiting
    assert [data for _, data in endpoint.sent] == [b"queued"]
    assert endpoint.withdrawn == []
    assert not sends._messages
    assert not sends._rooms


@pytest.mark.asyncio
@pytest.mark.parametrize("channel", [None, 0])
async def test_who_gives_up_while_it_waits_leaves_no_timer_behind(channel: int | None) -> None:
    errors = LoopErrors()
    endpoint = FakeEndpoint(room=0)
    sends = Sends(endpoint, endpoint)
    gone = asyncio.create_task(sends.deliver(PEER, b"gone", 0.01, channel=channel))
    await asyncio.sleep(0)
    gone.cancel()
    with pytest.raises(SendTimeout):
        # Timers run in the order of their times.
        await sends.deliver(PEER, b"later", 0.02, channel=channel)
    assert gone.cancelled()
    assert errors.contexts == []
    assert sends._waiting == 0


@pytest.mark.asyncio
async def test_what_cannot_be_sent_again_is_told_to_its_caller() -> None:
    endpoint, sends, (task,) = start()
    await endpoint.wait_for(1)
    endpoint.mistake = UsageError("allowed are 64 channels")
    endpoint.by_address[PEER] = 2
    sends.handle_event(closed(1, Code.REPLACED))
    with pytest.raises(UsageError, match="64 channels"):
        await task


@pytest.mark.asyncio
async def test_those_who_wait_for_room_fail_with_the_connection() -> None:
    endpoint, sends, tasks = start(3, room=1)
    await endpoint.wait_for(1)
    sends.handle_event(closed(1, Code.IDLE_TIMEOUT))
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        assert isinstance(outcome, ConnectionFailed)


@pytest.mark.asyncio
async def test_no_more_callers_wait_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.transport.sends.WAITING_SENDS_MAX", 0)
    _, _, (task,) = start(room=0)
    with pytest.raises(QueueFull):
        await task


@pytest.mark.asyncio
@pytest.mark.must("M48")
async def test_who_does_not_want_to_wait_is_refused_where_others_wait() -> None:
    endpoint, sends, tasks = start(2, room=1)
    await endpoint.wait_for(1)
    with pytest.raises(QueueFull, match="no room for a message of 5 bytes"):
        await sends.deliver(PEER, b"later", 5.0, wait=False)
    assert len(endpoint.sent) == 1
    endpoint.room = 1
    with pytest.raises(QueueFull):
        # Whoever waits came before.
        await sends.deliver(PEER, b"later", 5.0, wait=False)
    sends.close()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.asyncio
@pytest.mark.must("M86")
async def test_a_control_message_goes_past_callers_who_wait_with_others() -> None:
    endpoint, sends, tasks = start(2, room=1)
    await endpoint.wait_for(1)
    control = asyncio.create_task(sends.deliver(PEER, b"control", 5, wait=False, priority=Priority.CONTROL))
    await endpoint.wait_for(2)
    assert endpoint.sent[1][1] == b"control"
    sends.close()
    await asyncio.gather(control, *tasks, return_exceptions=True)


@pytest.mark.asyncio
async def test_who_waits_in_vain_makes_way_for_the_next() -> None:
    endpoint, sends, tasks = start(1, room=0)
    late = asyncio.create_task(sends.deliver(PEER, b"late", 0.01))
    tasks[0].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    with pytest.raises(SendTimeout):
        await late
    assert not endpoint.sent
    assert not sends._rooms
    assert sends._waiting == 0


@pytest.mark.asyncio
async def test_what_is_refused_for_good_when_its_turn_comes_is_told_to_its_caller() -> None:
    endpoint, sends, tasks = start(2, room=1)
    await endpoint.wait_for(1)
    endpoint.mistake = UsageError("never")
    sends.handle_event(MessageAcknowledged(connection=1, message_id=0))
    with pytest.raises(UsageError, match="never"):
        await tasks[1]
    await tasks[0]


@pytest.mark.asyncio
async def test_a_connection_that_vanished_is_a_failed_connection() -> None:
    endpoint, _, (task,) = start()
    endpoint.is_gone = True
    with pytest.raises(ConnectionFailed, match="gone"):
        await task


@pytest.mark.asyncio
async def test_closing_fails_whatever_is_under_way() -> None:
    endpoint, sends, tasks = start(3, room=1)
    await endpoint.wait_for(1)
    sends.close()
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        assert isinstance(outcome, ConnectionFailed)
        assert outcome.code is Code.SHUTDOWN


@pytest.mark.asyncio
async def test_a_message_that_is_never_reported_on_is_a_timeout_all_the_same() -> None:
    endpoint = FakeEndpoint()
    with pytest.raises(SendTimeout):
        await Sends(endpoint, endpoint).deliver(PEER, b"x", 1e-9)


@pytest.mark.asyncio
async def test_one_timer_watches_all_messages_and_ends_with_them() -> None:
    endpoint, sends, tasks = start(3)
    await endpoint.wait_for(3)
    watch = sends._watch
    assert watch is not None
    for message_id in range(3):
        sends.handle_event(MessageAcknowledged(connection=1, message_id=message_id))
    await asyncio.gather(*tasks)
    assert sends._watch is watch
    watch.cancel()
    sends._on_watch()
    assert sends._watch is None


@pytest.mark.asyncio
async def test_a_posted_message_is_sent_before_post_returns_and_nobody_waits_for_it() -> None:
    endpoint = FakeEndpoint()
    sends = Sends(endpoint, endpoint)
    sends.post(PEER, b"reliable", 5.0)
    sends.post(PEER, b"unreliable")
    assert endpoint.sent == [(1, b"reliable"), (1, b"unreliable")]
    assert [message.delivery for message in endpoint.messages] == [Delivery.RELIABLE, Delivery.UNRELIABLE]
    assert endpoint.messages[0].deadline is not None
    assert not sends._messages


@pytest.mark.asyncio
@pytest.mark.parametrize("seconds", [0, -1.0, float("inf"), float("nan")])
async def test_a_posted_message_needs_a_time_after_which_it_is_given_up(seconds: float) -> None:
    endpoint = FakeEndpoint()
    with pytest.raises(UsageError, match="timeout"):
        Sends(endpoint, endpoint).post(PEER, b"x", seconds)
    assert not endpoint.sent


@pytest.mark.asyncio
async def test_a_posted_message_that_finds_no_room_is_refused_at_once() -> None:
    endpoint = FakeEndpoint(room=0)
    with pytest.raises(QueueFull):
        Sends(endpoint, endpoint).post(PEER, b"x", 5.0)
