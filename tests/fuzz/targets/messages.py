"""What nodes say to each other over a connection: frames, envelopes, evidence, and the adapter's messages."""

from __future__ import annotations

from collections.abc import Callable

from node.errors import DecodeError
from node.identity.keys import SIGNATURE_BYTES
from node.messages.adapter import MessageAdapter
from node.messages.envelope import check_signature, parse_envelope, signing_domain
from node.messages.equivocation import parse_equivocation
from node.messages.frame import encode_frame, is_frame, parse_frame
from node.messages.packing import pack, unpack
from node.types import NodeId

__all__ = ["fuzz_messages"]

DOMAIN = signing_domain("positron")
NOBODY = NodeId(bytes(32))


def fuzz_messages(data: bytes) -> None:
    """First byte: the parser; the rest: its bytes."""
    kind, rest = data[:1], data[1:]
    try:
        _PARSERS[(kind[0] if kind else 0) % len(_PARSERS)](rest)
    except DecodeError:
        return


def _unpack(data: bytes) -> None:
    assert unpack(pack(unpack(data))) == unpack(data)


def _frame(data: bytes) -> None:
    frame = parse_frame(data)
    if len(frame.fields) < 15:
        again = encode_frame(frame.kind, frame.fields)
        assert is_frame(again)
        assert parse_frame(again) == frame


def _envelope(data: bytes) -> None:
    envelope = parse_envelope(data[SIGNATURE_BYTES:], data[:SIGNATURE_BYTES])
    check_signature(envelope, DOMAIN, NOBODY)


def _equivocation(data: bytes) -> None:
    parse_equivocation(data, DOMAIN)


def _adapter(data: bytes) -> None:
    MessageAdapter.deserialize(data)
    MessageAdapter.open(data)


_PARSERS: tuple[Callable[[bytes], None], ...] = (_unpack, _frame, _envelope, _equivocation, _adapter)
