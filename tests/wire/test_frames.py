"""Frames survive the round trip, and any bytes give frames or a DecodeError."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import DecodeError
from node.types import MICROSECOND
from node.wire.frames import (
    AckFrame,
    CloseFrame,
    ConfirmedFrame,
    DatagramFrame,
    Frame,
    FrameType,
    MaxDataFrame,
    MessageFrame,
    PathChallengeFrame,
    PathResponseFrame,
    PingFrame,
    WithdrawFrame,
    append_ack,
    append_close,
    append_confirmed,
    append_datagram,
    append_max_data,
    append_path,
    append_ping,
    append_withdraw,
    parse_frames,
)
from node.wire.limits import ACK_RANGES_MAX, CLOSE_REASON_BYTES_MAX, MESSAGE_BYTES_MAX, PATH_CHALLENGE_BYTES
from node.wire.varint import VARINT_MAX, append_varint
from tests.properties import decoded
from tests.wire.messages import append_message

_APPENDERS: dict[type, Callable[[bytearray, Any], None]] = {
    AckFrame: append_ack,
    CloseFrame: append_close,
    ConfirmedFrame: lambda buffer, _: append_confirmed(buffer),
    DatagramFrame: append_datagram,
    MaxDataFrame: append_max_data,
    MessageFrame: append_message,
    PathChallengeFrame: append_path,
    PathResponseFrame: append_path,
    PingFrame: lambda buffer, _: append_ping(buffer),
    WithdrawFrame: append_withdraw,
}

varints = st.integers(0, VARINT_MAX)
contents = st.binary(max_size=100)


@st.composite
def ack_frames(draw: st.DrawFn) -> AckFrame:
    """Descending ranges that neither overlap nor touch."""
    number = draw(st.integers(0, 1 << 48))
    ranges = []
    for _ in range(draw(st.integers(1, ACK_RANGES_MAX))):
        last = number + draw(st.integers(0, 1 << 20))
        ranges.append((number, last))
        number = last + 2 + draw(st.integers(0, 1 << 20))
    return AckFrame(tuple(reversed(ranges)), draw(st.integers(0, 1 << 40)) * MICROSECOND)


@st.composite
def message_frames(draw: st.DrawFn) -> MessageFrame:
    """Whole messages and parts, on a channel or not."""
    data = draw(contents)
    offset, after = 0, 0
    if data:
        offset = draw(st.integers(0, MESSAGE_BYTES_MAX - len(data)))
        after = draw(st.integers(0, MESSAGE_BYTES_MAX - len(data) - offset))
    channel = draw(st.none() | varints)
    sequence = 0 if channel is None else draw(varints)
    return MessageFrame(draw(varints), offset + len(data) + after, offset, data, channel, sequence)


frames: st.SearchStrategy[Frame] = st.one_of(
    st.just(PingFrame()),
    st.just(ConfirmedFrame()),
    ack_frames(),
    message_frames(),
    st.builds(WithdrawFrame, varints, varints),
    st.builds(MaxDataFrame, varints, st.none() | varints),
    st.builds(CloseFrame, varints, st.text(max_size=CLOSE_REASON_BYTES_MAX // 4)),
    st.builds(PathChallengeFrame, st.binary(min_size=PATH_CHALLENGE_BYTES, max_size=PATH_CHALLENGE_BYTES)),
    st.builds(PathResponseFrame, st.binary(min_size=PATH_CHALLENGE_BYTES, max_size=PATH_CHALLENGE_BYTES)),
    st.builds(DatagramFrame, contents),
)


def encode(*several: Frame) -> bytes:
    buffer = bytearray()
    for frame in several:
        _APPENDERS[type(frame)](buffer, frame)
    return bytes(buffer)


def raw(*numbers: int) -> bytes:
    buffer = bytearray()
    for number in numbers:
        append_varint(buffer, number)
    return bytes(buffer)


def reason_of(payload: bytes) -> str:
    with pytest.raises(DecodeError) as caught:
        parse_frames(payload)
    return caught.value.reason


@given(st.lists(frames, min_size=1, max_size=6))
def test_frames_survive_the_round_trip_in_their_order(several: list[Frame]) -> None:
    assert parse_frames(encode(*several)) == several


@given(st.lists(frames, max_size=3), st.integers(1, 20))
def test_padding_says_nothing(several: list[Frame], zeros: int) -> None:
    assert parse_frames(bytes(zeros) + encode(*several) + bytes(zeros)) == several


@given(st.binary(max_size=300))
@pytest.mark.must("M33")
def test_any_bytes_give_frames_or_a_decode_error(payload: bytes) -> None:
    parsed = decoded(parse_frames, payload)
    assert not parsed or parse_frames(encode(*parsed)) == parsed


@given(frames, st.data())
def test_damaged_frames_give_frames_or_a_decode_error(frame: Frame, data: st.DataObject) -> None:
    encoded = bytearray(encode(frame))
    for _ in range(data.draw(st.integers(1, 4))):
        encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    parsed = decoded(parse_frames, bytes(encoded))
    assert parsed is None or all(type(one) in _APPENDERS for one in parsed)


@given(frames, st.data())
def test_a_frame_cut_short_is_malformed(frame: Frame, data: st.DataObject) -> None:
    encoded = encode(frame)
    if len(encoded) < 2:
        return
    assert reason_of(encoded[: data.draw(st.integers(1, len(encoded) - 1))]) == "malformed"


@pytest.mark.parametrize("number", sorted(set(range(0x40)) - set(FrameType)))
def test_unknown_frame_types_are_malformed(number: int) -> None:
    assert reason_of(bytes([number])) == "malformed"


def test_ack_ranges_are_read_as_the_rfc_writes_them() -> None:
    # largest 100, delay 7 µs, one more range, 5 before the largest, then gap 3 and length 1: RFC 9000 §19.3.1
    assert parse_frames(raw(FrameType.ACK, 100, 7, 1, 5, 3, 1)) == [AckFrame(((95, 100), (89, 90)), 7 * MICROSECOND)]


@pytest.mark.parametrize(
    ("last", "delay", "counts"),
    [
        (0, 0, (0, 0, 0)),
        ((1 << 30) - 1, 16_383, ((1 << 30) - 1, 63, 63)),
        (1 << 30, 0, (0, 0, 0)),
        (9, 16_384, (0, 0, 0)),
        (9, 0, (1 << 30, 0, 0)),
        (9, 0, (0, 64, 0)),
        (9, 0, (0, 0, 64)),
    ],
)
@pytest.mark.parametrize("length", [0, 9])
def test_acknowledgements_of_one_range_are_read_as_they_were_written(
    last: int, delay: int, counts: tuple[int, int, int], length: int
) -> None:
    frame = AckFrame(((last - min(last, length), last),), delay * MICROSECOND, counts)
    assert parse_frames(encode(frame, PingFrame())) == [frame, PingFrame()]


def test_acknowledgements_of_one_range_are_read_however_wide_their_numbers_are() -> None:
    narrow = raw(FrameType.ACK_ECN, 9, 7, 0, 3, 4, 0, 0)
    wide = bytes([FrameType.ACK_ECN]) + b"".join(
        (value | 0xC000_0000_0000_0000).to_bytes(8, "big") for value in (9, 7, 0, 3, 4, 0, 0)
    )
    expected = AckFrame(((6, 9),), 7 * MICROSECOND, (4, 0, 0))
    assert parse_frames(narrow) == parse_frames(wide) == parse_frames(encode(expected)) == [expected]


def test_a_range_of_one_that_reaches_below_zero_is_malformed_in_every_width() -> None:
    wide = encode(AckFrame(((0, 5),), 0, (1, 0, 0)))
    longer = wide[:8] + (6 | 0x8000_0000).to_bytes(4, "big") + wide[12:]
    assert parse_frames(wide)
    assert reason_of(longer) == "malformed"


@pytest.mark.parametrize("fields", [(5, 0, 0, 6), (5, 0, 1, 3, 1, 0), (5, 0, 1, 3, 0, 1), (0, 0, 0, 1)])
def test_ack_of_numbers_below_zero_is_malformed(fields: tuple[int, ...]) -> None:
    assert reason_of(raw(FrameType.ACK, *fields)) == "malformed"


def test_more_ack_ranges_than_the_limit_are_too_large() -> None:
    assert reason_of(raw(FrameType.ACK, 10_000, 0, ACK_RANGES_MAX, 0, *[0] * 2 * ACK_RANGES_MAX)) == "too_large"


def test_count_of_ack_ranges_beyond_the_payload_costs_nothing() -> None:
    assert reason_of(raw(FrameType.ACK, 10_000, 0, VARINT_MAX, 0)) == "too_large"


def test_part_of_a_message_above_the_limit_is_too_large() -> None:
    assert reason_of(raw(FrameType.MESSAGE_PART, 1, MESSAGE_BYTES_MAX + 1, 0, 1) + b"x") == "too_large"


@pytest.mark.parametrize("kind", [(FrameType.MESSAGE_PART, 1), (FrameType.ORDERED_PART, 1, 1, 1)])
@pytest.mark.parametrize(
    ("total", "offset", "data", "announced", "reason"),
    [
        (MESSAGE_BYTES_MAX + 1, 0, b"x", 1, "too_large"),
        (20_000, 0, b"x", 2, "malformed"),
        (20_000, 0, b"", 0, "malformed"),
        (20_000, 19_999, b"xy", 2, "malformed"),
        (20_000, 20_000, b"x", 1, "malformed"),
    ],
)
def test_part_with_numbers_as_wide_as_a_large_message_has_them_is_checked_as_well(
    kind: tuple[int, ...], total: int, offset: int, data: bytes, announced: int, reason: str
) -> None:
    numbers = ((total | 0x8000_0000) << 48 | (offset | 0x8000_0000) << 16 | announced | 0x4000).to_bytes(10, "big")
    assert reason_of(raw(*kind) + numbers + data) == reason


@pytest.mark.parametrize("kind", [(FrameType.MESSAGE_PART, 1), (FrameType.ORDERED_PART, 1, 1, 1)])
@pytest.mark.parametrize(("total", "offset", "data"), [(10, 10, b"x"), (10, 8, b"xyz"), (10, 0, b""), (0, 0, b"")])
def test_part_that_is_empty_or_outside_its_message_is_malformed(
    kind: tuple[int, ...], total: int, offset: int, data: bytes
) -> None:
    assert reason_of(raw(*kind, total, offset, len(data)) + data) == "malformed"


@pytest.mark.parametrize("size", [0, 1, 63, 64, 255, 256, 16_383, 16_384, 65_000])
def test_messages_of_any_size_keep_their_bytes(size: int) -> None:
    frame = MessageFrame(7, size, 0, bytes(index % 251 for index in range(size)))
    assert parse_frames(encode(frame)) == [frame]


def test_close_reason_is_cut_between_characters() -> None:
    (frame,) = parse_frames(encode(CloseFrame(3, "é" * CLOSE_REASON_BYTES_MAX)))
    assert frame == CloseFrame(3, "é" * (CLOSE_REASON_BYTES_MAX // 2))


def test_close_reason_that_is_no_text_is_still_a_close() -> None:
    assert parse_frames(raw(FrameType.CLOSE, 9, 2) + b"\xff\xfe") == [CloseFrame(9, "\ufffd\ufffd")]


def test_close_reason_above_the_limit_is_too_large() -> None:
    size = CLOSE_REASON_BYTES_MAX + 1
    assert reason_of(raw(FrameType.CLOSE, 0, size) + b"x" * size) == "too_large"
