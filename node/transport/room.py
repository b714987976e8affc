"""Whether one more message may wait for a peer, over UDP or TCP: how much may, and what is kept free for which.

Control messages have room of their own: what keeps a link going must not wait for what fills it.
"""

from __future__ import annotations

from node.errors import QueueFull
from node.transport.packet import Message, Priority
from node.wire.limits import CONTROL_RESERVE_BYTES, CONTROL_RESERVE_MESSAGES, SEND_QUEUE_MESSAGES_MAX

__all__ = ["check_room"]

_OTHERS_MAX = SEND_QUEUE_MESSAGES_MAX - CONTROL_RESERVE_MESSAGES
"""Messages from which only control messages are taken."""


def check_room(message: Message, messages: int, size: int, bytes_max: int) -> None:
    """QueueFull if it finds no room beside so many others, of `size` bytes, that are not acknowledged yet.

    bytes_max: of the queue for any message.
    """
    room = bytes_max - size - len(message.data)
    if room >= 0 and messages < _OTHERS_MAX:
        return
    messages_max = _OTHERS_MAX
    if message.priority is Priority.CONTROL:
        if room >= -CONTROL_RESERVE_BYTES and messages < SEND_QUEUE_MESSAGES_MAX:
            return
        bytes_max, messages_max = bytes_max + CONTROL_RESERVE_BYTES, SEND_QUEUE_MESSAGES_MAX
    raise QueueFull(
        f"{messages} messages of {size} bytes wait for this peer: allowed are {messages_max} of {bytes_max} bytes"
    )
