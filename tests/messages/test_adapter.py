"""The dictionary form of messages, for callers that use a transport by themselves."""

from __future__ import annotations

import contextlib
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import DecodeError, UsageError
from node.identity.keys import Identity
from node.messages.adapter import MessageAdapter
from node.messages.types import MessageType

ALICE = Identity(b"a" * 32)


def test_a_sealed_message_opens_with_the_named_keys() -> None:
    data = MessageAdapter.seal(ALICE, MessageType.CUSTOM_DATA, {"test": "data"}, 12.5)
    message = MessageAdapter.open(data)
    assert sorted(message) == ["msg_type", "payload", "sender_id", "signature", "timestamp"]
    assert message["msg_type"] == MessageType.CUSTOM_DATA
    assert message["sender_id"] == ALICE.node_id
    assert message["timestamp"] == 12.5
    assert message["payload"] == {"test": "data"}


def test_a_signature_over_the_body_verifies_after_serialize() -> None:
    body = MessageAdapter.body(11, {"b": 1, "a": 2}, ALICE.node_id, 3.0)
    data = MessageAdapter.serialize(11, {"b": 1, "a": 2}, ALICE.node_id, ALICE.sign(body), 3.0)
    assert MessageAdapter.open(data) == MessageAdapter.deserialize(data)


def test_deserialize_does_not_ask_for_a_valid_signature() -> None:
    data = MessageAdapter.serialize(msg_type=11, payload={}, sender_id="somebody", signature=b"none")
    assert MessageAdapter.deserialize(data)["sender_id"] == "somebody"
    with pytest.raises(DecodeError, match="bad_signature"):
        MessageAdapter.open(data)


@given(st.integers(min_value=0), st.integers(min_value=0, max_value=7))
def test_one_flipped_bit_anywhere_never_opens(position: int, bit: int) -> None:
    data = bytearray(MessageAdapter.seal(ALICE, 11, {"k": "v"}, 1.0))
    data[position % len(data)] ^= 1 << bit
    with pytest.raises(DecodeError):
        MessageAdapter.open(bytes(data))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("msg_type", "11"),
        ("msg_type", True),
        ("sender_id", 1),
        ("timestamp", "now"),
        ("payload", [1]),
        ("payload", None),
    ],
)
def test_a_body_with_one_wrong_field_is_malformed(key: str, value: Any) -> None:
    body = {"msg_type": 11, "sender_id": "x", "timestamp": 1.0, "payload": {}, key: value}
    with pytest.raises(DecodeError, match="malformed"):
        MessageAdapter.deserialize(msgpack.packb([msgpack.packb(body), b""]))


@pytest.mark.parametrize("key", ["msg_type", "sender_id", "timestamp", "payload"])
def test_a_body_without_one_field_is_malformed(key: str) -> None:
    body: dict[str, Any] = {"msg_type": 11, "sender_id": "x", "timestamp": 1.0, "payload": {}}
    del body[key]
    with pytest.raises(DecodeError, match="malformed"):
        MessageAdapter.deserialize(msgpack.packb([msgpack.packb(body), b""]))


def test_a_payload_that_cannot_travel_is_the_callers_mistake() -> None:
    with pytest.raises(UsageError, match=r"value\.payload"):
        MessageAdapter.serialize(11, {"x": float("nan")}, "x", b"")


@given(st.binary(max_size=200))
def test_any_bytes_give_a_message_or_a_decode_error(data: bytes) -> None:
    with contextlib.suppress(DecodeError):
        MessageAdapter.deserialize(data)
