"""The handshake of every link: Noise XX, with each side's node identity proved inside.

Knows nothing of datagrams, streams, retransmission or time. The connection (UDP) and the stream endpoint (TCP) carry
its three messages and give the resulting keys to their packet ciphers; parameters are opaque bytes here.

    initiator                                        responder
    write_init(clear)        -- e, clear -->         read_init
    read_response            <-- e, ee, s, es, proof --  write_response
    write_confirm            -- s, se, proof -->     read_confirm

A proof is public key (32) | signature (64) | parameters. The signature covers the role, the network, everything said
before this message and the signer's X25519 key, so it is of no use in any other handshake. The prologue holds protocol
name, transport and network: sides that do not agree on them never read each other's second message.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from typing import Final

from node.crypto.noise import HandshakeState, StaticKey
from node.errors import HandshakeError, UsageError
from node.identity.keys import NODE_ID_BYTES, SIGNATURE_BYTES, Identity, verify
from node.types import Entropy, NodeId
from node.wire.limits import HANDSHAKE_PARAMETERS_BYTES_MAX

__all__ = ["Agreement", "Handshake", "HandshakeSetup"]

_PROTOCOL: Final = b"positron/1"
_PROOF_LABEL: Final = b"positron handshake identity v1"
_PROOF_BYTES: Final = NODE_ID_BYTES + SIGNATURE_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class HandshakeSetup:
    """What one side brings to a handshake.

    transport: "udp" or "tcp". network_id: any text without NUL.
    parameters: our own encoded transport parameters, at most HANDSHAKE_PARAMETERS_BYTES_MAX bytes.
    expected: the only peer that will do, or None for any.
    """

    identity: Identity
    static: StaticKey
    transport: str
    network_id: str
    parameters: bytes = b""
    expected: NodeId | None = None

    def __post_init__(self) -> None:
        if self.transport not in ("udp", "tcp"):
            raise UsageError(f"transport {self.transport!r}: allowed are 'udp' and 'tcp'")
        if "\0" in self.network_id:
            raise UsageError(f"network_id {self.network_id!r}: NUL is not allowed")
        if len(self.parameters) > HANDSHAKE_PARAMETERS_BYTES_MAX:
            raise UsageError(f"parameters of {len(self.parameters)} bytes: allowed {HANDSHAKE_PARAMETERS_BYTES_MAX}")

    @property
    def prologue(self) -> bytes:
        """What both sides must agree on before the first message."""
        return b"\0".join((_PROTOCOL, self.transport.encode(), self.network_id.encode()))

    def proof_text(self, role: bytes, handshake_hash: bytes, static_public: bytes) -> bytes:
        """The bytes that a side signs; the fixed-length fields come last, so that no two texts coincide."""
        return b"\0".join((_PROOF_LABEL, role, self.network_id.encode(), handshake_hash + static_public))


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """The result of a handshake: who the peer is, what it told us, and the keys of both directions.

    peer_static: X25519 public key of the peer's process; a new one means that the peer was started again.
    send_key, receive_key: 32 bytes each. transcript: final hash of all that was said, the same at both ends.
    """

    peer_id: NodeId
    peer_static: bytes
    peer_parameters: bytes
    send_key: bytes
    receive_key: bytes
    transcript: bytes

    def __repr__(self) -> str:
        return f"Agreement(peer_id={self.peer_id.hex()}, peer_static={self.peer_static.hex()})"


class Handshake:
    """One side of one handshake; the methods follow each other as drawn above, anything else is a UsageError.

    Every read is atomic: HandshakeError (`malformed`, `decrypt_failed`, `bad_signature`, `identity_mismatch`) leaves
    the state as it was, and a good message is still accepted afterwards.
    """

    __slots__ = ("_agreement", "_is_initiator", "_noise", "_peer", "_setup")

    def __init__(self, setup: HandshakeSetup, *, is_initiator: bool, entropy: Entropy) -> None:
        self._setup = setup
        self._is_initiator = is_initiator
        self._noise = HandshakeState(
            is_initiator=is_initiator,
            prologue=setup.prologue,
            static=setup.static,
            entropy=entropy,
        )
        self._peer: tuple[NodeId, bytes] | None = None
        self._agreement: Agreement | None = None

    @property
    def agreement(self) -> Agreement:
        """The result, once the last message was written or read; a UsageError before that."""
        if self._agreement is None:
            raise UsageError("the handshake is not complete")
        return self._agreement

    @property
    def is_complete(self) -> bool:
        """Whether `agreement` may be asked for."""
        return self._agreement is not None

    def write_init(self, clear: bytes) -> bytes:
        """Initiator's first message: 32 bytes, then `clear`, which is protected by the messages after it only."""
        self._require(is_initiator=True)
        return self._noise.write_message(clear)

    def read_init(self, message: bytes) -> bytes:
        """Responder: the clear payload of the initiator's first message; nothing in it is authenticated yet."""
        self._require(is_initiator=False)
        return self._noise.read_message(message)

    def write_response(self) -> bytes:
        """Responder's message: 192 bytes and its parameters."""
        self._require(is_initiator=False)
        return self._write_proof(b"responder")

    def read_response(self, message: bytes) -> None:
        """Initiator: checks who the responder is; the agreement follows with `write_confirm`."""
        self._require(is_initiator=True)
        self._read_proof(b"responder", message)

    def write_confirm(self) -> bytes:
        """Initiator's second message: 160 bytes and its parameters; completes the handshake on this side."""
        self._require(is_initiator=True)
        message = self._write_proof(b"initiator")
        self._complete()
        return message

    def read_confirm(self, message: bytes) -> None:
        """Responder: checks who the initiator is; completes the handshake."""
        self._require(is_initiator=False)
        self._read_proof(b"initiator", message)
        self._complete()

    def _require(self, *, is_initiator: bool) -> None:
        if is_initiator != self._is_initiator:
            raise UsageError(f"not a step of the {'initiator' if self._is_initiator else 'responder'}")

    def _write_proof(self, role: bytes) -> bytes:
        setup = self._setup
        text = setup.proof_text(role, self._noise.handshake_hash, setup.static.public)
        return self._noise.write_message(setup.identity.public_key + setup.identity.sign(text) + setup.parameters)

    def _read_proof(self, role: bytes, message: bytes) -> None:
        noise = copy(self._noise)
        payload = noise.read_message(message)
        if not _PROOF_BYTES <= len(payload) <= _PROOF_BYTES + HANDSHAKE_PARAMETERS_BYTES_MAX:
            raise HandshakeError("malformed", f"proof of {len(payload)} bytes")
        assert noise.remote_static is not None
        peer_id, signature = NodeId(payload[:NODE_ID_BYTES]), payload[NODE_ID_BYTES:_PROOF_BYTES]
        text = self._setup.proof_text(role, self._noise.handshake_hash, noise.remote_static)
        if not verify(peer_id, text, signature):
            raise HandshakeError("bad_signature", f"claimed node {peer_id.hex()}")
        if self._setup.expected not in (None, peer_id):
            raise HandshakeError("identity_mismatch", f"found node {peer_id.hex()}")
        self._noise = noise
        self._peer = peer_id, payload[_PROOF_BYTES:]

    def _complete(self) -> None:
        assert self._peer is not None
        assert self._noise.remote_static is not None
        send_key, receive_key = self._noise.split()
        self._agreement = Agreement(
            peer_id=self._peer[0],
            peer_static=self._noise.remote_static,
            peer_parameters=self._peer[1],
            send_key=send_key,
            receive_key=receive_key,
            transcript=self._noise.handshake_hash,
        )
