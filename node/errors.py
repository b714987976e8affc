"""Every exception that this package raises on purpose, and who is at fault.

PositronError
├── DecodeError          the sender of the bytes; nothing changed; normal on an open network
├── ProtocolViolation    the peer, inside an authenticated connection; becomes a close, never escapes `receive`
├── HandshakeError       the other side of a handshake; nothing changed; normal on an open network
├── UsageError           our caller; nothing changed; never in normal operation
│   ├── MessageTooLarge
│   ├── UnknownPeer
│   ├── AmbiguousPeer
│   └── NotRunning
├── QueueFull            nobody: the peer is slower than the caller; nothing changed; try again later
│   ├── ChannelFull      nobody: the channel is; messages of others are accepted
│   └── Backpressure     nobody: the network is slower than the caller; nothing changed; try again later
├── SendTimeout          the network or the peer; the message was withdrawn
│   └── ReceiptTimeout   the network: a broadcast did not come as far as was waited for; it is still under way
├── ConnectionFailed     the network or the peer; the connection is gone
├── StartError           the environment, at start only; nothing was left half-started
├── StorageError         the environment: state could not be written; what was stored before is still there
└── ConfigError          the operator, at start only; carries every mistake at once
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

__all__ = [
    "AmbiguousPeer",
    "Backpressure",
    "ChannelFull",
    "Code",
    "ConfigError",
    "ConnectionFailed",
    "DecodeError",
    "HandshakeError",
    "MessageTooLarge",
    "NotRunning",
    "PositronError",
    "ProtocolViolation",
    "QueueFull",
    "ReceiptTimeout",
    "SendTimeout",
    "StartError",
    "StorageError",
    "UnknownPeer",
    "UsageError",
]


class Code(IntEnum):
    """Why a connection was closed; carried in CLOSE frames, so the numbers are wire format."""

    OK = 0
    INTERNAL_ERROR = 1
    PROTOCOL_VIOLATION = 2
    FRAME_ENCODING = 3
    FLOW_CONTROL = 4
    ACK_OF_UNSENT = 5
    REASSEMBLY_LIMIT = 6
    IDLE_TIMEOUT = 7
    RETRIES_EXHAUSTED = 8
    HANDSHAKE_TIMEOUT = 9
    HANDSHAKE_FAILED = 10
    REPLACED = 11
    SHUTDOWN = 12
    CONNECTION_LIMIT = 13
    KEY_EXHAUSTED = 14
    SELF_CONNECTION = 15
    DUPLICATE_IDENTITY = 16
    APPLICATION = 17
    CONNECTION_LOST = 18
    PEER_RESTARTED = 19


class PositronError(Exception):
    """Base of every exception that this package raises on purpose."""


class DecodeError(PositronError):
    """The bytes are not what they should be; the only exception that decoding may raise, for any bytes.

    reason: one word of a closed vocabulary (`malformed`, `too_large`, ...), fit to be a metric label.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason


class ProtocolViolation(PositronError):
    """An authenticated peer broke a rule of the protocol; becomes a close and an event."""

    def __init__(self, code: Code, reason: str) -> None:
        super().__init__(f"{code.name}: {reason}")
        self.code = code
        self.reason = reason


class HandshakeError(PositronError):
    """A handshake message did not verify; the handshake state is as it was before the message.

    reason: one word of a closed vocabulary, fit to be a metric label.
    """

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason


class UsageError(PositronError, ValueError):
    """A caller of this package passed something that can never work."""


class MessageTooLarge(UsageError):
    """A message is over the limit of its delivery class; the text names both sizes."""


class UnknownPeer(UsageError):
    """No connection or address is known for the peer that was named."""


class AmbiguousPeer(UsageError):
    """More than one peer is called so; the text names some of them."""


class NotRunning(UsageError):
    """The node or transport has not been started, or is stopped."""


class QueueFull(PositronError):
    """The send queue of a peer has reached its limit; the message was not accepted."""


class ChannelFull(QueueFull):
    """What one channel may keep waiting has reached its limit; the message was not accepted, one of another may be."""


class Backpressure(QueueFull):
    """More broadcasts of this node wait for their turn than its peers accept; the message was not accepted."""


class SendTimeout(PositronError, TimeoutError):
    """The message was not acknowledged before its deadline and has been withdrawn, unless it was queued as ordered."""


class ReceiptTimeout(SendTimeout):
    """A broadcast did not come as far in time as the caller wanted to wait for; it spreads on.

    message_id: its id. acked: peers that acknowledged a copy. covered: of `members`, those known to have it.
    """

    def __init__(self, message_id: str, *, acked: int, covered: int, members: int) -> None:
        super().__init__(f"broadcast {message_id[:8]}: {acked} acknowledged, {covered} of {members} members have it")
        self.message_id = message_id
        self.acked = acked
        self.covered = covered
        self.members = members


class ConnectionFailed(PositronError, ConnectionError):
    """The connection could not be made, or was lost before the message was acknowledged."""

    def __init__(self, code: Code, reason: str) -> None:
        super().__init__(f"{code.name.lower()}: {reason}" if reason else code.name.lower())
        self.code = code
        self.reason = reason


class StartError(PositronError):
    """The node cannot start in this environment (a port is taken, a key file is unreadable)."""


class StorageError(PositronError):
    """The state of the node could not be written (a full or read-only disk); the earlier state still counts."""


class ConfigError(PositronError):
    """The configuration is impossible.

    problems: every mistake found, one line each: field, value, what is allowed.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)
