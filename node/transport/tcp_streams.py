"""Moves bytes between the kernel and a machine: a listening TCP socket and its connections on the asyncio loop.

Knows streams by number and bytes, nothing of records. What happens goes to `on_inputs`; what shall happen comes from
the driver. The machine bounds what it writes; a peer that takes no bytes for a while is cut all the same. Own sockets
instead of asyncio's streams, because those report a full file table as an error of the loop.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import struct
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from node.errors import StartError
from node.transport.addresses import host_of, listening, socket_address
from node.transport.stats import KernelInfo
from node.transport.stream import (
    SLOW_READER,
    StreamClosed,
    StreamConnect,
    StreamData,
    StreamInput,
    StreamOpened,
    StreamRoom,
    StreamShutdown,
    StreamWrite,
)
from node.types import MICROSECOND, Address, format_address
from node.wire.limits import (
    ACCEPTS_PER_TURN_MAX,
    STREAM_BUFFER_BYTES_MAX,
    STREAM_READ_BYTES,
    STREAM_UNSENT_BYTES,
)

__all__ = ["ACCEPT_ERRORS", "StreamStats", "TCPStreams", "open_tcp_listener"]

BACKLOG = 128
"""Connections that the kernel holds until they are accepted."""

STALL_TIMEOUT = 10.0
"""Seconds in which a peer must take at least one byte of what waits for it."""

LINGER_TIMEOUT = 1.0
"""Seconds in which the peer must close after us; closing at once would make the kernel throw away our last bytes."""

ACCEPT_PAUSE = 0.5
"""Seconds without accepting after the process ran out of files or memory."""

ACCEPT_ERRORS = ("EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "ECONNABORTED", "other")
"""Names under which refused accepts are counted."""

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_TCP_INFO = struct.Struct("=8x I 4x I 48x 2I 4x I 16x I")
"""Of struct tcp_info (linux/tcp.h): rto, snd_mss, rtt, rttvar, snd_cwnd, total_retrans; times are microseconds."""


@dataclass(slots=True)
class StreamStats:
    """What the listener and its streams have counted; refused: more at once than there is room for."""

    accepted: int = 0
    refused: int = 0
    connected: int = 0
    connect_failures: int = 0
    slow_readers: int = 0
    accept_errors: dict[str, int] = field(default_factory=lambda: dict.fromkeys(ACCEPT_ERRORS, 0))


def open_tcp_listener(host: str, port: int) -> socket.socket:
    """A listening, non-blocking socket; `host` is an IP literal, and "::" listens on IPv4 too. StartError if not."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        sock = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise StartError(f"cannot open a TCP socket for {host}: {error.strerror}") from error
    try:
        # Connections of a former process that are still fading away must not keep the port.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(host != "::"))
        sock.bind(listening(family, host, port))
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        raise StartError(f"cannot listen on TCP {format_address((host, port))}: {error.strerror}") from error
    return sock


@dataclass(slots=True)
class _Stream:
    """bytes_written_before: when the stall timer last looked. timer: of a stall, then of lingering."""

    number: int
    sock: socket.socket
    address: Address
    is_initiator: bool
    is_connecting: bool
    chunks: deque[memoryview] = field(default_factory=deque)
    bytes_waiting: int = 0
    bytes_written: int = 0
    bytes_written_before: int = 0
    is_ending: bool = False
    is_reading: bool = False
    has_writer: bool = False
    has_room: bool = True
    timer: asyncio.TimerHandle | None = None


class TCPStreams:
    """Owns `listener` (see `open_tcp_listener`) and every stream, and closes them.

    on_inputs: called with what happened; may be called from within `connect` and `write`.
    streams_max: streams at once, those included that are being closed. stall_timeout: seconds, see STALL_TIMEOUT.
    """

    def __init__(
        self,
        listener: socket.socket,
        *,
        on_inputs: Callable[[Iterable[StreamInput]], None],
        streams_max: int,
        stall_timeout: float = STALL_TIMEOUT,
    ) -> None:
        self._listener = listener
        self._on_inputs = on_inputs
        self._streams_max = streams_max
        self._stall_timeout = stall_timeout
        self._loop = asyncio.get_running_loop()
        self._streams: dict[int, _Stream] = {}
        self._next_number = 1
        self._accept_timer: asyncio.TimerHandle | None = None
        self._is_paused = False
        self._is_accepting = False
        self._all_gone = asyncio.Event()
        self.stats = StreamStats()
        name = listener.getsockname()
        self.address: Address = host_of(name), name[1]
        self._accept_again()

    def __len__(self) -> int:
        return len(self._streams)

    # --- what the machine wants

    def connect(self, output: StreamConnect) -> None:
        """Begins to open a stream; StreamOpened or StreamClosed follows, unless it is shut down before."""
        family = socket.AF_INET6 if ":" in output.address[0] else socket.AF_INET
        target = socket_address(family, output.address)
        if target is None:
            self._on_inputs([StreamClosed(output.stream, "not an IP address and port")])
            return
        try:
            sock = socket.socket(family, socket.SOCK_STREAM)
        except OSError as error:
            self.stats.connect_failures += 1
            self._on_inputs([StreamClosed(output.stream, _text(error))])
            return
        sock.setblocking(False)
        stream = _Stream(output.stream, sock, output.address, is_initiator=True, is_connecting=True)
        self._streams[stream.number] = stream
        number = sock.connect_ex(target)
        if number in (0, errno.EINPROGRESS):
            self._want_writable(stream)
        else:
            self.stats.connect_failures += 1
            self._fail(stream, os.strerror(number))

    def write(self, output: StreamWrite) -> None:
        """Writes now what the kernel takes, and the rest as it takes more."""
        stream = self._streams.get(output.stream)
        if stream is None or stream.is_ending or not output.data:
            return
        written = 0
        if not stream.chunks and not stream.is_connecting:
            written = self._try_write(stream, output.data)
            if written < 0 or written == len(output.data):
                return
            self._await_room(stream)
        stream.chunks.append(memoryview(output.data)[written:])
        stream.bytes_waiting += len(output.data) - written
        if stream.has_room:
            stream.has_room = False
            self._on_inputs([StreamRoom(stream.number, has_room=False)])
        if stream.bytes_waiting > STREAM_BUFFER_BYTES_MAX and stream.number in self._streams:
            self._cut(stream)

    def shutdown(self, output: StreamShutdown) -> None:
        """Closes after the last byte; nothing about that stream is reported any more."""
        stream = self._streams.get(output.stream)
        if stream is None or stream.is_ending:
            return
        stream.is_ending = True
        if stream.is_connecting:
            self._drop(stream)
            return
        self._set_timer(stream, LINGER_TIMEOUT, self._reset)
        if not stream.chunks:
            self._finish(stream)

    # --- what the owner wants

    def pause(self) -> None:
        """Stops reading, so that the peers slow down; what is being closed reads on."""
        self._is_paused = True
        for stream in self._streams.values():
            if not stream.is_ending:
                self._stop_reading(stream)

    def resume(self) -> None:
        """Reads on after `pause`."""
        self._is_paused = False
        for stream in self._streams.values():
            if not stream.is_connecting:
                self._start_reading(stream)

    def kernel_info(self, stream: int) -> KernelInfo | None:
        """The kernel's own measurements (TCP_INFO); None for a stream that is not there or not connected."""
        found = self._streams.get(stream)
        if found is None or found.is_connecting:
            return None
        info = found.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size)
        if len(info) < _TCP_INFO.size:
            return None
        rto, segment, rtt, rttvar, window, retransmissions = _TCP_INFO.unpack_from(info)
        return KernelInfo(
            smoothed_rtt=rtt * MICROSECOND,
            rttvar=rttvar * MICROSECOND,
            rto=rto * MICROSECOND,
            retransmissions=retransmissions,
            congestion_window=window * segment,
        )

    def stop_accepting(self) -> None:
        """Closes the listener; the streams stay."""
        if self._accept_timer is not None:
            self._accept_timer.cancel()
            self._accept_timer = None
        if self._is_accepting:
            self._is_accepting = False
            self._loop.remove_reader(self._listener)
        self._listener.close()

    async def drained(self) -> None:
        """Returns once no stream is left."""
        while self._streams:
            self._all_gone.clear()
            await self._all_gone.wait()

    def close(self) -> None:
        """Closes everything at once; may be called again."""
        self.stop_accepting()
        for stream in list(self._streams.values()):
            self._drop(stream)

    # --- accepting

    def _accept_again(self) -> None:
        self._accept_timer = None
        self._is_accepting = True
        self._loop.add_reader(self._listener, self._on_acceptable)

    def _on_acceptable(self) -> None:
        for _ in range(ACCEPTS_PER_TURN_MAX):
            try:
                sock, name = self._listener.accept()
            except BlockingIOError:
                return
            except ConnectionAbortedError:
                self.stats.accept_errors["ECONNABORTED"] += 1
                continue
            except OSError as error:
                # Out of files or memory: the caller waits in the kernel's queue until there is room again.
                kind = errno.errorcode.get(error.errno or 0, "other")
                self.stats.accept_errors[kind if kind in self.stats.accept_errors else "other"] += 1
                self._is_accepting = False
                self._loop.remove_reader(self._listener)
                self._accept_timer = self._loop.call_later(ACCEPT_PAUSE, self._accept_again)
                return
            self._on_accepted(sock, (host_of(name), name[1]))

    def _on_accepted(self, sock: socket.socket, address: Address) -> None:
        if len(self._streams) >= self._streams_max:
            self.stats.refused += 1
            sock.close()
            return
        sock.setblocking(False)
        self.stats.accepted += 1
        stream = _Stream(self._next_number, sock, address, is_initiator=False, is_connecting=False)
        self._next_number += 1
        self._streams[stream.number] = stream
        self._begin(stream)

    def _begin(self, stream: _Stream) -> None:
        # Small records must not wait for the acknowledgement of those before them.
        stream.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with suppress(OSError):
            # Where a kernel cannot do that, more is beyond recall.
            stream.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, STREAM_UNSENT_BYTES)
        if not self._is_paused:
            self._start_reading(stream)
        self._on_inputs([StreamOpened(stream.number, stream.address, stream.is_initiator)])

    # --- reading and writing

    def _on_readable(self, stream: _Stream) -> None:
        try:
            data = stream.sock.recv(STREAM_READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self._fail(stream, _text(error))
            return
        if not data:
            self._fail(stream, "end of stream")
        elif not stream.is_ending:
            self._on_inputs([StreamData(stream.number, data)])

    def _on_writable(self, stream: _Stream) -> None:
        if not stream.is_connecting:
            self._write_waiting(stream)
            return
        number = stream.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            self.stats.connect_failures += 1
            self._fail(stream, os.strerror(number))
            return
        stream.is_connecting = False
        self.stats.connected += 1
        self._stop_writing(stream)
        self._begin(stream)
        if stream.chunks:
            self._write_waiting(stream)

    def _write_waiting(self, stream: _Stream) -> None:
        while stream.chunks:
            chunk = stream.chunks[0]
            written = self._try_write(stream, chunk)
            if written < 0:
                return
            stream.bytes_waiting -= written
            if written < len(chunk):
                stream.chunks[0] = chunk[written:]
                self._await_room(stream)
                return
            stream.chunks.popleft()
        self._stop_writing(stream)
        if stream.is_ending:
            self._finish(stream)
            return
        self._clear_timer(stream)
        if not stream.has_room:
            stream.has_room = True
            self._on_inputs([StreamRoom(stream.number, has_room=True)])

    def _try_write(self, stream: _Stream, data: bytes | memoryview) -> int:
        """How many bytes the kernel took; -1 of a stream that has failed."""
        try:
            written = stream.sock.send(data)
        except BlockingIOError:
            return 0
        except OSError as error:
            self._fail(stream, _text(error))
            return -1
        stream.bytes_written += written
        return written

    def _await_room(self, stream: _Stream) -> None:
        self._want_writable(stream)
        if stream.timer is None:
            stream.bytes_written_before = stream.bytes_written
            self._set_timer(stream, self._stall_timeout, self._check_stall)

    def _check_stall(self, stream: _Stream) -> None:
        if stream.bytes_written == stream.bytes_written_before:
            self._cut(stream)
        else:
            stream.bytes_written_before = stream.bytes_written
            self._set_timer(stream, self._stall_timeout, self._check_stall)

    # --- ending

    def _finish(self, stream: _Stream) -> None:
        """Everything is written: says so, and waits for the peer to do the same."""
        try:
            stream.sock.shutdown(socket.SHUT_WR)
        except OSError:
            # The peer has reset the connection: there is nobody left to wait for.
            self._drop(stream)
        else:
            self._start_reading(stream)

    def _cut(self, stream: _Stream) -> None:
        self.stats.slow_readers += 1
        stream.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._fail(stream, SLOW_READER)

    def _reset(self, stream: _Stream) -> None:
        stream.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._drop(stream)

    def _fail(self, stream: _Stream, reason: str) -> None:
        self._drop(stream)
        if not stream.is_ending:
            self._on_inputs([StreamClosed(stream.number, reason)])

    def _drop(self, stream: _Stream) -> None:
        self._clear_timer(stream)
        self._stop_reading(stream)
        self._stop_writing(stream)
        stream.chunks.clear()
        stream.sock.close()
        del self._streams[stream.number]
        if not self._streams:
            self._all_gone.set()

    # --- registrations with the loop, each made and undone once

    def _start_reading(self, stream: _Stream) -> None:
        if not stream.is_reading:
            stream.is_reading = True
            self._loop.add_reader(stream.sock, self._on_readable, stream)

    def _stop_reading(self, stream: _Stream) -> None:
        if stream.is_reading:
            stream.is_reading = False
            self._loop.remove_reader(stream.sock)

    def _want_writable(self, stream: _Stream) -> None:
        if not stream.has_writer:
            stream.has_writer = True
            self._loop.add_writer(stream.sock, self._on_writable, stream)

    def _stop_writing(self, stream: _Stream) -> None:
        if stream.has_writer:
            stream.has_writer = False
            self._loop.remove_writer(stream.sock)

    def _set_timer(self, stream: _Stream, seconds: float, action: Callable[[_Stream], None]) -> None:
        self._clear_timer(stream)
        stream.timer = self._loop.call_later(seconds, action, stream)

    def _clear_timer(self, stream: _Stream) -> None:
        if stream.timer is not None:
            stream.timer.cancel()
            stream.timer = None


def _text(error: OSError) -> str:
    return error.strerror or type(error).__name__
