"""A peer that is authenticated and means harm: it seals whatever it likes with the right key."""

from __future__ import annotations

from node.impairment.link import LinkSettings
from node.transport.events import Delivery
from node.transport.packet import SentPacket
from node.transport.settings import TransportSettings
from node.types import MILLISECOND
from node.wire.limits import REASSEMBLY_BYTES_MAX
from tests.pair import CLIENT, SERVER, Pair

__all__ = ["assert_sane", "connected", "inject", "next_number"]


def connected() -> Pair:
    """A pair whose client is going to be the hostile one."""
    # A small window, so that its end is within reach.
    pair = Pair(
        link=LinkSettings(delay=MILLISECOND),
        client_settings=TransportSettings(initial_window=20_000, min_rto=25 * MILLISECOND),
    )
    pair.connect()
    pair.server.send(bytes(3_000))
    pair.server.send(bytes(3_000), Delivery.ORDERED, channel=1)
    pair.run(0.5)
    return pair


def inject(pair: Pair, payload: bytes, number: int) -> None:
    """Seals the payload with the client's key, under that number."""
    connection = pair.client.connection
    protection = connection._protection
    assert protection is not None
    following = max(protection.next_number, number) + 1
    connection.sending.recovery.on_sent(SentPacket(following - 1, pair.client.now, 0, is_ack_eliciting=False))
    protection.next_number = number
    pair.world.inject(CLIENT, SERVER, protection.seal(payload))
    protection.next_number = following


def next_number(pair: Pair) -> int:
    """The packet number that the client would use next."""
    protection = pair.client.connection._protection
    assert protection is not None
    return protection.next_number


def assert_sane(pair: Pair) -> None:
    """The server has either closed with a reason or is within its bounds, and is not spinning."""
    pair.run(1)
    for connection in pair.server.endpoint.connections.values():
        if connection._receiving is not None:
            assert connection._receiving._reassembly.bytes_announced <= REASSEMBLY_BYTES_MAX
    for event in filter(None, [pair.server.closed()]):
        assert event.code.name
    pair.run(90)
    assert pair.server.endpoint.snapshots() == [] or pair.server.closed() is None
