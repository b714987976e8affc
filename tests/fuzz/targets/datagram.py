"""Datagrams from anywhere at two connected endpoints: nothing that is not authenticated may change anything."""

from __future__ import annotations

from node.crypto.cookie import init_key, mac
from node.impairment.link import LinkSettings
from node.transport.packet import Datagram
from node.transport.settings import TransportSettings
from node.types import MILLISECOND, Address
from node.wire.handshake import init_without_mac, pack_init
from node.wire.limits import INIT_BYTES
from tests.fuzz.targets.pieces import edited, pieces
from tests.pair import CLIENT, SERVER, Pair, Side

__all__ = ["fuzz_datagram"]

EXECUTIONS_PER_PAIR = 256
"""A pair is kept that long, since a handshake costs more than what follows."""

DATAGRAMS_MAX = 8
STRANGER: Address = ("10.6.6.6", 666)
SETTINGS = TransportSettings()


class _Target:
    """A connected pair, and every datagram that was under way between the two."""

    def __init__(self) -> None:
        self.executions = 0
        self.recorded: list[tuple[Address, bytes]] = []
        self.pair = Pair(link=LinkSettings(delay=MILLISECOND), client_settings=SETTINGS)
        inject = self.pair.world.inject

        def record(source: Address, target: Address, data: bytes, ecn: int = 0) -> None:
            self.recorded.append((target, data))
            inject(source, target, data, ecn)

        self.pair.world.inject = record  # type: ignore[method-assign]
        self.pair.connect()
        for size in (0, 100, 5_000):
            self.pair.client.send(bytes(size))
            self.pair.server.send(bytes(size))
        self.pair.run(1)
        self.pair.world.inject = inject  # type: ignore[method-assign]

    def received(self) -> list[int]:
        return [len(side.received()) for side in self.pair.sides]

    def hand_over(self, kind: int, content: bytes) -> None:
        pair = self.pair
        match kind % 5:
            case 0:
                _receive(pair.server, STRANGER, content)
            case 1:
                _receive(pair.server, CLIENT, content)
            case 2:
                _receive(pair.client, SERVER, content)
            case 3:
                target, original = self.recorded[kind // 5 % len(self.recorded)]
                side = pair.server if target == SERVER else pair.client
                _receive(side, STRANGER, edited(original, content))
            case _:
                _receive(pair.server, STRANGER, _authentic_init(content))


_targets: list[_Target] = []


def fuzz_datagram(data: bytes) -> None:
    """Pieces: datagrams by a stranger or a peer; edits of recorded ones; INITs whose MAC is right."""
    if not _targets or _targets[0].executions >= EXECUTIONS_PER_PAIR:
        _targets[:] = [_Target()]
    target = _targets[0]
    target.executions += 1
    before = target.received()
    for kind, content in pieces(data, DATAGRAMS_MAX):
        target.hand_over(kind, content)
    assert target.received() == before, "an unauthenticated datagram delivered a message"
    assert all(side.snapshot.state == "established" for side in target.pair.sides), "a junk datagram ended a connection"
    if target.executions == EXECUTIONS_PER_PAIR:
        target.pair.run(30)
        target.pair.client.send(b"after the junk")
        target.pair.run(5)
        assert target.pair.server.received()[-1] == b"after the junk"


def _receive(side: Side, source: Address, data: bytes) -> None:
    side.endpoint.receive(Datagram(source, data), side.now)
    side.drain()


def _authentic_init(noise: bytes) -> bytes:
    body = init_without_mac(noise[: INIT_BYTES - 100])
    return pack_init(body, mac(init_key(SETTINGS.network_id), body))
