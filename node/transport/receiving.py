"""The receiving half of a connection: acts on the frames of its packets, and grants the credit for more.

Acknowledgements and limits of the peer concern what was sent and go to the sending half; messages go into the events
of the connection; what concerns the connection as a whole is handed back. Replays and forgeries were refused before.
"""

from __future__ import annotations

from collections import deque

from node.transport.ack import AckTracker
from node.transport.events import Delivery, Event, MessageReceived
from node.transport.pool import NoRoom
from node.transport.reassembly import Reassembly
from node.transport.sending import Sending
from node.types import Instant, NodeId
from node.wire.frames import (
    AckFrame,
    CloseFrame,
    DatagramFrame,
    Frame,
    MaxDataFrame,
    MessageFrame,
    PathChallengeFrame,
    PathResponseFrame,
    WithdrawFrame,
    parse_frames,
)

__all__ = ["ConnectionFrame", "Receiving"]

ConnectionFrame = CloseFrame | PathChallengeFrame | PathResponseFrame
"""Frames about the connection as a whole."""


class Receiving:
    """See the module. handle, peer_id: of the connection, for its events. reassembly: with the first credit.

    is_credit_due: whether anything has come that a further grant could depend on. progress_at: when a part of a
    message came last.
    """

    __slots__ = (
        "_acks",
        "_events",
        "_handle",
        "_peer_id",
        "_reassembly",
        "_sending",
        "is_credit_due",
        "progress_at",
    )

    def __init__(
        self,
        handle: int,
        peer_id: NodeId,
        reassembly: Reassembly,
        acks: AckTracker,
        sending: Sending,
        events: deque[Event],
    ) -> None:
        self._handle = handle
        self._peer_id = peer_id
        self._acks = acks
        self._sending = sending
        self._events = events
        self._reassembly = reassembly
        self.is_credit_due = False
        self.progress_at: Instant = 0

    @property
    def bytes_taken(self) -> int:
        """Memory of the pool that is used."""
        return self._reassembly.bytes_taken

    def release(self) -> None:
        """The connection is over: gives the memory back."""
        self._reassembly.release()

    def receive(self, number: int, payload: bytes, now: Instant, ecn: int = 0) -> list[ConnectionFrame]:
        """Takes an authenticated packet that is no duplicate; returns the frames that are not for either half.

        Raises DecodeError for malformed frames, ProtocolViolation for frames that break a rule, and NoRoom when the
        packet counts as lost: whatever its frames did before is done once, though they come again.
        """
        is_eliciting, is_unhurried = False, True
        others: list[ConnectionFrame] = []
        unreliable: list[bytes] = []
        has_room = True
        for frame in parse_frames(payload):
            if type(frame) is MessageFrame:
                is_eliciting = self.is_credit_due = True
                is_unhurried = False
                try:
                    complete = self._reassembly.receive(frame)
                except NoRoom:
                    # A frame behind it may be the one that all the others wait for.
                    has_room = False
                    continue
                for data in complete:
                    self._deliver(data, Delivery.RELIABLE if frame.channel is None else Delivery.ORDERED, frame.channel)
                # What had no room is no progress, however often it comes.
                self.progress_at = now
            elif type(frame) is AckFrame:
                self._sending.on_ack(frame, now)
            elif type(frame) is DatagramFrame:
                is_eliciting = True
                unreliable.append(frame.data)
            elif isinstance(frame, (CloseFrame, PathChallengeFrame, PathResponseFrame)):
                is_eliciting = is_eliciting or not isinstance(frame, CloseFrame)
                is_unhurried = False
                others.append(frame)
            else:
                is_eliciting, is_unhurried = True, False
                self._apply(frame)
        if not has_room:
            raise NoRoom
        # Not before: a packet that had no room may come again, and these must not.
        for data in unreliable:
            self._deliver(data, Delivery.UNRELIABLE)
        self._acks.on_received(number, is_eliciting, now, ecn, is_unhurried=is_unhurried)
        return others

    def grant_credit(self, now: Instant) -> None:
        """Queues the next limits for the peer where it is time for one: once for all that has arrived together."""
        self.is_credit_due = False
        for frame in self._reassembly.next_limits(now, self._sending.rtt.smoothed_rtt):
            self._sending.outbox.push_control(frame)

    def _apply(self, frame: Frame) -> None:
        match frame:
            case WithdrawFrame():
                self.is_credit_due = True
                self._reassembly.withdraw(frame)
            case MaxDataFrame():
                was_used_up, stats = self._sending.outbox.queue.raise_limit(frame), self._sending.stats
                if frame.channel is None:
                    stats.credit_used_up += was_used_up
                else:
                    stats.channel_credit_used_up += was_used_up
            case _:
                pass

    def _deliver(self, data: bytes, delivery: Delivery, channel: int | None = None) -> None:
        self._sending.stats.messages_received += 1
        self._events.append(
            MessageReceived(
                connection=self._handle, peer_id=self._peer_id, data=data, delivery=delivery, channel=channel
            )
        )
