"""Moves datagrams between the kernel and a machine: one non-blocking UDP socket on the asyncio loop.

Knows addresses and bytes, nothing of packets. What arrives goes in batches to `on_datagrams`; `Transmit`s come from the
driver. Whatever the kernel refuses is counted by its error and otherwise treated as lost on the way, since that is what
the transport above is made for. UDP_SEGMENT and UDP_GRO are used where the kernel has them.
"""

from __future__ import annotations

import asyncio
import errno
import select
import socket
import struct
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from node.errors import StartError
from node.transport.addresses import SocketAddress, host_of, listening, socket_address
from node.transport.packet import Datagram, Transmit
from node.types import Address, format_address
from node.wire.limits import DATAGRAMS_PER_TURN_MAX

__all__ = ["LOSSES", "SEND_ERRORS", "SocketStats", "UDPSocket", "open_udp_socket"]

# Linux numbers that the socket module lacks (include/uapi/linux/udp.h, asm-generic/socket.h, linux/in.h, in6.h).
SOL_UDP, UDP_SEGMENT, UDP_GRO = 17, 103, 104
SO_SNDBUFFORCE, SO_RCVBUFFORCE, SO_RXQ_OVFL = 32, 33, 40
IP_RECVTOS = 13
IP_MTU_DISCOVER, IPV6_MTU_DISCOVER, PMTUDISC_PROBE = 10, 23, 3

SOCKET_BUFFER_BYTES = 4 << 20
"""Asked of the kernel for each direction: the default of 208 KiB overflows in 2 ms at 1 Gbit/s."""

BACKLOG_BYTES_MAX = 4 << 20
"""Datagrams waiting for a full socket; beyond it they are dropped, as a router would."""

ADDRESSES_MAX = 4096
"""Socket addresses remembered; the table starts over when it is full."""

SEND_ERRORS = ("EPERM", "ENOBUFS", "EMSGSIZE", "ECONNREFUSED", "ENETUNREACH", "EHOSTUNREACH", "EINVAL", "other")
"""Names under which refused sends are counted; `other` holds every error without a name of its own."""

LOSSES = ("EPERM", "ENOBUFS", "EMSGSIZE")
"""Refusals that are a loss on the way like any other: a firewall, a full queue, a probe for a larger path MTU."""

_DATAGRAMS_PER_TURN = 256
"""Datagrams after which a turn of the loop ends, where the kernel joins many in one read: they wait for their answers,
and timers wait for them."""

_RECEIVE_BYTES = 1 << 16
_CONTROL_BYTES = 256
_CONTROLS_MAX = 1024
_INTEGER = struct.Struct("=i")
_SEGMENT_SIZE = struct.Struct("=H")
_ECN_BITS = 0b11
_UINT32 = 1 << 32
_ECN_CONTROLS = ((int(socket.IPPROTO_IP), socket.IP_TOS), (int(socket.IPPROTO_IPV6), socket.IPV6_TCLASS))
_TRUNCATED = int(socket.MSG_TRUNC)
"""An `&` with a member of an enumeration takes longer than a system call."""

_Control = tuple[int, int, bytes]


@dataclass(slots=True)
class SocketStats:
    """What one socket has counted; buffers are as the kernel reports them (twice the payload that fits).

    datagrams_dropped: given to this socket and not accepted by the kernel, for whatever reason.
    kernel_drops: arrived, and dropped by the kernel because the receive buffer was full.
    send_errors: sends that the kernel refused, by name; those in LOSSES are losses and no errors.
    buffer_asked: what was asked for each of them, in the same counting.
    has_segmentation, has_coalescing, has_marking: whether UDP_SEGMENT, UDP_GRO and ECN marks work here.
    """

    datagrams_received: int = 0
    bytes_received: int = 0
    reads: int = 0
    datagrams_sent: int = 0
    bytes_sent: int = 0
    writes: int = 0
    datagrams_dropped: int = 0
    backlog_drops: int = 0
    kernel_drops: int = 0
    truncated: int = 0
    receive_errors: int = 0
    send_errors: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SEND_ERRORS, 0))
    receive_buffer: int = 0
    send_buffer: int = 0
    buffer_asked: int = 2 * SOCKET_BUFFER_BYTES
    has_segmentation: bool = False
    has_coalescing: bool = False
    has_marking: bool = True

    @property
    def errors(self) -> int:
        """Sends and reads that failed; what counts as lost on the way is none."""
        lost = sum(self.send_errors[name] for name in LOSSES)
        return sum(self.send_errors.values()) - lost + self.receive_errors


def open_udp_socket(host: str, port: int) -> socket.socket:
    """A bound, non-blocking socket; `host` is an IP literal, and "::" listens on IPv4 too. StartError if impossible."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        sock = socket.socket(family, socket.SOCK_DGRAM)
    except OSError as error:
        raise StartError(f"cannot open a UDP socket for {host}: {error.strerror}") from error
    try:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(host != "::"))
        sock.bind(listening(family, host, port))
        sock.setblocking(False)
    except (OSError, OverflowError) as error:
        sock.close()
        reason = error.strerror if isinstance(error, OSError) else error
        raise StartError(f"cannot listen on UDP {format_address((host, port))}: {reason}") from error
    return sock


class UDPSocket:
    """Owns `sock` (bound, non-blocking) and closes it; starts reading at once.

    on_datagrams: called with what one turn of the loop has read, never with nothing. stats: those to go on counting.
    """

    def __init__(
        self,
        sock: socket.socket,
        *,
        on_datagrams: Callable[[list[Datagram]], None],
        stats: SocketStats | None = None,
    ) -> None:
        self._socket = sock
        self._on_datagrams = on_datagrams
        self._loop = asyncio.get_running_loop()
        self._waiting = select.poll()
        self._waiting.register(sock, select.POLLIN)
        self._buffer = bytearray(_RECEIVE_BYTES)
        self._view = memoryview(self._buffer)
        self._backlog: deque[tuple[SocketAddress, bytes, int, int]] = deque()
        self._backlog_bytes = 0
        self._addresses: dict[Address, SocketAddress | None] = {}
        self._controls: dict[tuple[int, int, bool], list[_Control]] = {}
        self._has_drained = asyncio.Event()
        self._is_reading = False
        self._is_closed = False
        self._last_overflow = 0
        self.stats = stats or SocketStats()
        _configure(sock, self.stats)
        name = sock.getsockname()
        self.address: Address = host_of(name), name[1]
        self.resume()

    def send(self, transmit: Transmit) -> None:
        """Hands one or several datagrams to the kernel, or to the backlog while the socket is full."""
        address = self._addresses.get(transmit.address) or self._socket_address(transmit.address)
        if self._is_closed or address is None:
            self._count_error(errno.EINVAL, _count(transmit.data, transmit.segment_size))
            return
        rest = transmit.data
        if not self._backlog:
            if len(rest) > transmit.segment_size:
                rest = self._write(address, rest, transmit.segment_size, transmit.ecn)
            else:
                rest = self._write_one(address, rest, transmit.ecn)
            if not rest:
                return
            self._loop.add_writer(self._socket, self._on_writable)
        if self._backlog_bytes + len(rest) > BACKLOG_BYTES_MAX:
            self._drop(rest, transmit.segment_size)
            return
        self._backlog.append((address, rest, transmit.segment_size, transmit.ecn))
        self._backlog_bytes += len(rest)

    @property
    def is_blocked(self) -> bool:
        """Whether datagrams wait for room in the kernel's buffer."""
        return bool(self._backlog)

    async def drained(self) -> None:
        """Returns once nothing waits any more."""
        while self._backlog:
            self._has_drained.clear()
            await self._has_drained.wait()

    def pause(self) -> None:
        """Stops reading, so that the kernel's buffer fills and the peers slow down."""
        if self._is_reading:
            self._is_reading = False
            self._loop.remove_reader(self._socket)

    def resume(self) -> None:
        """Reads on after `pause`."""
        if not self._is_reading and not self._is_closed:
            self._is_reading = True
            self._loop.add_reader(self._socket, self._on_readable)

    def close(self) -> None:
        """Writes what the kernel still takes, counts the rest, then closes; may be called again."""
        if self._is_closed:
            return
        waiting = 0
        while len(self._backlog) != waiting:
            waiting = len(self._backlog)
            self._on_writable()
        while self._backlog:
            _, data, segment_size, _ = self._backlog.popleft()
            self._drop(data, segment_size)
        self._backlog_bytes = 0
        self.pause()
        self._is_closed = True
        self._loop.remove_writer(self._socket)
        self._socket.close()

    # ------------------------------------------------------------------------------------------------------- receiving

    def _on_readable(self) -> None:
        datagrams: list[Datagram] = []
        stats, receive, buffers, view = self.stats, self._socket.recvmsg_into, [self._buffer], self._view
        count = 0
        for _ in range(DATAGRAMS_PER_TURN_MAX):
            try:
                size, control, flags, name = receive(buffers, _CONTROL_BYTES)
            except BlockingIOError:
                break
            except OSError:
                # On an unconnected socket these are complaints about earlier sends; the socket itself is well.
                stats.receive_errors += 1
                continue
            stats.reads += 1
            if flags & _TRUNCATED:
                stats.truncated += 1
                continue
            segment_size, ecn = self._read_control(control) if control else (0, 0)
            stats.bytes_received += size
            count += 1 if not segment_size or size <= segment_size else -(-size // segment_size)
            address = name if len(name) == 2 else (host_of(name), name[1])
            datagrams.append(Datagram(address, bytes(view[:size]), ecn, segment_size))
            # Mostly a lone datagram has nothing behind it, and to ask costs less than a read that fails.
            if count >= _DATAGRAMS_PER_TURN or (count == 1 and not self._waiting.poll(0)):
                break
        if datagrams:
            stats.datagrams_received += count
            self._on_datagrams(datagrams)

    def _read_control(self, control: Iterable[tuple[int, int, bytes]]) -> tuple[int, int]:
        """The size of coalesced segments (0: a single one) and the ECN bits."""
        segment_size = ecn = 0
        for level, kind, data in control:
            if (level, kind) in _ECN_CONTROLS:
                ecn = data[0] & _ECN_BITS
            elif level == SOL_UDP and kind == UDP_GRO:
                (segment_size,) = _INTEGER.unpack_from(data)
            elif level == socket.SOL_SOCKET and kind == SO_RXQ_OVFL:
                overflow = _INTEGER.unpack_from(data)[0] % _UINT32
                self.stats.kernel_drops += (overflow - self._last_overflow) % _UINT32
                self._last_overflow = overflow
        return segment_size, ecn

    # --------------------------------------------------------------------------------------------------------- sending

    def _write(self, address: SocketAddress, data: bytes, segment_size: int, ecn: int) -> bytes:
        """Writes datagrams of that size; what is returned did not fit into the kernel's buffer."""
        is_refused = False
        if len(data) > segment_size and self.stats.has_segmentation:
            number = self._try_batch(address, data, segment_size, ecn)
            if not number:
                return b""
            if number == errno.EAGAIN:
                return data
            # The device cannot compute checksums, or the route has become too narrow.
            is_refused = number != errno.EMSGSIZE
        for start in range(0, len(data), segment_size):
            number = self._try_one(address, data[start : start + segment_size], ecn)
            if number == errno.EAGAIN:
                return data[start:]
            if number:
                self._count_error(number, 1)
                is_refused = is_refused and number != errno.EMSGSIZE
        if is_refused:
            # Alone they went: no later batch would fare better.
            self.stats.has_segmentation = False
        return b""

    def _write_one(self, address: SocketAddress, data: bytes, ecn: int) -> bytes:
        """As `_write`, for a single datagram, which needs no batch."""
        number = self._try_one(address, data, ecn)
        if number == errno.EAGAIN:
            return data
        if number:
            self._count_error(number, 1)
        return b""

    def _try_batch(self, address: SocketAddress, data: bytes, segment_size: int, ecn: int) -> int:
        """Sends all of it in one call: 0, EAGAIN for a full buffer, or why it must go in pieces."""
        try:
            self._socket.sendmsg([data], self._control(address, segment_size, ecn), 0, address)
        except BlockingIOError:
            return errno.EAGAIN
        except OSError as error:
            if error.errno in (errno.EIO, errno.EINVAL, errno.EMSGSIZE):
                return error.errno
            self._count_error(error.errno, _count(data, segment_size))
            return 0
        self.stats.writes += 1
        self.stats.datagrams_sent += _count(data, segment_size)
        self.stats.bytes_sent += len(data)
        return 0

    def _try_one(self, address: SocketAddress, data: bytes, ecn: int) -> int:
        """Sends one datagram: 0, or the number of the error."""
        try:
            if ecn and self.stats.has_marking:
                self._socket.sendmsg([data], self._control(address, 0, ecn), 0, address)
            else:
                self._socket.sendto(data, address)
        except BlockingIOError:
            return errno.EAGAIN
        except OSError as error:
            if error.errno == errno.EINVAL and ecn and self.stats.has_marking:
                # This kernel takes no marks with a datagram; without them it may.
                self.stats.has_marking = False
                self._controls.clear()
                return self._try_one(address, data, 0)
            return error.errno or errno.EIO
        stats = self.stats
        stats.writes += 1
        stats.datagrams_sent += 1
        stats.bytes_sent += len(data)
        return 0

    def _control(self, address: SocketAddress, segment_size: int, ecn: int) -> list[_Control]:
        """What goes along with a send: how to cut it, and its ECN bits."""
        is_ipv6 = len(address) == 4 and not address[0].startswith("::ffff:")
        key = (segment_size, ecn, is_ipv6)
        found = self._controls.get(key)
        if found is None:
            if len(self._controls) >= _CONTROLS_MAX:
                self._controls.clear()
            found = [(SOL_UDP, UDP_SEGMENT, _SEGMENT_SIZE.pack(segment_size))] if segment_size else []
            if ecn and self.stats.has_marking:
                # An IPv4 packet of an IPv6 socket is marked the IPv4 way.
                level, kind = (
                    (socket.IPPROTO_IPV6, socket.IPV6_TCLASS) if is_ipv6 else (socket.IPPROTO_IP, socket.IP_TOS)
                )
                found.append((level, kind, _INTEGER.pack(ecn)))
            self._controls[key] = found
        return found

    def _on_writable(self) -> None:
        for _ in range(DATAGRAMS_PER_TURN_MAX):
            if not self._backlog:
                break
            address, data, segment_size, ecn = self._backlog.popleft()
            rest = self._write(address, data, segment_size, ecn)
            self._backlog_bytes -= len(data) - len(rest)
            if rest:
                self._backlog.appendleft((address, rest, segment_size, ecn))
                return
        if not self._backlog:
            self._loop.remove_writer(self._socket)
            self._has_drained.set()

    def _drop(self, data: bytes, segment_size: int) -> None:
        dropped = _count(data, segment_size)
        self.stats.backlog_drops += dropped
        self.stats.datagrams_dropped += dropped

    def _count_error(self, number: int | None, datagrams: int) -> None:
        name = errno.errorcode.get(number or 0, "other")
        self.stats.send_errors[name if name in self.stats.send_errors else "other"] += 1
        self.stats.datagrams_dropped += datagrams

    def _socket_address(self, address: Address) -> SocketAddress | None:
        """The address as this socket's family writes it; None if it is no IP literal.

        No name is ever looked up here, where that would block the loop.
        """
        if address in self._addresses:
            return self._addresses[address]
        if len(self._addresses) >= ADDRESSES_MAX:
            self._addresses.clear()
        found = socket_address(self._socket.family, address)
        self._addresses[address] = found
        return found


def _configure(sock: socket.socket, stats: SocketStats) -> None:
    stats.receive_buffer = _ask_buffer(sock, SO_RCVBUFFORCE, socket.SO_RCVBUF)
    stats.send_buffer = _ask_buffer(sock, SO_SNDBUFFORCE, socket.SO_SNDBUF)
    # Only asks whether the option exists: the size itself travels with each call.
    stats.has_segmentation = _try_option(sock, SOL_UDP, UDP_SEGMENT, 0)
    stats.has_coalescing = _try_option(sock, SOL_UDP, UDP_GRO, 1)
    _try_option(sock, socket.SOL_SOCKET, SO_RXQ_OVFL, 1)
    _try_option(sock, socket.IPPROTO_IP, IP_RECVTOS, 1)
    # Never fragment, and never believe what a router says of the path: the transport finds its size by itself.
    _try_option(sock, socket.IPPROTO_IP, IP_MTU_DISCOVER, PMTUDISC_PROBE)
    if sock.family == socket.AF_INET6:
        _try_option(sock, socket.IPPROTO_IPV6, socket.IPV6_RECVTCLASS, 1)
        _try_option(sock, socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, PMTUDISC_PROBE)


def _ask_buffer(sock: socket.socket, force: int, plain: int) -> int:
    # The forced form ignores the host's limit, but needs CAP_NET_ADMIN.
    if not _try_option(sock, socket.SOL_SOCKET, force, SOCKET_BUFFER_BYTES):
        _try_option(sock, socket.SOL_SOCKET, plain, SOCKET_BUFFER_BYTES)
    return sock.getsockopt(socket.SOL_SOCKET, plain)


def _try_option(sock: socket.socket, level: int, option: int, value: int) -> bool:
    try:
        sock.setsockopt(level, option, value)
    except OSError:
        return False
    return True


def _count(data: bytes, segment_size: int) -> int:
    return -(-len(data) // segment_size) if data else 1
