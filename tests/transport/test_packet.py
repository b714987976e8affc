"""What callers hand over and are handed cannot be changed; what is remembered of a packet is its own."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from node.errors import UsageError
from node.transport.events import Delivery
from node.transport.packet import Datagram, Message, Packet, Transmit


@pytest.mark.parametrize(
    "passing",
    [
        Message(b"", Delivery.RELIABLE),
        Packet(b"", Delivery.RELIABLE),
    ],
)
def test_what_callers_see_is_frozen(passing: object) -> None:
    for name in passing.__slots__:  # type: ignore[attr-defined]
        with pytest.raises(FrozenInstanceError):
            setattr(passing, name, b"other")


def test_messages_have_no_deadline_unless_they_are_given_one() -> None:
    message = Message(b"data", Delivery.RELIABLE)
    assert (message.deadline, message.channel) == (None, 0)


def test_a_joined_datagram_is_cut_into_its_payloads() -> None:
    assert Datagram(("10.0.0.1", 1), b"aabbc", segment_size=2).payloads() == [b"aa", b"bb", b"c"]
    assert Datagram(("10.0.0.1", 1), b"aabb", segment_size=4).payloads() == [b"aabb"]
    assert Datagram(("10.0.0.1", 1), b"aabb").payloads() == [b"aabb"]
    assert Datagram(("10.0.0.1", 1), b"", segment_size=2).payloads() == [b""]


def test_a_batch_is_cut_into_its_payloads() -> None:
    assert Transmit(("10.0.0.1", 1), b"aabbc", segment_size=2).payloads() == [b"aa", b"bb", b"c"]
    assert Transmit(("10.0.0.1", 1), b"aabb", segment_size=4).payloads() == [b"aabb"]


@pytest.mark.parametrize("data", ["text", None, bytearray(b"x")])
def test_a_message_is_made_of_bytes(data: Any) -> None:
    with pytest.raises(UsageError, match=f"data of type {type(data).__name__}: allowed are bytes"):
        Message(data, Delivery.RELIABLE)


@pytest.mark.parametrize("channel", [-1, 1 << 62])
def test_a_channel_fits_into_a_packet(channel: int) -> None:
    with pytest.raises(UsageError, match=f"channel {channel}: allowed is 0 to {(1 << 62) - 1}"):
        Message(b"", Delivery.ORDERED, channel=channel)
