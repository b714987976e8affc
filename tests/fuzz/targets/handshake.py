"""Every message of the handshake: refused whatever it is, unless it is the genuine one, and without a trace."""

from __future__ import annotations

from copy import copy
from functools import cache
from random import Random

from node.crypto.noise import StaticKey
from node.errors import DecodeError, HandshakeError
from node.identity.keys import Identity
from node.transport.handshake import Handshake, HandshakeSetup
from node.wire.handshake import foreign_init, parse_clear, parse_init, parse_refuse, parse_retry
from node.wire.header import parse_header
from node.wire.parameters import encode_parameters, parse_parameters
from tests.fuzz.targets.pieces import edited

__all__ = ["fuzz_handshake"]

CLEAR = b"clear part of an INIT"
PARSERS = (parse_init, foreign_init, parse_retry, parse_refuse, parse_clear, parse_header)


def fuzz_handshake(data: bytes) -> None:
    """First byte: which message or parser; the rest: its bytes, or edits of the genuine one."""
    kind, rest = data[:1], data[1:]
    match (kind[0] if kind else 0) % 6:
        case 0:
            _read_init(rest)
        case 1:
            _refused(_initiator(), "read_response", rest)
        case 2:
            _refused(_responder(), "read_confirm", rest)
        case 3:
            _edited("read_response", _initiator(), _transcript()[1], rest)
        case 4:
            _edited("read_confirm", _responder(), _transcript()[2], rest)
        case _:
            _parse(rest)


def _read_init(message: bytes) -> None:
    responder = _fresh("responder")
    try:
        responder.read_init(message)
    except HandshakeError:
        return
    responder.write_response()
    _refused(responder, "read_confirm", message)


def _refused(handshake: Handshake, step: str, message: bytes) -> None:
    handshake = copy(handshake)
    try:
        getattr(handshake, step)(message)
    except HandshakeError:
        assert not handshake.is_complete
    else:
        raise AssertionError(f"{step} took {message.hex()}")


def _edited(step: str, handshake: Handshake, genuine: bytes, edits: bytes) -> None:
    message = edited(genuine, edits)
    if message != genuine:
        _refused(handshake, step, message)
    handshake = copy(handshake)
    getattr(handshake, step)(genuine)


def _parse(data: bytes) -> None:
    for parser in PARSERS:
        try:
            parser(data)
        except DecodeError:
            continue
    try:
        parameters = parse_parameters(data)
    except DecodeError:
        return
    assert parse_parameters(encode_parameters(parameters)) == parameters


@cache
def _transcript() -> tuple[bytes, bytes, bytes]:
    initiator, responder = _fresh("initiator"), _fresh("responder")
    init = initiator.write_init(CLEAR)
    responder.read_init(init)
    response = responder.write_response()
    initiator.read_response(response)
    confirm = initiator.write_confirm()
    return init, response, confirm


@cache
def _initiator() -> Handshake:
    """One that waits for the RESPONSE."""
    handshake = _fresh("initiator")
    handshake.write_init(CLEAR)
    return handshake


@cache
def _responder() -> Handshake:
    """One that waits for the CONFIRM."""
    handshake = _fresh("responder")
    handshake.read_init(_transcript()[0])
    handshake.write_response()
    return handshake


def _fresh(role: str) -> Handshake:
    random = Random(role)
    setup = HandshakeSetup(
        identity=Identity(random.randbytes(32)), static=StaticKey(random.randbytes(32)), transport="udp", network_id="n"
    )
    return Handshake(setup, is_initiator=role == "initiator", entropy=random.randbytes)
