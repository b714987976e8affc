"""Send queues and reassemblies by themselves, without a connection around them."""

from __future__ import annotations

from node.transport.events import Delivery
from node.transport.flow_control import ReceiveCredit
from node.transport.fragments import Part, SendQueue
from node.transport.packet import Message
from node.transport.pool import ReassemblyPool
from node.transport.reassembly import Reassembly
from node.types import Instant
from node.wire.frames import MessageFrame, parse_frames

__all__ = ["SPACE", "frame_of", "make_queue", "make_reassembly", "push", "push_ordered", "take_all", "whole"]

SPACE = 1_368


def make_queue(limit: int = 1 << 40) -> SendQueue:
    queue = SendQueue()
    queue.open_credit(limit)
    return queue


def push(queue: SendQueue, number: int, data: bytes, deadline: Instant | None = None) -> None:
    queue.push(number, Message(data, Delivery.RELIABLE, deadline))


def push_ordered(queue: SendQueue, number: int, data: bytes, channel: int = 0) -> None:
    queue.push(number, Message(data, Delivery.ORDERED, None, channel))


def take_all(queue: SendQueue, space: int = SPACE) -> list[Part]:
    parts = []
    while (part := queue.next_part(space)) is not None:
        parts.append(part)
    return parts


def frame_of(part: Part, space: int = SPACE) -> MessageFrame:
    """The frame as it comes out of a packet, which it must fit."""
    buffer = bytearray()
    part.append_to(buffer)
    assert len(buffer) <= space
    (frame,) = parse_frames(bytes(buffer))
    assert isinstance(frame, MessageFrame)
    return frame


def whole(number: int, data: bytes, channel: int | None = None, sequence: int = 0) -> MessageFrame:
    return MessageFrame(number, len(data), 0, data, channel, sequence)


def make_reassembly(window: int = 1 << 40) -> Reassembly:
    return Reassembly(ReceiveCredit(window), ReassemblyPool(1 << 40))
