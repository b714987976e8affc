"""The UDP socket over loopback, and with kernels that refuse what most kernels do."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from node.errors import StartError
from node.transport.packet import Datagram, Transmit
from node.transport.udp_socket import BACKLOG_BYTES_MAX, SocketStats, UDPSocket, open_udp_socket
from node.types import Address
from node.wire.limits import DATAGRAMS_PER_TURN_MAX

pytestmark = pytest.mark.loopback
DEADLINE = 5.0


class Inbox:
    """Collects what a socket received and lets a test wait for it."""

    def __init__(self) -> None:
        self.datagrams: list[Datagram] = []
        self.turns: list[int] = []
        self._arrived = asyncio.Event()

    def __call__(self, datagrams: list[Datagram]) -> None:
        self.datagrams += datagrams
        self.turns.append(len(datagrams))
        self._arrived.set()

    async def wait_for(self, count: int) -> list[bytes]:
        async with asyncio.timeout(DEADLINE):
            while len(self.payloads()) < count:
                await self._arrived.wait()
                self._arrived.clear()
        return self.payloads()

    def payloads(self) -> list[bytes]:
        return [payload for datagram in self.datagrams for payload in datagram.payloads()]


class RefusingSocket(socket.socket):
    """A socket whose sends meet the errors that a test has put in `refusals`, first come, first served."""

    refusals: list[int]
    calls: list[str]

    @classmethod
    def bound(cls, *refusals: int) -> RefusingSocket:
        sock = cls(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("127.0.0.1", 0))
        sock.setblocking(False)
        sock.refusals, sock.calls = list(refusals), []
        return sock

    def _refuse(self, call: str) -> None:
        self.calls.append(call)
        if self.refusals and (number := self.refusals.pop(0)):
            raise OSError(number, errno.errorcode[number])

    def sendto(self, *arguments: Any) -> int:
        self._refuse("sendto")
        return super().sendto(*arguments)

    def sendmsg(self, *arguments: Any) -> int:
        self._refuse("sendmsg")
        return super().sendmsg(*arguments)


@contextmanager
def opened(host: str = "127.0.0.1", *, sock: socket.socket | None = None) -> Iterator[tuple[UDPSocket, Inbox]]:
    inbox = Inbox()
    udp = UDPSocket(sock or open_udp_socket(host, 0), on_datagrams=inbox)
    try:
        yield udp, inbox
    finally:
        udp.close()


def to(address: Address, data: bytes, segment_size: int | None = None, ecn: int = 0) -> Transmit:
    return Transmit(address, data, segment_size or max(1, len(data)), ecn)


@pytest.mark.asyncio
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_a_datagram_arrives_with_the_address_it_came_from(host: str) -> None:
    with opened(host) as (sender, _), opened(host) as (receiver, inbox):
        sender.send(to(receiver.address, b"hello"))
        await inbox.wait_for(1)
        assert inbox.datagrams == [Datagram(sender.address, b"hello", 0)]
        assert (sender.stats.datagrams_sent, receiver.stats.bytes_received) == (1, 5)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("host", "level", "option"), [("127.0.0.1", socket.IPPROTO_IP, 10), ("::", socket.IPPROTO_IPV6, 23)]
)
async def test_datagrams_are_never_fragmented_whatever_routers_say(host: str, level: int, option: int) -> None:
    with opened(host) as (udp, _):
        assert udp._socket.getsockopt(level, option) == 3, "PMTUDISC_PROBE"


@pytest.mark.asyncio
async def test_a_socket_on_all_addresses_speaks_ipv4_by_its_plain_name() -> None:
    with opened("::") as (both, inbox), opened() as (sender, answers):
        sender.send(to(("127.0.0.1", both.address[1]), b"question"))
        await inbox.wait_for(1)
        assert inbox.datagrams[0].address == sender.address
        both.send(to(sender.address, b"answer"))
        assert await answers.wait_for(1) == [b"answer"]


@pytest.mark.asyncio
async def test_segments_of_one_transmit_arrive_as_separate_datagrams_in_order() -> None:
    data = b"".join(bytes([number]) * 1200 for number in range(9)) + b"rest"
    with opened() as (sender, _), opened() as (receiver, inbox):
        sender.send(to(receiver.address, data, 1200))
        received = await inbox.wait_for(10)
        assert [len(each) for each in received] == [1200] * 9 + [4]
        assert b"".join(received) == data
        assert sender.stats.datagrams_sent == 10


@pytest.mark.asyncio
@pytest.mark.parametrize("refusal", [errno.EIO, errno.EINVAL])
@pytest.mark.must("M73")
async def test_a_kernel_that_refuses_segmentation_gets_single_datagrams_from_then_on(refusal: int) -> None:
    sock = RefusingSocket.bound(refusal)
    with opened(sock=sock) as (sender, _), opened() as (receiver, inbox):
        sender.stats.has_segmentation = True
        for _ in range(2):
            sender.send(to(receiver.address, b"a" * 1000 + b"b" * 1000 + b"c", 1000))
        assert await inbox.wait_for(6) == [b"a" * 1000, b"b" * 1000, b"c"] * 2
        assert sock.calls == ["sendmsg", *["sendto"] * 6]
        assert not sender.stats.has_segmentation
        assert sender.stats.datagrams_dropped == 0


@pytest.mark.asyncio
async def test_a_batch_too_large_for_the_path_is_sent_singly_without_giving_segmentation_up() -> None:
    sock = RefusingSocket.bound(errno.EMSGSIZE)
    with opened(sock=sock) as (sender, _), opened() as (receiver, inbox):
        sender.stats.has_segmentation = True
        sender.send(to(receiver.address, b"aabb", 2))
        sender.send(to(receiver.address, b"ccdd", 2))
        assert await inbox.wait_for(4) == [b"aa", b"bb", b"cc", b"dd"]
        assert sender.stats.has_segmentation


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("refusal", "name"),
    [
        (errno.EPERM, "EPERM"),
        (errno.ENOBUFS, "ENOBUFS"),
        (errno.EMSGSIZE, "EMSGSIZE"),
        (errno.ECONNREFUSED, "ECONNREFUSED"),
        (errno.ENETUNREACH, "ENETUNREACH"),
        (errno.EHOSTUNREACH, "EHOSTUNREACH"),
        (errno.ENODEV, "other"),
    ],
)
@pytest.mark.must("M72")
async def test_a_refused_datagram_is_counted_by_its_error_and_otherwise_lost(refusal: int, name: str) -> None:
    with opened(sock=RefusingSocket.bound(refusal)) as (sender, _), opened() as (receiver, inbox):
        sender.send(to(receiver.address, b"lost"))
        sender.send(to(receiver.address, b"arrives"))
        assert await inbox.wait_for(1) == [b"arrives"]
        assert sender.stats.send_errors[name] == 1
        assert (sender.stats.datagrams_dropped, sender.stats.datagrams_sent) == (1, 1)


@pytest.mark.asyncio
@pytest.mark.must("M72")
async def test_a_firewall_that_refuses_a_batch_loses_all_of_it() -> None:
    with opened(sock=RefusingSocket.bound(errno.EPERM)) as (sender, _):
        sender.stats.has_segmentation = True
        sender.send(to(("127.0.0.1", 9), b"aabbc", 2))
        assert sender.stats.send_errors["EPERM"] == 1
        assert sender.stats.datagrams_dropped == 3


@pytest.mark.asyncio
@pytest.mark.must("M72")
async def test_an_oversized_datagram_is_lost_and_counted() -> None:
    with opened() as (sender, _), opened() as (receiver, inbox):
        sender.send(to(receiver.address, bytes(65_508)))
        sender.send(to(receiver.address, bytes(65_507)))
        assert [len(each) for each in await inbox.wait_for(1)] == [65_507]
        assert sender.stats.send_errors["EMSGSIZE"] == 1


@pytest.mark.asyncio
async def test_what_a_full_socket_refuses_waits_and_keeps_its_order() -> None:
    sock = RefusingSocket.bound(0, errno.EAGAIN, errno.EAGAIN)
    with opened(sock=sock) as (sender, _), opened() as (receiver, inbox):
        sender.stats.has_segmentation = False
        sender.send(to(receiver.address, b"1122", 2))
        assert sender.is_blocked
        sender.send(to(receiver.address, b"33"))
        assert await inbox.wait_for(3) == [b"11", b"22", b"33"]
        assert not sender.is_blocked


@pytest.mark.asyncio
async def test_a_full_socket_says_when_nothing_waits_any_more() -> None:
    with opened(sock=RefusingSocket.bound(errno.EAGAIN)) as (sender, _), opened() as (receiver, inbox):
        await sender.drained()
        sender.send(to(receiver.address, b"waits"))
        await asyncio.wait_for(sender.drained(), DEADLINE)
        assert await inbox.wait_for(1) == [b"waits"]


@pytest.mark.asyncio
async def test_the_backlog_of_a_full_socket_is_bounded() -> None:
    sock = RefusingSocket.bound(*[errno.EAGAIN] * 10)
    with opened(sock=sock) as (sender, _), opened() as (receiver, _):
        datagram, fit = bytes(65_507), BACKLOG_BYTES_MAX // 65_507
        for _ in range(fit + 3):
            sender.send(to(receiver.address, datagram))
        assert sender.stats.backlog_drops == 3
        assert sender.stats.datagrams_dropped == 3


@pytest.mark.asyncio
@pytest.mark.parametrize("address", [("localhost", 1), ("::1", 1), ("no such host", 1), ("127.0.0.1", 0), ("", 1)])
async def test_an_address_that_cannot_be_sent_to_is_counted_and_never_looked_up(address: Address) -> None:
    with opened() as (sender, _):
        sender.send(to(address, b"data"))
        assert sender.stats.send_errors["EINVAL"] == 1
        assert sender.stats.datagrams_dropped == 1


@pytest.mark.asyncio
async def test_one_turn_reads_no_more_than_its_budget() -> None:
    with opened() as (receiver, inbox):
        flood = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with flood:
            for _ in range(3 * DATAGRAMS_PER_TURN_MAX):
                flood.sendto(b"x", receiver.address)
        await inbox.wait_for(3 * DATAGRAMS_PER_TURN_MAX)
        assert max(inbox.turns) <= DATAGRAMS_PER_TURN_MAX


@pytest.mark.asyncio
async def test_a_paused_socket_reads_again_after_resume() -> None:
    with opened() as (sender, _), opened() as (receiver, inbox):
        receiver.pause()
        sender.send(to(receiver.address, b"kept by the kernel"))
        await asyncio.sleep(0)
        assert not inbox.datagrams
        receiver.resume()
        assert await inbox.wait_for(1) == [b"kept by the kernel"]


@pytest.mark.asyncio
@pytest.mark.must("M74")
async def test_datagrams_that_the_kernel_dropped_are_counted() -> None:
    with opened() as (receiver, inbox):
        receiver._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flood:
            for _ in range(100):
                flood.sendto(bytes(1000), receiver.address)
        await inbox.wait_for(1)
        received = len(inbox.datagrams)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flood:
            flood.sendto(b"carries the count", receiver.address)
        await inbox.wait_for(received + 1)
        assert receiver.stats.kernel_drops == 100 - received


@pytest.mark.asyncio
async def test_congestion_marks_of_the_network_are_reported() -> None:
    with opened() as (receiver, inbox), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as marking:
        marking.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 0b11)
        marking.sendto(b"marked", receiver.address)
        await inbox.wait_for(1)
        assert inbox.datagrams[0].ecn == 0b11


@pytest.mark.asyncio
@pytest.mark.parametrize(("host", "target"), [("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("::", "127.0.0.1")])
@pytest.mark.parametrize("segment_size", [None, 3])
async def test_marks_of_a_transmit_are_sent_with_it(host: str, target: str, segment_size: int | None) -> None:
    with opened(host) as (sender, _), opened(target) as (receiver, inbox):
        sender.send(to(receiver.address, b"marked", segment_size, ecn=0b10))
        await inbox.wait_for(2 if segment_size else 1)
        assert {datagram.ecn for datagram in inbox.datagrams} == {0b10}
        sender.send(to(receiver.address, b"plain"))
        await inbox.wait_for(3 if segment_size else 2)
        assert inbox.datagrams[-1].ecn == 0


@pytest.mark.asyncio
async def test_a_kernel_that_takes_no_marks_gets_unmarked_datagrams_from_then_on() -> None:
    sock = RefusingSocket.bound(errno.EINVAL)
    with opened(sock=sock) as (sender, _), opened() as (receiver, inbox):
        for _ in range(2):
            sender.send(to(receiver.address, b"data", ecn=0b10))
        assert await inbox.wait_for(2) == [b"data"] * 2
        assert sock.calls == ["sendmsg", "sendto", "sendto"]
        assert sender.stats.datagrams_dropped == 0


@pytest.mark.asyncio
async def test_a_narrow_route_that_refuses_a_batch_and_its_pieces_does_not_end_segmentation() -> None:
    sock = RefusingSocket.bound(errno.EINVAL, errno.EMSGSIZE, errno.EMSGSIZE)
    with opened(sock=sock) as (sender, _), opened() as (receiver, inbox):
        sender.stats.has_segmentation = True
        sender.send(to(receiver.address, b"aabb", 2))
        sender.send(to(receiver.address, b"ccdd", 2))
        assert await inbox.wait_for(2) == [b"cc", b"dd"]
        assert sender.stats.has_segmentation


@pytest.mark.asyncio
@pytest.mark.parametrize("refusal", [errno.EPERM, errno.ENOBUFS, errno.EMSGSIZE])
async def test_what_a_router_might_have_dropped_is_no_error(refusal: int) -> None:
    with opened(sock=RefusingSocket.bound(refusal, errno.ENODEV)) as (sender, _):
        sender.send(to(("127.0.0.1", 9), b"lost"))
        assert (sender.stats.errors, sender.stats.datagrams_dropped) == (0, 1)
        sender.send(to(("127.0.0.1", 9), b"failed"))
        assert (sender.stats.errors, sender.stats.datagrams_dropped) == (1, 2)


@pytest.mark.asyncio
@pytest.mark.must("M74")
async def test_buffers_that_the_kernel_granted_are_reported() -> None:
    with opened() as (udp, _):
        assert 0 < udp.stats.receive_buffer <= udp.stats.buffer_asked
        assert 0 < udp.stats.send_buffer <= udp.stats.buffer_asked


@pytest.mark.asyncio
async def test_a_receive_error_does_not_end_reading() -> None:
    class Complaining(RefusingSocket):
        complaints = 3

        def recvmsg_into(self, *arguments: Any) -> Any:
            if self.complaints:
                self.complaints -= 1
                raise ConnectionRefusedError(errno.ECONNREFUSED, "refused")
            return super().recvmsg_into(*arguments)

    with opened(sock=Complaining.bound()) as (receiver, inbox), opened() as (sender, _):
        sender.send(to(receiver.address, b"still here"))
        assert await inbox.wait_for(1) == [b"still here"]
        assert receiver.stats.receive_errors == 3


@pytest.mark.asyncio
async def test_close_frees_the_port_and_may_be_called_twice() -> None:
    with opened() as (udp, _):
        udp.close()
        udp.close()
        udp.send(to(("127.0.0.1", 9), b"late"))
        assert udp.stats.datagrams_sent == 0
        open_udp_socket(*udp.address).close()


@pytest.mark.asyncio
async def test_close_writes_all_that_the_kernel_takes() -> None:
    with opened() as (receiver, inbox):
        with opened(sock=RefusingSocket.bound(errno.EAGAIN)) as (sender, _):
            for number in range(200):
                sender.send(to(receiver.address, number.to_bytes(2)))
            assert sender.stats.datagrams_sent == 0
            sender.close()
        assert len(await inbox.wait_for(200)) == 200
        assert sender.stats.datagrams_dropped == 0


@pytest.mark.asyncio
@pytest.mark.must("M72")
async def test_what_a_full_socket_still_holds_when_it_is_closed_is_counted() -> None:
    with opened(sock=RefusingSocket.bound(*[errno.EAGAIN] * 10)) as (sender, _), opened() as (receiver, _):
        for _ in range(3):
            sender.send(to(receiver.address, b"1122", 2))
        sender.close()
        assert sender.stats.datagrams_dropped == sender.stats.backlog_drops == 6
        assert not sender.is_blocked


def test_a_taken_port_is_one_clear_line() -> None:
    with open_udp_socket("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StartError, match=rf"cannot listen on UDP 127.0.0.1:{port}: Address already in use"):
            open_udp_socket("127.0.0.1", port)


def test_counters_start_at_zero_for_every_known_error() -> None:
    assert set(SocketStats().send_errors.values()) == {0}
