"""What the two ends of a connection tell each other inside the encrypted handshake: identifiers, limits, delays.

A list of (id varint, length varint, value); unknown ids are skipped, so that newer nodes can add to it.
"""

from __future__ import annotations

from dataclasses import dataclass

from node.errors import DecodeError
from node.types import MICROSECOND, ConnectionId, Duration
from node.wire.limits import ACK_DELAY_MAX, MTU_MAX, MTU_MIN, RESET_TOKEN_BYTES
from node.wire.varint import append_varint, read_varint

__all__ = ["Parameters", "encode_parameters", "parse_parameters"]

_CONNECTION_ID, _MAX_DATA, _MAX_ACK_DELAY, _MAX_DATAGRAM, _DIAL_NUMBER, _SUITES, _RESET_TOKEN = 1, 2, 3, 4, 5, 6, 7
_REQUIRED = (_CONNECTION_ID, _MAX_DATA, _MAX_ACK_DELAY, _MAX_DATAGRAM)
_NUMBERS = (*_REQUIRED, _DIAL_NUMBER, _SUITES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """One end's parameters.

    connection_id: what the other end puts into the header; 0 on TCP, which has none.
    max_data: bytes of reliable messages that may be sent before the first MAX_DATA frame, and in each channel of
        ordered ones before its first MAX_CHANNEL_DATA frame.
    max_ack_delay: longest time this end holds an acknowledgement back; at most 1 s; microseconds on the wire.
    max_datagram: largest UDP payload this end accepts, in bytes.
    dial_number: of an initiator, larger for each later dial of its process; 0 from a responder.
    suites: cipher suites that this end has, bit n for suite n; 0 for the one that everybody has.
    reset_token: RESET_TOKEN_BYTES bytes, with which this end can say later that it has lost the connection; or empty.
    """

    connection_id: ConnectionId
    max_data: int
    max_ack_delay: Duration
    max_datagram: int
    dial_number: int = 0
    suites: int = 0
    reset_token: bytes = b""


def encode_parameters(parameters: Parameters) -> bytes:
    """The parameters as they travel."""
    buffer = bytearray()
    for identifier, value in (
        (_CONNECTION_ID, parameters.connection_id),
        (_MAX_DATA, parameters.max_data),
        (_MAX_ACK_DELAY, parameters.max_ack_delay // MICROSECOND),
        (_MAX_DATAGRAM, parameters.max_datagram),
        (_DIAL_NUMBER, parameters.dial_number),
        (_SUITES, parameters.suites),
    ):
        encoded = bytearray()
        append_varint(encoded, value)
        append_varint(buffer, identifier)
        append_varint(buffer, len(encoded))
        buffer += encoded
    if parameters.reset_token:
        append_varint(buffer, _RESET_TOKEN)
        append_varint(buffer, len(parameters.reset_token))
        buffer += parameters.reset_token
    return bytes(buffer)


def parse_parameters(data: bytes) -> Parameters:
    """The parameters that the peer sent; DecodeError(`malformed`) where one is missing, double or out of range."""
    values: dict[int, int] = {}
    reset_token = b""
    offset = 0
    while offset < len(data):
        identifier, offset = read_varint(data, offset)
        length, offset = read_varint(data, offset)
        end = offset + length
        if end > len(data) or identifier in values:
            raise DecodeError("malformed", "parameters cut short or double")
        if identifier in _NUMBERS:
            values[identifier], used = read_varint(data, offset)
            if used != end:
                raise DecodeError("malformed", f"parameter {identifier} has another length")
        elif identifier == _RESET_TOKEN:
            if length != RESET_TOKEN_BYTES or reset_token:
                raise DecodeError("malformed", f"reset token of {length} bytes")
            reset_token = data[offset:end]
        offset = end
    if not all(identifier in values for identifier in _REQUIRED):
        raise DecodeError("malformed", "a parameter is missing")
    max_ack_delay = values[_MAX_ACK_DELAY] * MICROSECOND
    max_datagram = min(values[_MAX_DATAGRAM], MTU_MAX)
    if values[_CONNECTION_ID] >= 1 << 32 or max_ack_delay > ACK_DELAY_MAX or max_datagram < MTU_MIN:
        raise DecodeError("malformed", "a parameter is out of range")
    return Parameters(
        connection_id=ConnectionId(values[_CONNECTION_ID]),
        max_data=values[_MAX_DATA],
        max_ack_delay=max_ack_delay,
        max_datagram=max_datagram,
        dial_number=values.get(_DIAL_NUMBER, 0),
        suites=values.get(_SUITES, 0),
        reset_token=reset_token,
    )
