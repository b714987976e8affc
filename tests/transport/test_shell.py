"""What the transports share, with an endpoint and sockets that do nothing but what a test says."""

from __future__ import annotations

import asyncio
import json

import pytest

from node.errors import Code, NotRunning, StartError, UsageError
from node.identity.keys import Identity
from node.transport.driver import Runner
from node.transport.endpoint import Endpoint
from node.transport.events import Closed, Connected, Delivery, MessageReceived
from node.transport.packet import Datagram, Packet
from node.transport.settings import TransportSettings
from node.transport.shell import JSONObject, MessageTransport
from node.types import Address, NodeId
from tests.transport.watching import Inbox

PEER = ("192.0.2.1", 9000)
PEER_ID = NodeId(bytes(32))


class Bare(MessageTransport[Datagram]):
    """A transport without sockets."""

    def __init__(self, *, must_fail: bool = False) -> None:
        endpoint = Endpoint(Identity(bytes(32)), TransportSettings(), entropy=lambda size: b"\x01" * size)
        super().__init__(("127.0.0.1", 1), endpoint, endpoint.settings, driver=None)
        self.must_fail = must_fail
        self.calls: list[str] = []

    @property
    def local_address(self) -> Address:
        return self.host, self.port

    async def _open(self, driver: Runner[Datagram]) -> None:
        self.calls.append("open")
        if self.must_fail:
            raise StartError("the port is taken")

    async def _close(self) -> None:
        self.calls.append("close")

    def _pause(self) -> None:
        self.calls.append("pause")

    def _resume(self) -> None:
        self.calls.append("resume")

    def _socket_stats(self) -> tuple[int, JSONObject]:
        return 3, {"socket": {}}


def received(
    delivery: Delivery = Delivery.RELIABLE, data: bytes = b"payload", channel: int | None = None
) -> MessageReceived:
    return MessageReceived(connection=1, peer_id=PEER_ID, data=data, delivery=delivery, channel=channel)


@pytest.mark.asyncio
async def test_starting_and_stopping_twice_is_the_same_as_once() -> None:
    bare = Bare()
    await bare.start()
    await bare.start()
    assert bare.is_running
    await asyncio.gather(bare.stop(), bare.stop())
    await bare.stop()
    assert bare.calls == ["open", "close"]
    assert not bare.is_running


@pytest.mark.asyncio
async def test_stopping_what_never_started_does_nothing() -> None:
    bare = Bare()
    await bare.stop()
    assert bare.calls == []


@pytest.mark.asyncio
async def test_a_failed_start_may_be_repeated_and_a_stopped_transport_not() -> None:
    bare = Bare(must_fail=True)
    with pytest.raises(StartError):
        await bare.start()
    with pytest.raises(NotRunning):
        await bare._deliver(PEER, b"", 1)
    bare.must_fail = False
    await bare.start()
    await bare.stop()
    with pytest.raises(UsageError, match="cannot be started again"):
        await bare.start()


@pytest.mark.asyncio
async def test_a_caller_that_is_cancelled_does_not_stop_the_stopping() -> None:
    bare = Bare()
    await bare.start()
    first = asyncio.create_task(bare.stop())
    await asyncio.sleep(0)
    first.cancel()
    await bare.stop()
    assert bare.calls == ["open", "close"]


@pytest.mark.asyncio
async def test_messages_come_with_the_address_of_their_connection() -> None:
    bare, inbox = Bare(), Inbox()
    bare.register_handler(inbox)
    await bare.start()
    bare.handle_event(Connected(connection=1, peer_id=PEER_ID, address=PEER, is_initiator=True))
    bare.handle_event(received())
    await inbox.wait_for(1)
    assert inbox.packets == [(Packet(b"payload", Delivery.RELIABLE), PEER)]
    bare.handle_event(
        Closed(connection=1, peer_id=PEER_ID, address=PEER, code=Code.OK, reason="", by_peer=True, is_initiator=True)
    )
    assert not bare._addresses
    await bare.stop()


@pytest.mark.asyncio
@pytest.mark.must("M39")
async def test_a_slow_reader_of_one_channel_holds_up_no_other() -> None:
    bare, read, may_go_on = Bare(), Inbox(), asyncio.Event()

    async def handler(packet: Packet, address: Address) -> None:
        await read(packet, address)
        if packet.payload.startswith(b"slow"):
            await may_go_on.wait()

    bare.register_handler(handler)
    await bare.start()
    bare.handle_event(Connected(connection=1, peer_id=PEER_ID, address=PEER, is_initiator=True))
    for number in range(3):
        bare.handle_event(received(Delivery.ORDERED, b"slow %d" % number, 1))
        bare.handle_event(received(Delivery.ORDERED, b"other %d" % number, 2))
        bare.handle_event(received(data=b"plain %d" % number))
    await read.wait_for(7)
    assert [payload for payload in read.payloads if payload.startswith(b"slow")] == [b"slow 0"]
    may_go_on.set()
    await read.wait_for(9)
    assert read.payloads[7:] == [b"slow 1", b"slow 2"]
    await bare.stop()


@pytest.mark.asyncio
async def test_the_latest_handler_is_the_one_that_is_called() -> None:
    bare, former, latter = Bare(), Inbox(), Inbox()
    bare.register_handler(former)
    bare.register_handler(latter)
    await bare.start()
    bare.handle_event(received())
    await latter.wait_for(1)
    assert not former.packets
    await bare.stop()


@pytest.mark.asyncio
async def test_an_event_before_the_start_is_ignored() -> None:
    bare = Bare()
    bare.handle_event(received())
    assert bare.get_stats()["handlers"] == {"calls": 0, "unhandled": 0, "dropped": 0, "errors": {}}


def test_errors_are_summed_and_everything_is_fit_for_json() -> None:
    stats = Bare().get_stats()
    assert stats["errors"] == 3
    json.dumps(stats, allow_nan=False)
