"""Writes MESSAGE frames of any kind, with the functions that a sender uses."""

from __future__ import annotations

from node.wire.frames import MessageFrame, append_whole, part_beginning, part_middle

__all__ = ["append_message"]


def append_message(buffer: bytearray, frame: MessageFrame) -> None:
    """Appends a whole message where it is one, a part elsewhere."""
    beginning = part_beginning(frame.message_id, frame.total, frame.channel, frame.sequence)
    if len(frame.data) == frame.total:
        append_whole(buffer, beginning, frame.data)
    else:
        buffer += beginning + part_middle(frame.total, frame.offset, len(frame.data)) + frame.data
