"""The frame around everything that nodes say to each other."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import DecodeError
from node.messages.frame import encode_frame, is_frame, parse_frame
from node.messages.types import MessageType


@pytest.mark.parametrize("kind", MessageType)
def test_a_frame_survives_the_round_trip(kind: MessageType) -> None:
    data = encode_frame(kind, [1, "two", b"three", [4]])
    frame = parse_frame(data)
    assert is_frame(data)
    assert (frame.kind, frame.fields) == (kind, [1, "two", b"three", [4]])


def test_a_type_of_a_later_version_is_told_apart_from_garbage() -> None:
    with pytest.raises(DecodeError) as caught:
        parse_frame(b"\x92\xcc\xc8\x01")
    assert caught.value.reason == "unknown_kind"


@pytest.mark.parametrize("data", [b"", b"\x90", b"\x91\xc3", b"\x91\xa1a", b"\x81\xa1a\x01"])
def test_bytes_that_are_no_frame_are_malformed(data: bytes) -> None:
    with pytest.raises(DecodeError) as caught:
        parse_frame(data)
    assert caught.value.reason == "malformed"


@pytest.mark.parametrize("data", [b"", b"Hello, peer!", b"\x81\xa1a\x01", b"\x90"])
def test_raw_data_of_others_does_not_look_like_a_frame(data: bytes) -> None:
    assert not is_frame(data)


@given(st.binary(max_size=100))
def test_any_bytes_give_a_frame_or_a_decode_error(data: bytes) -> None:
    with contextlib.suppress(DecodeError):
        parse_frame(data)


def test_the_numbers_of_the_message_types_are_wire_format() -> None:
    assert [(kind.name, int(kind)) for kind in MessageType] == [
        ("HANDSHAKE", 1),
        ("HANDSHAKE_ACK", 2),
        ("HEARTBEAT", 3),
        ("PEER_DISCOVERY", 4),
        ("PEER_ANNOUNCEMENT", 5),
        ("GOSSIP_MESSAGE", 6),
        ("TRUST_UPDATE", 7),
        ("TRUSTED_PEERS_REQUEST", 8),
        ("TRUSTED_PEERS_RESPONSE", 9),
        ("DISCONNECT", 10),
        ("CUSTOM_DATA", 11),
        ("MEMBER", 12),
        ("SUSPECT", 13),
        ("DEAD", 14),
        ("LEAVE", 15),
    ]
