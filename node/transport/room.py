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
    messages_max = _OTHERS_MAX
    if message.priority is Priority.CONTROL:
        messages_max, bytes_max = SEND_QUEUE_MESSAGES_MAX, bytes_max + CONTROL_RESERVE_BYTES
    if messages < messages_max and size + len(message.data) <= bytes_max:
        return
    raise QueueFull(
        f"{messages} messages of {size} bytes wait for this peer: allowed are {messages_max} of {bytes_max} bytes"
    )
