"""Transport parameters: unknown ones are skipped, impossible ones refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.errors import DecodeError
from node.types import MICROSECOND, MILLISECOND, ConnectionId
from node.wire.limits import MTU_MAX, MTU_MIN, RESET_TOKEN_BYTES
from node.wire.parameters import Parameters, encode_parameters, parse_parameters
from node.wire.varint import VARINT_MAX, append_varint, varint_size
from tests.properties import decoded

parameters = st.builds(
    Parameters,
    connection_id=st.integers(0, (1 << 32) - 1).map(ConnectionId),
    max_data=st.integers(0, VARINT_MAX),
    max_ack_delay=st.integers(0, 1_000_000).map(lambda delay: delay * MICROSECOND),
    max_datagram=st.integers(MTU_MIN, MTU_MAX),
    dial_number=st.integers(0, VARINT_MAX),
    suites=st.integers(0, VARINT_MAX),
    reset_token=st.one_of(st.just(b""), st.binary(min_size=RESET_TOKEN_BYTES, max_size=RESET_TOKEN_BYTES)),
)


def raw(**values: int) -> bytes:
    """Parameters 1 to 4, each one byte of id, one of length and a varint; names are those of the class."""
    buffer = bytearray()
    order = ("connection_id", "max_data", "max_ack_delay", "max_datagram")
    for identifier, name in enumerate(order, start=1):
        if name in values:
            buffer += bytes([identifier, varint_size(values[name])])
            append_varint(buffer, values[name])
    return bytes(buffer)


VALID = {"connection_id": 7, "max_data": 65_535, "max_ack_delay": 10_000, "max_datagram": 1400}


@given(parameters)
def test_round_trip(value: Parameters) -> None:
    assert parse_parameters(encode_parameters(value)) == value


@given(st.binary(max_size=100))
def test_any_bytes_give_parameters_or_a_decode_error(data: bytes) -> None:
    value = decoded(parse_parameters, data)
    assert value is None or MTU_MIN <= value.max_datagram <= MTU_MAX


@given(parameters, st.data())
def test_damaged_parameters_give_parameters_or_a_decode_error(value: Parameters, data: st.DataObject) -> None:
    encoded = bytearray(encode_parameters(value))
    encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    damaged = decoded(parse_parameters, bytes(encoded))
    assert damaged is None or MTU_MIN <= damaged.max_datagram <= MTU_MAX


@pytest.mark.must("M37")
def test_unknown_parameters_are_skipped() -> None:
    assert parse_parameters(bytes([63, 3]) + b"new" + raw(**VALID)) == parse_parameters(raw(**VALID))


@pytest.mark.parametrize("name", sorted(VALID))
def test_each_parameter_is_needed(name: str) -> None:
    with pytest.raises(DecodeError):
        parse_parameters(raw(**{key: value for key, value in VALID.items() if key != name}))


def test_a_parameter_given_twice_is_malformed() -> None:
    with pytest.raises(DecodeError):
        parse_parameters(raw(**VALID) + raw(max_data=1))


@pytest.mark.parametrize("token", [bytes([7, 15]) + bytes(15), bytes([7, 17]) + bytes(17), 2 * (b"\7\x10" + bytes(16))])
def test_a_reset_token_has_one_length_and_comes_once(token: bytes) -> None:
    with pytest.raises(DecodeError):
        parse_parameters(raw(**VALID) + token)


@pytest.mark.parametrize(
    ("name", "value"),
    [("connection_id", 1 << 32), ("max_ack_delay", 1_000_001), ("max_datagram", MTU_MIN - 1)],
)
def test_values_out_of_range_are_malformed(name: str, value: int) -> None:
    with pytest.raises(DecodeError):
        parse_parameters(raw(**{**VALID, name: value}))


def test_a_larger_datagram_than_udp_carries_means_what_udp_carries() -> None:
    assert parse_parameters(raw(**{**VALID, "max_datagram": 1 << 20})).max_datagram == MTU_MAX


def test_delays_travel_in_microseconds() -> None:
    assert parse_parameters(raw(**VALID)).max_ack_delay == 10 * MILLISECOND
