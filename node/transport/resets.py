"""Stateless resets: how a node that was started again tells its peers that their connections are gone (RFC 9000 §10.3).

The token of a connection is a keyed hash of its id and the peer's address, under a key that every process of the node
derives from its identity. The peer learns it inside the encrypted handshake; a later process needs no memory to make it
again. Who cannot make it cannot end a connection. Knows no connections: the endpoint asks about unknown ones.
"""

from __future__ import annotations

from node.crypto.cookie import reset_token
from node.identity.keys import Identity
from node.transport.packet import Datagram
from node.types import SECOND, Address, ConnectionId, Instant
from node.wire.handshake import RESET_BYTES, pack_reset
from node.wire.header import Header, PacketType
from node.wire.limits import RESETS_PER_SECOND_MAX

__all__ = ["Resets"]

_ANSWERED = (PacketType.DATA, PacketType.CONFIRM)


class Resets:
    """Tokens of this node's connections, and answers to packets of connections that it does not know."""

    def __init__(self, identity: Identity, network_id: str) -> None:
        self._key = identity.derive(b"reset tokens " + network_id.encode())
        self._used_until: Instant = 0

    def token(self, local_id: ConnectionId, address: Address) -> bytes:
        """The token of the connection with that id and that peer's address."""
        # With the address in it, nobody can collect the tokens of connections to come by asking for them.
        return reset_token(self._key, b"%d %s %d" % (local_id, address[0].encode(), address[1]))

    def answer(self, header: Header, datagram: Datagram, now: Instant) -> bytes | None:
        """The RESET that answers a packet of an unknown connection; None where it is not worth one.

        Only what an end sends that holds itself for connected is answered, with less than it has itself, so that two
        ends can never go on resetting each other.
        """
        if header.packet_type not in _ANSWERED or len(datagram.data) <= RESET_BYTES:
            return None
        used_until = max(now, self._used_until) + SECOND // RESETS_PER_SECOND_MAX
        if used_until - now > SECOND:
            return None
        self._used_until = used_until
        return pack_reset(header.destination, self.token(header.destination, datagram.address))
