"""The path to the peer: the address that packets go to, and how another one takes its place (RFC 9000 §8.2, §9).

An address that a packet came from is believed after it has answered a challenge, and not before: until then everything
goes to the old one, and the new one is sent at most three times what came from it. Knows no packets and no keys: the
connection reports authenticated packets and carries the frames.
"""

from __future__ import annotations

from dataclasses import dataclass

from node.transport.rtt import INITIAL_RTT
from node.types import Address, Duration, Entropy, Instant
from node.wire.frames import PathChallengeFrame, PathResponseFrame
from node.wire.limits import AMPLIFICATION_MAX, HEADER_BYTES, PATH_CHALLENGE_BYTES, TAG_BYTES

__all__ = ["PATH_PACKET_BYTES", "Candidate", "Path"]

PATH_PACKET_BYTES = HEADER_BYTES + 1 + PATH_CHALLENGE_BYTES + TAG_BYTES
"""A packet with a challenge or its answer."""

_VALIDATION_PTOS = 3
"""Probe timeouts that a new address has to answer (RFC 9000 §8.2.4)."""

_UNKNOWN_PTO: Duration = 3 * INITIAL_RTT
"""Probe timeout of a path of which nothing is known: a new one may be far longer than the one before."""


@dataclass(slots=True)
class Candidate:
    """An address that the peer's newest packet came from. allowed: bytes that may still be sent there.

    tries: challenges sent there, each after twice the pause of the one before.
    """

    address: Address
    challenge: bytes
    allowed: int
    send_at: Instant
    expires_at: Instant
    tries: int = 0


class Path:
    """address: where packets go. candidate: an address under validation, of which there is one at most.

    response: to a challenge of the peer, not yet sent. entropy: where challenges come from.
    """

    __slots__ = ("_asked", "address", "candidate", "entropy", "response")

    def __init__(self, address: Address, entropy: Entropy) -> None:
        self.address = address
        self.candidate: Candidate | None = None
        self._asked = b""
        self.entropy = entropy
        self.response: bytes | None = None

    def on_elsewhere(
        self, address: Address, size: int, probe_timeout: Duration, now: Instant, *, is_newest: bool
    ) -> None:
        """An authenticated packet of that size came from another address than `address`.

        is_newest: whether its packet number is the largest so far; an older one may have been overtaken, or copied.
        """
        candidate = self.candidate
        if candidate is not None and candidate.address == address:
            candidate.allowed += AMPLIFICATION_MAX * size
        elif is_newest:
            self.candidate = Candidate(
                address=address,
                challenge=self.entropy(PATH_CHALLENGE_BYTES),
                allowed=AMPLIFICATION_MAX * size,
                send_at=now,
                expires_at=now + _VALIDATION_PTOS * max(probe_timeout, _UNKNOWN_PTO),
            )

    def on_challenge(self, frame: PathChallengeFrame) -> bool:
        """The peer asks whether we can be reached where it sees us; of several questions the newest is answered.

        Whether it is another question than before: it sees us somewhere else.
        """
        is_new = frame.data != self._asked
        self.response = self._asked = frame.data
        return is_new

    def on_response(self, frame: PathResponseFrame) -> bool:
        """The peer has received what was sent to the candidate, which becomes the path; whether it did."""
        if self.candidate is None or self.candidate.challenge != frame.data:
            return False
        self.address = self.candidate.address
        self.candidate = None
        return True

    def next_response(self) -> PathResponseFrame | None:
        """An answer to send to `address` now."""
        if self.response is None:
            return None
        data, self.response = self.response, None
        return PathResponseFrame(data)

    def next_challenge(self, size: int, probe_timeout: Duration, now: Instant) -> PathChallengeFrame | None:
        """A challenge to send to the candidate now, in a packet of that size."""
        candidate = self.candidate
        if candidate is None or now < candidate.send_at or candidate.allowed < size:
            return None
        candidate.allowed -= size
        candidate.send_at = now + (probe_timeout << candidate.tries)
        candidate.tries += 1
        return PathChallengeFrame(candidate.challenge)

    def handle_timeout(self, now: Instant) -> None:
        """Gives up a candidate that has not answered."""
        if self.candidate is not None and now >= self.candidate.expires_at:
            self.candidate = None

    def next_timeout(self) -> Instant | None:
        """When to challenge again or give up; None without a candidate."""
        candidate = self.candidate
        if candidate is None:
            return None
        # Where nothing more may be sent there, only another packet from there changes that.
        may_send = candidate.allowed >= PATH_PACKET_BYTES
        return min(candidate.send_at, candidate.expires_at) if may_send else candidate.expires_at
