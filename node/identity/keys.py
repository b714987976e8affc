"""Ed25519 identities: sign, verify, and the text form of a node id.

Knows nothing of files, handshakes or messages. The seed comes from whoever keeps it (`node.storage.keyfile`, or the
simulator's entropy); signatures go to the handshake and to the message envelope.
"""

from __future__ import annotations

import re
from hashlib import blake2b

from nacl import bindings
from nacl.exceptions import BadSignatureError

from node.errors import UsageError
from node.types import NodeId

__all__ = ["NODE_ID_BYTES", "SEED_BYTES", "SIGNATURE_BYTES", "Identity", "parse_node_id", "verify"]

SEED_BYTES = 32
NODE_ID_BYTES = 32
SIGNATURE_BYTES = 64

_NODE_ID_TEXT = re.compile(r"[0-9a-fA-F]{64}")


class Identity:
    """One node's key pair (RFC 8032 Ed25519); the public key is the node's id.

    seed: 32 unpredictable bytes; shown by no representation and no error.
    """

    __slots__ = ("_secret_key", "public_key")

    def __init__(self, seed: bytes) -> None:
        if len(seed) != SEED_BYTES:
            raise UsageError(f"an identity seed has {SEED_BYTES} bytes, not {len(seed)}")
        public_key, self._secret_key = bindings.crypto_sign_seed_keypair(seed)
        self.public_key = NodeId(public_key)

    @property
    def node_id(self) -> str:
        """The public key as 64 hexadecimal digits: what people, logs and configuration files call this node."""
        return self.public_key.hex()

    def sign(self, data: bytes) -> bytes:
        """64-byte signature of `data`; deterministic (RFC 8032 §5.1.6). The caller separates domains by a prefix."""
        return bindings.crypto_sign(data, self._secret_key)[:SIGNATURE_BYTES]

    def derive(self, purpose: bytes) -> bytes:
        """32 secret bytes for one purpose, the same in every process that has this key; they do not lead back to it."""
        return blake2b(purpose, digest_size=32, key=self._secret_key[:SEED_BYTES], person=b"positron derive").digest()

    def __repr__(self) -> str:
        return f"Identity({self.node_id})"


def verify(node_id: NodeId, data: bytes, signature: bytes) -> bool:
    """Whether `signature` is that node's signature of `data` (RFC 8032 §5.1.7).

    Never raises for any bytes: wrong lengths, small-order or non-canonical keys and signatures are simply not valid.
    """
    if len(node_id) != NODE_ID_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    try:
        bindings.crypto_sign_open(signature + data, node_id)
    except BadSignatureError:
        return False
    return True


def parse_node_id(text: str) -> NodeId:
    """The node id written as 64 hexadecimal digits, of either case; anything else is a UsageError."""
    if not _NODE_ID_TEXT.fullmatch(text):
        raise UsageError(f"a node id is 64 hexadecimal digits, not {text[:80]!r}")
    return NodeId(bytes.fromhex(text))
