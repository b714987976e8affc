"""An authenticated peer may send any frames: the worst that follows is a close with a reason."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.wire.frames import (
    AckFrame,
    CloseFrame,
    ConfirmedFrame,
    DatagramFrame,
    Frame,
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
)
from node.wire.limits import MESSAGE_BYTES_MAX
from node.wire.varint import VARINT_MAX
from tests.transport.hostile import assert_sane, connected, inject, next_number
from tests.wire.messages import append_message

numbers = st.one_of(st.integers(0, 12), st.integers(0, VARINT_MAX))
sizes = st.one_of(st.integers(0, 300), st.integers(0, MESSAGE_BYTES_MAX))


@st.composite
def parts(draw: st.DrawFn) -> MessageFrame:
    """Parts of few messages, so that they meet and contradict each other."""
    data = draw(st.binary(min_size=1, max_size=40))
    offset = draw(sizes)
    total = min(MESSAGE_BYTES_MAX, offset + len(data) + draw(st.integers(0, 5)))
    offset = min(offset, total - len(data))
    channel = draw(st.none() | numbers)
    return MessageFrame(draw(numbers), total, offset, data, channel, draw(numbers) if channel is not None else 0)


frames: st.SearchStrategy[Frame] = st.one_of(
    parts(),
    st.just(PingFrame()),
    st.just(ConfirmedFrame()),
    st.builds(lambda last: AckFrame(((0, last),), 0), numbers),
    st.builds(lambda last, delay: AckFrame(((last, last),), delay), numbers, st.integers(0, 1 << 60)),
    st.builds(WithdrawFrame, numbers, numbers),
    st.builds(MaxDataFrame, numbers, st.none() | numbers),
    st.builds(DatagramFrame, st.binary(max_size=40)),
    st.builds(PathChallengeFrame, st.binary(min_size=8, max_size=8)),
    st.builds(PathResponseFrame, st.binary(min_size=8, max_size=8)),
    st.builds(CloseFrame, numbers, st.text(max_size=20)),
)


_APPEND: dict[type, Callable[..., None]] = {
    MessageFrame: append_message,
    AckFrame: append_ack,
    WithdrawFrame: append_withdraw,
    MaxDataFrame: append_max_data,
    DatagramFrame: append_datagram,
    CloseFrame: append_close,
    PathChallengeFrame: append_path,
    PathResponseFrame: append_path,
    PingFrame: lambda buffer, _frame: append_ping(buffer),
    ConfirmedFrame: lambda buffer, _frame: append_confirmed(buffer),
}


def encode(several: list[Frame]) -> bytes:
    buffer = bytearray()
    for frame in several:
        _APPEND[type(frame)](buffer, frame)
    return bytes(buffer)


@given(st.lists(st.lists(frames, min_size=1, max_size=5), min_size=1, max_size=8))
@settings(max_examples=150)
@pytest.mark.must("M35")
def test_any_frames_are_taken_or_close_the_connection(packets: list[list[Frame]]) -> None:
    pair = connected()
    for several in packets:
        if pair.client.closed() is None:
            inject(pair, encode(several), next_number(pair))
        pair.run(0.01)
    assert_sane(pair)


@given(st.lists(st.binary(max_size=60), min_size=1, max_size=4))
@settings(max_examples=100)
def test_any_payload_is_taken_or_closes_the_connection(payloads: list[bytes]) -> None:
    pair = connected()
    for payload in payloads:
        if pair.client.closed() is None:
            inject(pair, payload, next_number(pair))
        pair.run(0.01)
    assert_sane(pair)


@given(st.lists(st.integers(0, (1 << 48) - 1), min_size=1, max_size=30, unique=True))
@settings(max_examples=60)
def test_any_packet_numbers_are_taken_once(chosen: list[int]) -> None:
    pair = connected()
    before = pair.server.snapshot.stats.packets_received
    for number in chosen:
        for _ in range(2):
            if pair.client.closed() is None:
                inject(pair, b"\x01", number)
        pair.run(0.01)
    pair.run(0.1)
    for side in pair.sides:
        if side.endpoint.snapshots():
            assert side.snapshot.stats.packets_received <= before + 4 * len(chosen) + 10
    assert_sane(pair)
