"""Bounds of the HTTP API that its clients need too; free of any library, so that a client starts fast."""

from __future__ import annotations

from node.wire.limits import PACKED_BYTES_MAX

__all__ = [
    "BODY_BYTES_MAX",
    "GOAL_PATTERN",
    "GOAL_WORDS",
    "PAGE_ENTRIES_MAX",
    "RECORDING_BYTES_DEFAULT",
    "RECORDING_BYTES_MAX",
    "RECORDING_BYTES_MIN",
    "SEND_TIMEOUT_MAX",
    "WAIT_MAX",
]

BODY_BYTES_MAX = 4 * PACKED_BYTES_MAX
"""A message is seldom a quarter of its JSON; the exact limit is the message's own, after packing."""

PAGE_ENTRIES_MAX = 1000
"""Entries of a journal in one answer: what a loop that has peers to serve can turn into JSON without being missed."""

WAIT_MAX = 30.0
"""Seconds that a question may wait for news."""

GOAL_PATTERN = "^(queued|covered|acked:[1-9][0-9]{0,5})$"
"""How far a broadcast shall have come before its caller goes on; six digits are more nodes than a network has."""

GOAL_WORDS = '"queued", "acked:k" with k from 1 on, and "covered"'
"""The same for people."""

SEND_TIMEOUT_MAX = 60.0
"""Seconds in which a message must be acknowledged; a connection that is silent for longer is closed."""

RECORDING_BYTES_MIN, RECORDING_BYTES_DEFAULT, RECORDING_BYTES_MAX = 1 << 16, 1 << 20, 1 << 22
"""Memory for the events of one connection: a packet takes about 150 bytes."""
