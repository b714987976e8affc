"""Decides whether an arriving message is new, fresh, whole and signed, and remembers that it was.

In this order: decoded, named network, time, signature, number. Copies were told by their id before, so what is verified
in vain is a repetition in other bytes, and only its signature tells a forgery from what honest peers repeat. Nothing is
remembered of a message before that held, except that exactly these bytes will never be right. The one place that knows
what this node has accepted: by id, by author and number, and as the messages themselves.
"""

from __future__ import annotations

from node.errors import DecodeError
from node.gossip.settings import GossipSettings
from node.gossip.store import Retained, SeenIds, Store
from node.gossip.window import OriginTable
from node.messages.envelope import Envelope, check_network, check_signature, parse_envelope, signing_domain
from node.messages.equivocation import Equivocation
from node.messages.skew import Clocks, check_freshness
from node.messages.types import MessageType
from node.types import Instant, NodeId

__all__ = ["NOTICES", "Admission"]

NOTICES = (MessageType.MEMBER, MessageType.SUSPECT, MessageType.DEAD, MessageType.LEAVE)
"""Kinds about members of the network."""

_KINDS = (MessageType.GOSSIP_MESSAGE, *NOTICES)


class Admission:
    """What one node has accepted. evidence: of the last refusal as `equivocating`. wall_offset: as in the settings."""

    def __init__(self, own_id: NodeId, settings: GossipSettings, clocks: Clocks) -> None:
        self.seen = SeenIds()
        self.origins = OriginTable()
        self.store = Store(settings.retention, settings.retention_bytes)
        self.evidence: Equivocation | None = None
        self._own_id = own_id
        self.wall_offset = settings.wall_offset
        self._domain = signing_domain(settings.network_id)
        self._clocks = clocks

    def check(self, peer: NodeId, envelope: Envelope, now: Instant) -> None:
        """DecodeError with the reason unless the message that this peer brought is to be accepted."""
        if envelope.kind not in _KINDS and envelope.kind <= max(MessageType):
            raise DecodeError("unexpected", f"kind {envelope.kind} in gossip")
        check_network(envelope, self._domain)
        check_freshness(envelope, now + self.wall_offset, self._clocks)
        check_signature(envelope, self._domain, peer)
        if envelope.origin == self._own_id:
            raise DecodeError("own_origin")
        if self._is_known(envelope):
            self._check_again(envelope)
            raise DecodeError("replayed")

    def accept(self, envelope: Envelope, hops: int, now: Instant) -> Retained:
        """Remembers a message, and keeps it for others."""
        self.seen.add(envelope.message_id)
        self.origins.mark(envelope.origin, envelope.epoch, envelope.sequence)
        message = Retained.of(envelope, hops, now)
        self.store.add(envelope.message_id, message)
        return message

    def _is_known(self, envelope: Envelope) -> bool:
        """Whether that number of that author was seen. What is kept is known where a crowd had its author forgotten."""
        number = envelope.epoch, envelope.sequence
        return number in self.store.of(envelope.origin) or not self.origins.is_new(envelope.origin, *number)

    def _check_again(self, envelope: Envelope) -> None:
        """Another message with a number that was seen: evidence against its author, who signed both."""
        identifier = self.store.of(envelope.origin).get((envelope.epoch, envelope.sequence))
        kept = self.store.get(identifier) if identifier is not None else None
        if kept is not None and kept.body != envelope.body:
            self.evidence = Equivocation(parse_envelope(kept.body, kept.signature), envelope)
            raise DecodeError("equivocating")
