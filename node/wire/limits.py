"""Every fixed bound of the wire and of the tables behind it, with its reason.

Bounds that an operator may move are settings fields; the ones here are part of the protocol or of its safety.
"""

from __future__ import annotations

from node.types import MILLISECOND, SECOND, Duration

MAGIC = 0xBEEF
VERSION = 1

HEADER_BYTES = 16
"""Clear, authenticated bytes in front of every packet."""

TAG_BYTES = 16
"""Poly1305 tag behind every encrypted packet; header and tag together are the 32-byte envelope."""

INIT_BYTES = 1200
"""Every INIT is padded to this size, so that an answer to a forged address is never larger than the question."""

MTU_MIN = INIT_BYTES
MTU_MAX = 65507
"""Largest UDP payload that IPv4 can carry."""

MSS_MIN = 256
"""Frames of at least this many bytes must fit in a packet, so that no single small frame is ever too large."""

MESSAGE_BYTES_MAX = 1 << 20
"""Largest reliable message."""

REASSEMBLY_BYTES_MAX = 8 << 20
"""Bytes that the partially received messages of one connection may announce together.

Twice what a sender may have outstanding, so that withdrawals still under way never break the rule.
"""

REASSEMBLY_MESSAGES_MAX = 4096
"""Partially received messages of one connection, and ordered ones that wait for an earlier one."""

CHANNELS_MAX = 64
"""Channels for ordered messages, per connection and direction."""

SEND_QUEUE_BYTES_MAX = 4 << 20
"""Bytes of reliable messages that one connection holds for sending and until they are acknowledged."""

SEND_QUEUE_MESSAGES_MAX = 4096
"""Messages that one connection holds for sending and until they are acknowledged."""

ACK_RANGES_MAX = 64
"""Ranges in one ACK frame."""

RECEIVED_RANGES_MAX = 256
"""Ranges of received packet numbers remembered; what lies below the oldest counts as replayed."""

LOST_PACKETS_MAX = 1024
"""Packets declared lost that are remembered, so that a late acknowledgement is seen to be one."""

DATAGRAM_QUEUE_MAX = 64
"""Unreliable messages waiting in one connection; the oldest is dropped for the newest."""

CONTROL_QUEUE_MAX = 8192
"""Control frames waiting in one connection; a peer that makes it longer breaks the protocol."""

MESSAGE_ID_RANGES_MAX = 4096
"""Gaps in the set of finished message ids; a peer that leaves more breaks the protocol."""

PACKET_NUMBER_MAX = 1 << 48
"""A connection ends before its keys have sealed this many packets."""

AEAD_FAILURES_MAX = 1 << 20
"""Forged packets that one connection tolerates before it ends (RFC 9001 §6.6 allows far more)."""

HALF_OPEN_MAX = 256
"""Handshakes that strangers have begun and not finished."""

HANDSHAKE_TIMEOUT: Duration = 10 * SECOND
HANDSHAKE_RETRY_INITIAL: Duration = 250 * MILLISECOND
"""First handshake retransmission; doubled per try up to the maximum."""

HANDSHAKE_RETRY_MAX: Duration = 2 * SECOND
HALF_OPEN_TIMEOUT: Duration = 5 * SECOND

CLOSE_REASON_BYTES_MAX = 128
STREAM_RECORD_BYTES_MAX = 16384
"""Plaintext of one TCP record."""

STREAM_QUEUE_BYTES_MAX = 4 << 20
"""Bytes queued towards one TCP peer before sends are refused."""

DATAGRAMS_PER_TURN_MAX = 64
"""Reads of the UDP socket per turn of the event loop, counted whether or not they were useful."""
