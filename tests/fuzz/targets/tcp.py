"""The byte stream of a TCP link, before and after the keys: refused with a reason, or taken, in pieces of any size."""

from __future__ import annotations

from node.errors import DecodeError
from node.transport.stream import StreamData, StreamOpened
from node.transport.stream_records import (
    RECORD_BODY_BYTES_MAX,
    Frames,
    check_preface,
    pack_frame,
    pack_preface,
    parse_record,
)
from node.transport.stream_records import FrameType as StreamFrameType
from tests.fuzz.targets.pieces import pieces
from tests.transport.streams import Host, StreamNetwork, connected

__all__ = ["fuzz_tcp"]

EXECUTIONS_PER_NETWORK = 64
RECORDS_MAX = 8
RECORD_BYTES_MAX = 4_000
NETWORK_ID = "positron"

_networks: list[tuple[StreamNetwork, list[int]]] = []
_peers: list[tuple[StreamNetwork, Host, Host]] = []


def fuzz_tcp(data: bytes) -> None:
    """First byte: parsers; an unknown stream; a stream that begins well; or records of an authenticated peer."""
    kind, rest = data[:1], data[1:]
    match (kind[0] if kind else 0) % 4:
        case 0:
            _parse(rest)
        case 1:
            _stranger(b"", rest)
        case 2:
            opening = bytes(32) + pack_preface(NETWORK_ID)
            _stranger(pack_frame(StreamFrameType.OPEN, opening), rest)
        case _:
            _peer(rest)


def _parse(data: bytes) -> None:
    for parser in (parse_record, lambda found: check_preface(found, NETWORK_ID)):
        try:
            parser(data)
        except DecodeError:
            continue
    size = 1 + len(data) % 17
    whole, cut = Frames(RECORD_BODY_BYTES_MAX), Frames(RECORD_BODY_BYTES_MAX)
    assert _bodies(whole, [data]) == _bodies(cut, [data[start : start + size] for start in range(0, len(data), size)])


def _bodies(frames: Frames, chunks: list[bytes]) -> list[bytes]:
    found: list[bytes] = []
    try:
        for chunk in chunks:
            found.extend(frames.feed(chunk))
    except DecodeError as error:
        found.append(str(error).encode())
    return found


def _stranger(opening: bytes, data: bytes) -> None:
    if not _networks or len(_networks[0][1]) >= EXECUTIONS_PER_NETWORK:
        network = StreamNetwork()
        network.add("server")
        _networks[:] = [(network, [])]
    network, executions = _networks[0]
    (server,) = network.hosts.values()
    executions.append(1)
    stream = len(executions)
    server.endpoint.receive(StreamOpened(stream, ("stranger", stream), is_initiator=False), network.now)
    for chunk in (opening, data[:100], data[100:]):
        server.endpoint.receive(StreamData(stream, chunk), network.now)
        network.run()
    assert server.received() == []
    network.advance(1)
    if len(executions) == EXECUTIONS_PER_NETWORK:
        network.advance(60)
        assert server.endpoint.snapshots() == [], "a stream of junk was kept"


def _peer(data: bytes) -> None:
    if not _peers:
        network = StreamNetwork()
        alice, bob, _ = connected(network)
        _peers.append((network, alice, bob))
    network, alice, bob = _peers[0]
    (connection,) = alice.endpoint._connections.values()
    for _, content in pieces(data, RECORDS_MAX):
        if not bob.endpoint.snapshots():
            break
        (stream,) = bob.ends
        bob.endpoint.receive(StreamData(stream, connection._seal(content[:RECORD_BYTES_MAX])), network.now)
        network.run()
    if not bob.endpoint.snapshots() or not alice.endpoint.snapshots():
        _peers.clear()
        network.advance(60)
