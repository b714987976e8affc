"""`MessageAdapter`: typed messages as dictionaries for callers that use a transport by themselves.

    data      = packed [body, signature]
    body      = packed {msg_type, sender_id, timestamp, payload}
    signature = Ed25519(body)

A body starts with the byte of a msgpack map and everything else that a node signs with the letter p, so a signature of
one can never pass for the other. The node itself speaks `node.messages.envelope`. Knows no clock: the caller gives the
time. `seal` and `open` sign and verify exactly the bytes that travel; `serialize` and `deserialize` are the two halves
without the keys.
"""

from __future__ import annotations

from typing import TypeAlias

from node.errors import DecodeError, UsageError
from node.identity.keys import SIGNATURE_BYTES, Identity, parse_node_id, verify
from node.messages.packing import Value, pack, unpack, unpack_list

__all__ = ["MessageAdapter"]

Message: TypeAlias = dict[str, Value]

_BODY_KEYS = ("msg_type", "sender_id", "timestamp", "payload")


class MessageAdapter:
    """Adapts between application messages and bytes; has no state."""

    @staticmethod
    def body(msg_type: int, payload: Message, sender_id: str, timestamp: float = 0.0) -> bytes:
        """The bytes that are signed and sent. timestamp: wall clock in seconds. UsageError for what cannot travel."""
        return pack({"msg_type": int(msg_type), "sender_id": sender_id, "timestamp": timestamp, "payload": payload})

    @staticmethod
    def serialize(msg_type: int, payload: Message, sender_id: str, signature: bytes, timestamp: float = 0.0) -> bytes:
        """The message with the caller's signature of `body(...)` of the same arguments; adds nothing of its own."""
        return pack([MessageAdapter.body(msg_type, payload, sender_id, timestamp), signature])

    @staticmethod
    def deserialize(data: bytes) -> Message:
        """A dict of msg_type, sender_id, timestamp, payload and signature, unverified; DecodeError for other bytes."""
        return _parse(data)[0]

    @staticmethod
    def seal(identity: Identity, msg_type: int, payload: Message, timestamp: float) -> bytes:
        """The message signed by that identity, ready to send."""
        body = MessageAdapter.body(msg_type, payload, identity.node_id, timestamp)
        return pack([body, identity.sign(body)])

    @staticmethod
    def open(data: bytes) -> Message:
        """Like `deserialize`, for messages of `seal` alone: DecodeError(`bad_signature`) unless sender_id signed it."""
        message, body = _parse(data)
        sender_id, signature = message["sender_id"], message["signature"]
        assert isinstance(sender_id, str)
        assert isinstance(signature, bytes)
        try:
            node_id = parse_node_id(sender_id)
        except UsageError as error:
            raise DecodeError("bad_signature", "sender_id is no key") from error
        if len(signature) != SIGNATURE_BYTES or not verify(node_id, body, signature):
            raise DecodeError("bad_signature")
        return message


def _parse(data: bytes) -> tuple[Message, bytes]:
    body, signature = unpack_list(data, 2)[:2]
    if not isinstance(body, bytes) or not isinstance(signature, bytes):
        raise DecodeError("malformed", "a message is body and signature")
    message = unpack(body)
    if not isinstance(message, dict) or any(key not in message for key in _BODY_KEYS):
        raise DecodeError("malformed", f"a body is a map with {', '.join(_BODY_KEYS)}")
    msg_type, sender_id, timestamp, payload = (message[key] for key in _BODY_KEYS)
    if not isinstance(msg_type, int) or isinstance(msg_type, bool) or not isinstance(sender_id, str):
        raise DecodeError("malformed", "msg_type is a number and sender_id a text")
    if not isinstance(timestamp, int | float) or isinstance(timestamp, bool) or not isinstance(payload, dict):
        raise DecodeError("malformed", "timestamp is a number and payload a map")
    return {
        "msg_type": msg_type,
        "sender_id": sender_id,
        "timestamp": float(timestamp),
        "payload": payload,
        "signature": signature,
    }, body
