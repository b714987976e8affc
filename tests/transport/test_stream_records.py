"""The bytes of a TCP link: round trips, limits, and any bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import Code, DecodeError
from node.transport.events import Delivery
from node.transport.stream_records import (
    PART_BYTES_MAX,
    AckRecord,
    CloseRecord,
    Frames,
    FrameType,
    MessageRecord,
    PingRecord,
    check_preface,
    pack_ack,
    pack_close,
    pack_frame,
    pack_message,
    pack_ping,
    pack_preface,
    parse_record,
)
from node.wire.limits import CLOSE_REASON_BYTES_MAX, STREAM_RECORD_BYTES_MAX
from tests.properties import decoded


@given(st.sampled_from(Delivery), st.booleans(), st.binary(max_size=2000))
def test_a_message_part_comes_back_as_it_was(delivery: Delivery, is_last: bool, data: bytes) -> None:
    packed = pack_message(delivery, is_last=is_last, data=data)
    assert parse_record(packed) == MessageRecord(delivery, is_last, data)


def test_the_largest_part_fills_a_record_together_with_an_acknowledgement() -> None:
    packed = pack_message(Delivery.RELIABLE, is_last=True, data=bytes(PART_BYTES_MAX))
    assert len(pack_ack(1) + packed) == STREAM_RECORD_BYTES_MAX


@given(st.integers(0, (1 << 64) - 1))
def test_an_acknowledgement_comes_back_as_it_was(messages: int) -> None:
    assert parse_record(pack_ack(messages)) == AckRecord(messages)


@given(st.integers(0, (1 << 64) - 1), st.binary(max_size=50))
def test_another_record_follows_an_acknowledgement(messages: int, data: bytes) -> None:
    following = pack_message(Delivery.RELIABLE, is_last=True, data=data)
    assert parse_record(pack_ack(messages) + following) == AckRecord(messages, following)


def test_no_acknowledgement_follows_an_acknowledgement() -> None:
    with pytest.raises(DecodeError, match="record of kind 2 and 18 bytes"):
        parse_record(pack_ack(1) + pack_ack(2))


def test_a_ping_has_no_content() -> None:
    assert parse_record(pack_ping()) == PingRecord()
    with pytest.raises(DecodeError, match="record of kind 4 and 2 bytes"):
        parse_record(pack_ping() + b"x")


@given(st.sampled_from(Code), st.text(max_size=200))
def test_a_close_comes_back_with_its_reason_cut_to_the_limit(code: Code, reason: str) -> None:
    record = parse_record(pack_close(code, reason))
    assert isinstance(record, CloseRecord)
    assert record.code is code
    whole = reason.encode()
    if len(whole) <= CLOSE_REASON_BYTES_MAX:
        assert record.reason == reason
    else:
        assert whole.startswith(record.reason.rstrip("\ufffd").encode())


def test_a_close_code_of_the_future_is_an_application_code() -> None:
    packed = bytearray(pack_close(Code.OK, ""))
    packed[1:3] = b"\x7f\xff"
    assert parse_record(bytes(packed)) == CloseRecord(Code.APPLICATION, "")


@given(st.binary(max_size=300))
def test_any_plaintext_is_a_record_or_refused(data: bytes) -> None:
    decoded(parse_record, data)


@given(st.binary(max_size=40))
def test_any_preface_fits_or_is_refused(data: bytes) -> None:
    decoded(lambda data: check_preface(data, "positron"), data)


def test_a_preface_fits_its_own_network_alone() -> None:
    check_preface(pack_preface("positron"), "positron")
    with pytest.raises(DecodeError, match="network_mismatch"):
        check_preface(pack_preface("positron"), "other")


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=10), st.integers(1, 60))
def test_frames_come_out_whole_however_the_stream_is_cut(contents: list[bytes], cut: int) -> None:
    stream = b"".join(pack_frame(FrameType.OPEN, content) for content in contents)
    frames, bodies = Frames(64), list[bytes]()
    for start in range(0, len(stream), cut):
        bodies += frames.feed(stream[start : start + cut])
    assert [body[1:] for body in bodies] == contents


@pytest.mark.must("M76")
def test_a_frame_over_the_limit_is_refused_before_it_is_there() -> None:
    frames = Frames(10)
    assert list(frames.feed(b"\0")) == []
    with pytest.raises(DecodeError, match="too_large"):
        list(frames.feed(b"\x0b"))


def test_an_empty_frame_is_refused() -> None:
    with pytest.raises(DecodeError, match="malformed"):
        list(Frames(10).feed(b"\0\0"))


def test_a_limit_changed_between_two_frames_holds_for_the_second() -> None:
    frames, bodies = Frames(5), list[bytes]()
    for body in frames.feed(b"\0\x01a\0\x08" + bytes(8)):
        bodies.append(body)
        frames.body_bytes_max = 8
    assert bodies == [b"a", bytes(8)]
