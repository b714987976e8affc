"""Bounds of the HTTP API that its clients need too; free of any library, so that a client starts fast."""

from __future__ import annotations

from node.wire.limits import MESSAGE_BYTES_MAX

__all__ = ["BODY_BYTES_MAX"]

BODY_BYTES_MAX = MESSAGE_BYTES_MAX
"""A message is hardly ever longer than its JSON; the exact limit is the message's own, after packing."""
