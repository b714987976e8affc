"""The shapes of INIT, RETRY and REFUSE datagrams."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import DecodeError
from node.types import ConnectionId
from node.wire.handshake import (
    ANSWER_TAG_BYTES,
    COOKIE_BYTES,
    INIT_MAC_BYTES,
    InitClear,
    RefusalReason,
    init_without_mac,
    pack_clear,
    pack_init,
    pack_refuse,
    pack_retry,
    parse_clear,
    parse_init,
    parse_refuse,
    parse_retry,
)
from node.wire.header import PacketType, parse_header
from node.wire.limits import HEADER_BYTES, INIT_BYTES
from tests.properties import decoded

clears = st.builds(InitClear, st.integers(1, (1 << 32) - 1).map(ConnectionId), st.binary(min_size=8, max_size=8))
keys = st.binary(min_size=32, max_size=32)
macs = st.binary(min_size=16, max_size=16)


def make_init(key: bytes = b"k" * 32, mac: bytes = b"m" * 16) -> bytes:
    return pack_init(init_without_mac(key + pack_clear(InitClear(ConnectionId(1), b"network!"))), mac)


@given(keys, clears, st.sampled_from([b"", b"c" * COOKIE_BYTES]), macs)
def test_init_round_trip(key: bytes, clear: InitClear, cookie: bytes, mac: bytes) -> None:
    init = parse_init(pack_init(init_without_mac(key + pack_clear(clear), cookie), mac))
    assert (init.noise[:32], init.clear, init.cookie, init.mac) == (key, clear, cookie, mac)


def test_a_cookie_changes_nothing_of_what_the_handshake_is_about() -> None:
    noise = b"k" * 32 + pack_clear(InitClear(ConnectionId(1), b"network!"))
    plain, with_cookie = (parse_init(pack_init(init_without_mac(noise, c), b"m" * 16)) for c in (b"", b"c" * 16))
    assert plain.noise == with_cookie.noise


@pytest.mark.parametrize("length", [1, 15, 17, 255])
def test_a_cookie_of_another_length_is_malformed(length: int) -> None:
    datagram = bytearray(make_init())
    datagram[HEADER_BYTES + 2 + len(parse_init(make_init()).noise)] = length
    with pytest.raises(DecodeError, match="malformed"):
        parse_init(bytes(datagram))


@pytest.mark.must("M12")
def test_init_is_padded_so_that_no_answer_is_larger() -> None:
    assert len(make_init()) == INIT_BYTES
    assert parse_header(make_init()).packet_type is PacketType.INIT


@pytest.mark.must("M12")
def test_init_of_another_size_is_malformed() -> None:
    for datagram in (make_init()[:-1], make_init() + b"\0", make_init()[:HEADER_BYTES]):
        with pytest.raises(DecodeError, match="malformed"):
            parse_init(datagram)


def test_init_from_connection_id_zero_is_malformed() -> None:
    clear = pack_clear(InitClear(ConnectionId(0), b"network!"))
    with pytest.raises(DecodeError, match="malformed"):
        parse_clear(clear)


@pytest.mark.parametrize(("lowest", "highest"), [(2, 9), (0, 0), (9, 2)])
def test_versions_without_ours_are_told_apart(lowest: int, highest: int) -> None:
    clear = bytearray(pack_clear(InitClear(ConnectionId(1), b"network!")))
    clear[12], clear[13] = lowest, highest
    with pytest.raises(DecodeError, match="unsupported_version"):
        parse_clear(bytes(clear))


def test_newer_node_that_still_speaks_our_version_is_welcome() -> None:
    clear = bytearray(pack_clear(InitClear(ConnectionId(1), b"network!")))
    clear[13] = 9
    assert parse_clear(bytes(clear)).source == 1


@given(st.binary(min_size=INIT_BYTES - HEADER_BYTES, max_size=INIT_BYTES - HEADER_BYTES))
def test_any_bytes_of_the_right_size_give_an_init_or_a_decode_error(rest: bytes) -> None:
    init = decoded(parse_init, make_init()[:HEADER_BYTES] + rest)
    assert init is None or init.clear.source != 0


@given(st.integers(0, 65_535))
def test_any_announced_length_gives_an_init_or_a_decode_error(length: int) -> None:
    datagram = bytearray(make_init())
    datagram[HEADER_BYTES : HEADER_BYTES + 2] = length.to_bytes(2, "big")
    init = decoded(parse_init, bytes(datagram))
    assert init is None or len(init.noise) == length <= INIT_BYTES - INIT_MAC_BYTES - HEADER_BYTES


@given(st.binary(max_size=64))
def test_any_bytes_give_a_clear_part_or_a_decode_error(data: bytes) -> None:
    clear = decoded(parse_clear, data)
    assert clear is None or clear.source != 0


@given(st.binary(min_size=COOKIE_BYTES, max_size=COOKIE_BYTES), macs, st.integers(1, (1 << 32) - 1))
def test_retry_round_trip(cookie: bytes, tag: bytes, destination: int) -> None:
    datagram = pack_retry(ConnectionId(destination), cookie) + tag
    assert parse_retry(datagram) == cookie
    assert parse_header(datagram).destination == destination
    assert parse_header(datagram).packet_type is PacketType.RETRY


@given(st.binary(max_size=64))
def test_any_bytes_give_a_cookie_or_a_decode_error(rest: bytes) -> None:
    cookie = decoded(parse_retry, pack_retry(ConnectionId(1), b"")[:HEADER_BYTES] + rest)
    assert cookie is None or len(cookie) == COOKIE_BYTES


@given(st.sampled_from(RefusalReason), macs, st.integers(1, (1 << 32) - 1))
def test_refuse_round_trip(reason: RefusalReason, tag: bytes, destination: int) -> None:
    datagram = pack_refuse(ConnectionId(destination), reason) + tag
    assert parse_refuse(datagram) == reason
    assert parse_header(datagram).destination == destination


@given(st.binary(max_size=64))
def test_any_bytes_give_a_refusal_or_a_decode_error(rest: bytes) -> None:
    datagram = pack_refuse(ConnectionId(1), RefusalReason.BUSY) + bytes(ANSWER_TAG_BYTES)
    for data in (rest, datagram[:HEADER_BYTES] + rest, datagram[:HEADER_BYTES] + rest.ljust(19, b"\0")[:19]):
        reason = decoded(parse_refuse, data)
        assert reason is None or reason in RefusalReason
