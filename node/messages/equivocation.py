"""Two different messages that one author signed with the same number: how they are noticed, kept and proved.

The first one counts and stays; the second is dropped, and the pair is evidence against the author, which everybody can
check with nothing but the author's key. Whoever passed either of them on is not concerned: an honest relay hands on the
one that it saw first. Knows nothing of gossip and trust, which ask here and act on it.
"""

from __future__ import annotations

from dataclasses import dataclass

from node.errors import DecodeError
from node.messages.envelope import Envelope, is_authentic, parse_envelope
from node.messages.packing import pack, unpack_list
from node.types import NodeId
from node.wire.limits import EVIDENCE_BYTES_MAX

__all__ = ["Equivocation", "parse_equivocation"]


@dataclass(frozen=True, slots=True)
class Equivocation:
    """Evidence against the author of both messages; both signatures hold."""

    first: Envelope
    second: Envelope

    @property
    def origin(self) -> NodeId:
        """Who is proved to have signed both."""
        return self.first.origin

    def packed(self) -> bytes | None:
        """The evidence as it is kept and shown to others; None when it is too large to be kept."""
        parts = [self.first.body, self.first.signature, self.second.body, self.second.signature]
        if sum(len(part) for part in parts) > EVIDENCE_BYTES_MAX:
            return None
        return pack(parts)


def parse_equivocation(data: bytes, domain: bytes) -> Equivocation:
    """The evidence in these bytes, proved; DecodeError for everything that proves nothing."""
    parts: list[bytes] = []
    for part in unpack_list(data, 4)[:4]:
        if not isinstance(part, bytes):
            raise DecodeError("malformed", "evidence is two bodies and two signatures")
        parts.append(part)
    first, second = parse_envelope(parts[0], parts[1]), parse_envelope(parts[2], parts[3])
    if _number_of(first) != _number_of(second) or first.body == second.body:
        raise DecodeError("malformed", "two messages that go together")
    if not (is_authentic(first, domain) and is_authentic(second, domain)):
        raise DecodeError("bad_signature")
    return Equivocation(first, second)


def _number_of(envelope: Envelope) -> tuple[NodeId, int, int]:
    return envelope.origin, envelope.epoch, envelope.sequence
