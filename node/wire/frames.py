"""The frames inside encrypted packets: one class each, one encoder and one parser for all.

Every number is a varint (RFC 9000 §16). `parse_frames` takes any bytes that an authenticated peer sealed and returns
frames or raises `DecodeError`; it checks what a frame says of itself, the connection checks what it means.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from struct import Struct
from struct import error as StructError  # noqa: N812 - a class, whatever its name
from typing import TypeAlias

from node.errors import DecodeError
from node.types import MICROSECOND, Duration
from node.wire.limits import ACK_RANGES_MAX, CLOSE_REASON_BYTES_MAX, MESSAGE_BYTES_MAX, PATH_CHALLENGE_BYTES
from node.wire.varint import append_varint, append_varints, read_varint, read_varints

__all__ = [
    "AckFrame",
    "CloseFrame",
    "ConfirmedFrame",
    "DatagramFrame",
    "Frame",
    "FrameType",
    "MaxDataFrame",
    "MessageFrame",
    "PathChallengeFrame",
    "PathResponseFrame",
    "PingFrame",
    "WithdrawFrame",
    "append_ack",
    "append_close",
    "append_confirmed",
    "append_datagram",
    "append_max_data",
    "append_path",
    "append_ping",
    "append_whole",
    "append_withdraw",
    "parse_frames",
    "part_beginning",
    "part_middle",
]


class FrameType(IntEnum):
    """The first varint of a frame."""

    PADDING = 0x00
    PING = 0x01
    ACK = 0x02
    ACK_ECN = 0x03
    MESSAGE = 0x08
    MESSAGE_PART = 0x09
    ORDERED = 0x0A
    ORDERED_PART = 0x0B
    WITHDRAW = 0x0C
    MAX_DATA = 0x10
    MAX_CHANNEL_DATA = 0x11
    PATH_CHALLENGE = 0x1A
    PATH_RESPONSE = 0x1B
    CLOSE = 0x1C
    CONFIRMED = 0x1E
    DATAGRAM = 0x30


@dataclass(slots=True)
class PingFrame:
    """Asks for an acknowledgement and says nothing else."""


@dataclass(slots=True)
class ConfirmedFrame:
    """The responder has the initiator's CONFIRM, which need not be sent again."""


@dataclass(slots=True)
class AckFrame:
    """Acknowledges received packets (after RFC 9000 §19.3).

    ranges: descending, disjoint, not adjacent, inclusive (first, last) packet numbers; 1 to ACK_RANGES_MAX of them.
    ecn: packets received so far with ECT(0), ECT(1) and CE; None where none was marked.
    delay: nanoseconds the sender of the frame waited before acknowledging the largest; microseconds on the wire.
    """

    ranges: tuple[tuple[int, int], ...]
    delay: Duration
    ecn: tuple[int, int, int] | None = None


@dataclass(slots=True)
class MessageFrame:
    """A reliable message, or a part of one.

    message_id: counts the messages of this connection and direction from 0; never reused.
    total: bytes of the whole message; the same in each of its parts.
    offset, data: where in the message these bytes belong.
    channel, sequence: for ordered messages, the channel and the message's place in it; channel is None for others.
    """

    message_id: int
    total: int
    offset: int
    data: bytes
    channel: int | None = None
    sequence: int = 0


@dataclass(slots=True)
class WithdrawFrame:
    """The rest of that message will never come; sent is how many of its bytes have used up credit."""

    message_id: int
    sent: int


@dataclass(slots=True)
class MaxDataFrame:
    """Reliable bytes that the receiver of this frame may have sent since the connection began.

    channel: those of one channel; None for those of all messages.
    """

    limit: int
    channel: int | None = None


@dataclass(slots=True)
class PathChallengeFrame:
    """Asks for the same PATH_CHALLENGE_BYTES bytes back, to see that an address is the peer's."""

    data: bytes


@dataclass(slots=True)
class PathResponseFrame:
    """What a PATH_CHALLENGE asked for."""

    data: bytes


@dataclass(slots=True)
class CloseFrame:
    """The connection ends now; code is one of `errors.Code`, unknown numbers are kept as they are."""

    code: int
    reason: str


@dataclass(slots=True)
class DatagramFrame:
    """An unreliable message."""

    data: bytes


Frame: TypeAlias = (
    PingFrame
    | ConfirmedFrame
    | AckFrame
    | MessageFrame
    | WithdrawFrame
    | MaxDataFrame
    | PathChallengeFrame
    | PathResponseFrame
    | CloseFrame
    | DatagramFrame
)


_NARROW_PART = Struct(">HH")
_WIDE_PART = Struct(">IH")
_WIDEST_PART = Struct(">II")

_WIDE_FIELDS = Struct(">IIH")
"""Total, offset and length of a part, as varints of these widths."""

_LONE_ACK = Struct(">BIHBIIBB")
"""An ACK_ECN frame of one range: type, largest, delay, 0, length, and three counts, as varints of these widths."""


def append_ping(buffer: bytearray) -> None:
    """Appends a PING frame."""
    buffer.append(FrameType.PING)


def append_confirmed(buffer: bytearray) -> None:
    """Appends a CONFIRMED frame."""
    buffer.append(FrameType.CONFIRMED)


def append_ack(buffer: bytearray, frame: AckFrame) -> None:
    """Appends largest, delay, count of further ranges, length of the first, then (gap, length) of each further one."""
    first, last = frame.ranges[0]
    if frame.ecn is not None and len(frame.ranges) == 1 and last < 0x4000_0000:
        ect_0, ect_1, ce = frame.ecn
        delay = frame.delay // MICROSECOND
        if delay < 0x4000 and ect_0 < 0x4000_0000 and ect_1 < 0x40 and ce < 0x40:
            # What nearly every packet of a conversation carries: one step instead of seven.
            length, ect_0 = last - first | 0x8000_0000, ect_0 | 0x8000_0000
            buffer += _LONE_ACK.pack(FrameType.ACK_ECN, last | 0x8000_0000, delay | 0x4000, 0, length, ect_0, ect_1, ce)
            return
    buffer.append(FrameType.ACK if frame.ecn is None else FrameType.ACK_ECN)
    append_varints(buffer, (last, frame.delay // MICROSECOND, len(frame.ranges) - 1, last - first))
    if len(frame.ranges) > 1:
        for next_first, next_last in frame.ranges[1:]:
            append_varints(buffer, (first - next_last - 2, next_last - next_first))
            first = next_first
    if frame.ecn is not None:
        append_varints(buffer, frame.ecn)


def part_beginning(message_id: int, total: int, channel: int | None, sequence: int) -> bytes:
    """What all MESSAGE_PART or ORDERED_PART frames of one message begin with, up to their offsets."""
    buffer = bytearray()
    buffer.append(FrameType.MESSAGE_PART if channel is None else FrameType.ORDERED_PART)
    append_varints(buffer, (message_id, total) if channel is None else (message_id, channel, sequence, total))
    return bytes(buffer)


def append_whole(buffer: bytearray, beginning: bytes, data: bytes) -> None:
    """Appends a whole message. beginning: of its parts, which say the total where a whole one says its length."""
    buffer.append(beginning[0] - 1)
    buffer += beginning[1:]
    buffer += data


def part_middle(total: int, offset: int, size: int) -> bytes:
    """Offset and length of a part: as wide as any of that message needs, so that full packets are of one size."""
    if total < 0x4000 and size < 0x4000:
        return _NARROW_PART.pack(offset | 0x4000, size | 0x4000)
    if size < 0x4000:
        return _WIDE_PART.pack(offset | 0x8000_0000, size | 0x4000)
    return _WIDEST_PART.pack(offset | 0x8000_0000, size | 0x8000_0000)


def append_withdraw(buffer: bytearray, frame: WithdrawFrame) -> None:
    """Appends a WITHDRAW frame."""
    buffer.append(FrameType.WITHDRAW)
    append_varint(buffer, frame.message_id)
    append_varint(buffer, frame.sent)


def append_max_data(buffer: bytearray, frame: MaxDataFrame) -> None:
    """Appends a MAX_DATA or MAX_CHANNEL_DATA frame."""
    if frame.channel is None:
        buffer.append(FrameType.MAX_DATA)
    else:
        buffer.append(FrameType.MAX_CHANNEL_DATA)
        append_varint(buffer, frame.channel)
    append_varint(buffer, frame.limit)


def append_path(buffer: bytearray, frame: PathChallengeFrame | PathResponseFrame) -> None:
    """Appends a PATH_CHALLENGE or PATH_RESPONSE frame."""
    is_challenge = isinstance(frame, PathChallengeFrame)
    buffer.append(FrameType.PATH_CHALLENGE if is_challenge else FrameType.PATH_RESPONSE)
    buffer += frame.data


def append_close(buffer: bytearray, frame: CloseFrame) -> None:
    """Appends a CLOSE frame; the reason is cut at CLOSE_REASON_BYTES_MAX bytes of UTF-8."""
    reason = frame.reason.encode()[:CLOSE_REASON_BYTES_MAX].decode(errors="ignore").encode()
    buffer.append(FrameType.CLOSE)
    append_varint(buffer, frame.code)
    append_varint(buffer, len(reason))
    buffer += reason


def append_datagram(buffer: bytearray, frame: DatagramFrame) -> None:
    """Appends a DATAGRAM frame."""
    buffer.append(FrameType.DATAGRAM)
    append_varint(buffer, len(frame.data))
    buffer += frame.data


def parse_frames(payload: bytes) -> list[Frame]:
    """All frames of a packet in their order, padding left out; DecodeError(`malformed` or `too_large`).

    A packet without any frame, padding included, is malformed (RFC 9000 §12.4).
    """
    if not payload:
        raise DecodeError("malformed", "packet without a frame")
    frames: list[Frame] = []
    offset = 0
    while offset < len(payload):
        parser = _PARSERS.get(payload[offset])
        if parser is None:
            if payload[offset] != FrameType.PADDING:
                raise DecodeError("malformed", f"frame type {payload[offset]:#x}")
            # MTU probes are padding nearly all through.
            offset = len(payload) - len(payload[offset:].lstrip(b"\0"))
            continue
        frame, offset = parser(payload, offset + 1)
        frames.append(frame)
    return frames


def _parse_ping(_data: bytes, offset: int) -> tuple[Frame, int]:
    return PingFrame(), offset


def _parse_confirmed(_data: bytes, offset: int) -> tuple[Frame, int]:
    return ConfirmedFrame(), offset


def _parse_ack(data: bytes, offset: int) -> tuple[Frame, int]:
    ranges, delay, offset = _read_ack(data, offset)
    return AckFrame(ranges, delay), offset


def _parse_ack_ecn(data: bytes, offset: int) -> tuple[Frame, int]:
    if len(data) - offset >= _LONE_ACK.size - 1:
        _, last, delay, count, length, ect_0, ect_1, ce = _LONE_ACK.unpack_from(data, offset - 1)
        is_wide = last >> 30 == length >> 30 == ect_0 >> 30 == 0b10
        if is_wide and delay >> 14 == 0b01 and not count and ect_1 < 0x40 and ce < 0x40 and length <= last:
            # As `append_ack` writes it.
            last &= 0x3FFF_FFFF
            lone = ((last - (length & 0x3FFF_FFFF), last),)
            return AckFrame(lone, (delay & 0x3FFF) * MICROSECOND, (ect_0 & 0x3FFF_FFFF, ect_1, ce)), offset + 17
    ranges, delay, offset = _read_ack(data, offset)
    (ect_0, ect_1, ce), offset = read_varints(data, offset, 3)
    return AckFrame(ranges, delay, (ect_0, ect_1, ce)), offset


def _read_ack(data: bytes, offset: int) -> tuple[tuple[tuple[int, int], ...], Duration, int]:
    (last, delay, count, length), offset = read_varints(data, offset, 4)
    if count >= ACK_RANGES_MAX:
        raise DecodeError("too_large", f"{count + 1} ack ranges")
    first = last - length
    ranges = [(first, last)]
    for _ in range(count):
        (gap, length), offset = read_varints(data, offset, 2)
        last = first - gap - 2
        first = last - length
        ranges.append((first, last))
    if first < 0:
        raise DecodeError("malformed", "ack range below packet number 0")
    return tuple(ranges), delay * MICROSECOND, offset


def _parse_message(data: bytes, offset: int) -> tuple[Frame, int]:
    (message_id, length), offset = read_varints(data, offset, 2)
    end = offset + length
    if end > len(data):
        raise DecodeError("malformed", f"{length} bytes announced, {len(data) - offset} there")
    return MessageFrame(message_id, length, 0, data[offset:end]), end


def _parse_message_part(data: bytes, offset: int) -> tuple[Frame, int]:
    message_id, offset = read_varint(data, offset)
    total, start, content, offset = _read_part(data, offset)
    return MessageFrame(message_id, total, start, content), offset


def _parse_ordered(data: bytes, offset: int) -> tuple[Frame, int]:
    message_id, offset = read_varint(data, offset)
    channel, offset = read_varint(data, offset)
    sequence, offset = read_varint(data, offset)
    content, offset = _read_bytes(data, offset)
    return MessageFrame(message_id, len(content), 0, content, channel, sequence), offset


def _parse_ordered_part(data: bytes, offset: int) -> tuple[Frame, int]:
    message_id, offset = read_varint(data, offset)
    channel, offset = read_varint(data, offset)
    sequence, offset = read_varint(data, offset)
    total, start, content, offset = _read_part(data, offset)
    return MessageFrame(message_id, total, start, content, channel, sequence), offset


def _parse_withdraw(data: bytes, offset: int) -> tuple[Frame, int]:
    message_id, offset = read_varint(data, offset)
    sent, offset = read_varint(data, offset)
    return WithdrawFrame(message_id, sent), offset


def _parse_max_data(data: bytes, offset: int) -> tuple[Frame, int]:
    limit, offset = read_varint(data, offset)
    return MaxDataFrame(limit), offset


def _parse_max_channel_data(data: bytes, offset: int) -> tuple[Frame, int]:
    (channel, limit), offset = read_varints(data, offset, 2)
    return MaxDataFrame(limit, channel), offset


def _parse_path_challenge(data: bytes, offset: int) -> tuple[Frame, int]:
    return PathChallengeFrame(_read_path(data, offset)), offset + PATH_CHALLENGE_BYTES


def _parse_path_response(data: bytes, offset: int) -> tuple[Frame, int]:
    return PathResponseFrame(_read_path(data, offset)), offset + PATH_CHALLENGE_BYTES


def _read_path(data: bytes, offset: int) -> bytes:
    content = data[offset : offset + PATH_CHALLENGE_BYTES]
    if len(content) != PATH_CHALLENGE_BYTES:
        raise DecodeError("malformed", f"path frame of {len(content)} bytes")
    return content


def _parse_close(data: bytes, offset: int) -> tuple[Frame, int]:
    code, offset = read_varint(data, offset)
    reason, offset = _read_bytes(data, offset)
    if len(reason) > CLOSE_REASON_BYTES_MAX:
        raise DecodeError("too_large", f"close reason of {len(reason)} bytes")
    return CloseFrame(code, reason.decode(errors="replace")), offset


def _parse_datagram(data: bytes, offset: int) -> tuple[Frame, int]:
    content, offset = _read_bytes(data, offset)
    return DatagramFrame(content), offset


def _read_bytes(data: bytes, offset: int) -> tuple[bytes, int]:
    length, offset = read_varint(data, offset)
    end = offset + length
    if end > len(data):
        raise DecodeError("malformed", f"{length} bytes announced, {len(data) - offset} there")
    return data[offset:end], end


def _read_part(data: bytes, offset: int) -> tuple[int, int, bytes, int]:
    try:
        total, start, length = _WIDE_FIELDS.unpack_from(data, offset)
    except StructError:
        total = start = length = 0
    if total >> 30 == start >> 30 == 0b10 and length >> 14 == 0b01:
        # As `part_beginning` and `part_middle` write it for all but small and huge ones.
        total, start, offset = total & 0x3FFF_FFFF, start & 0x3FFF_FFFF, offset + _WIDE_FIELDS.size
        end = offset + (length & 0x3FFF)
        content = data[offset:end]
        if end > len(data):
            raise DecodeError("malformed", f"{end - offset} bytes announced, {len(content)} there")
        offset = end
    else:
        total, offset = read_varint(data, offset)
        start, offset = read_varint(data, offset)
        content, offset = _read_bytes(data, offset)
    if total > MESSAGE_BYTES_MAX:
        raise DecodeError("too_large", f"message of {total} bytes")
    if not content or start + len(content) > total:
        raise DecodeError("malformed", f"part {start}+{len(content)} of {total}")
    return total, start, content, offset


_PARSERS: dict[int, Callable[[bytes, int], tuple[Frame, int]]] = {
    FrameType.PING: _parse_ping,
    FrameType.ACK: _parse_ack,
    FrameType.ACK_ECN: _parse_ack_ecn,
    FrameType.MESSAGE: _parse_message,
    FrameType.MESSAGE_PART: _parse_message_part,
    FrameType.ORDERED: _parse_ordered,
    FrameType.ORDERED_PART: _parse_ordered_part,
    FrameType.WITHDRAW: _parse_withdraw,
    FrameType.MAX_DATA: _parse_max_data,
    FrameType.MAX_CHANNEL_DATA: _parse_max_channel_data,
    FrameType.PATH_CHALLENGE: _parse_path_challenge,
    FrameType.PATH_RESPONSE: _parse_path_response,
    FrameType.CLOSE: _parse_close,
    FrameType.CONFIRMED: _parse_confirmed,
    FrameType.DATAGRAM: _parse_datagram,
}
