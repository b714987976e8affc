"""The Noise pattern against published vectors, and every way a message can be wrong."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from nacl import bindings

from node.crypto.aead import PacketCipher
from node.crypto.noise import MESSAGE_BYTES_MAX, PROTOCOL_NAME, HandshakeState, StaticKey, public_key
from node.errors import HandshakeError, UsageError

VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "noise_xx.json").read_text("utf-8"))
# The order-8 points, 0, 1 and -1 with their other encodings (https://cr.yp.to/ecdh.html, "Validation").
LOW_ORDER_POINTS = (
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b880",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f11d7",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
)


def side(
    *, is_initiator: bool, static: bytes = b"", ephemeral: bytes = b"", prologue: bytes = b"prologue"
) -> HandshakeState:
    """One side with fixed keys; the ones not given are arbitrary but the same in every run."""
    arbitrary = Random(is_initiator)
    static_private, ephemeral_private = static or arbitrary.randbytes(32), ephemeral or arbitrary.randbytes(32)
    return HandshakeState(
        is_initiator=is_initiator,
        prologue=prologue,
        static=StaticKey(static_private),
        entropy=lambda size: ephemeral_private[:size],
    )


@dataclass
class Exchange:
    """Two sides, advanced message by message."""

    initiator: HandshakeState
    responder: HandshakeState

    @classmethod
    def after(cls, messages: int) -> Exchange:
        exchange = cls(side(is_initiator=True), side(is_initiator=False))
        for index in range(messages):
            exchange.reader(index).read_message(exchange.writer(index).write_message(b"payload"))
        return exchange

    def writer(self, index: int) -> HandshakeState:
        return self.responder if index % 2 else self.initiator

    def reader(self, index: int) -> HandshakeState:
        return self.initiator if index % 2 else self.responder


def everything_in(state: HandshakeState) -> list[object]:
    return [getattr(state, name) for name in HandshakeState.__slots__]


def changed_bit(message: bytes, bit: int) -> bytes:
    changed = bytearray(message)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@pytest.mark.parametrize("vector", VECTORS["vectors"], ids=["cacophony", "snow"])
@pytest.mark.must("M9")
def test_published_vectors_are_reproduced_in_both_roles(vector: dict[str, Any]) -> None:
    def of(prefix: str) -> HandshakeState:
        return side(
            is_initiator=prefix == "init",
            static=bytes.fromhex(vector[f"{prefix}_static"]),
            ephemeral=bytes.fromhex(vector[f"{prefix}_ephemeral"]),
            prologue=bytes.fromhex(vector["prologue"]),
        )

    initiator, responder = of("init"), of("resp")
    messages = [(bytes.fromhex(m["payload"]), bytes.fromhex(m["ciphertext"])) for m in vector["messages"]]
    for (payload, ciphertext), (writer, reader) in zip(
        messages[:3], cycle([(initiator, responder), (responder, initiator)]), strict=False
    ):
        assert writer.write_message(payload) == ciphertext
        assert reader.read_message(ciphertext) == payload

    assert initiator.handshake_hash == responder.handshake_hash
    assert initiator.split() == responder.split()[::-1]
    to_responder, to_initiator = (PacketCipher(key) for key in initiator.split())
    for index, (payload, ciphertext) in enumerate(messages[3:]):
        cipher, number = (to_responder if index % 2 else to_initiator), index // 2
        assert cipher.seal(number, payload, b"") == ciphertext
        assert cipher.open(number, ciphertext, b"") == payload


def test_vectors_are_of_the_protocol_that_is_implemented() -> None:
    assert VECTORS["protocol_name"].encode() == PROTOCOL_NAME


def test_each_side_learns_the_static_key_of_the_other() -> None:
    exchange = Exchange.after(3)
    assert exchange.responder.remote_static == public_key(Random(True).randbytes(32))
    assert exchange.initiator.remote_static == public_key(Random(False).randbytes(32))


def test_x25519_gives_the_answers_of_rfc_7748_section_6_1() -> None:
    alice = bytes.fromhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a")
    bob = bytes.fromhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")
    assert public_key(alice).hex() == "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"
    assert public_key(bob).hex() == "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"
    shared = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"
    assert bindings.crypto_scalarmult(alice, public_key(bob)).hex() == shared
    assert bindings.crypto_scalarmult(bob, public_key(alice)).hex() == shared


@pytest.mark.parametrize("index", [0, 1, 2])
def test_a_message_with_any_one_bit_changed_never_completes_a_handshake(index: int) -> None:
    exchange = Exchange.after(index)
    writer, reader = exchange.writer(index), exchange.reader(index)
    message = writer.write_message(b"payload")
    before = everything_in(reader)
    for bit in range(8 * len(message)):
        if index == 0:
            # The first message is in clear: what is wrong with it shows when the answer does not verify.
            deceived = side(is_initiator=False)
            deceived.read_message(changed_bit(message, bit))
            with pytest.raises(HandshakeError):
                writer.read_message(deceived.write_message(b"payload"))
        else:
            with pytest.raises(HandshakeError):
                reader.read_message(changed_bit(message, bit))
            assert everything_in(reader) == before
    assert reader.read_message(message) == b"payload"


@pytest.mark.parametrize("index", [0, 1, 2])
def test_a_message_of_any_other_length_is_refused_without_a_change(index: int) -> None:
    exchange = Exchange.after(index)
    message = exchange.writer(index).write_message(b"" if index == 0 else b"payload")
    reader = exchange.reader(index)
    before = everything_in(reader)
    lengthened = [] if index == 0 else [message + b"\0"]  # the first one is in clear
    for wrong in [message[:size] for size in range(len(message))] + lengthened:
        with pytest.raises(HandshakeError):
            reader.read_message(wrong)
        assert everything_in(reader) == before
    assert reader.read_message(message) == (b"" if index == 0 else b"payload")


@pytest.mark.parametrize("point", LOW_ORDER_POINTS)
@pytest.mark.must("M11")
def test_an_ephemeral_key_of_low_order_is_refused_by_the_responder(point: str) -> None:
    responder = side(is_initiator=False)
    before = everything_in(responder)
    with pytest.raises(HandshakeError, match="malformed"):
        responder.read_message(bytes.fromhex(point))
    assert everything_in(responder) == before


@pytest.mark.parametrize("point", LOW_ORDER_POINTS)
def test_an_ephemeral_key_of_low_order_is_refused_by_the_initiator(point: str) -> None:
    exchange = Exchange.after(1)
    before = everything_in(exchange.initiator)
    with pytest.raises(HandshakeError, match="malformed"):
        exchange.initiator.read_message(bytes.fromhex(point) + bytes(64))
    assert everything_in(exchange.initiator) == before


@pytest.mark.parametrize("index", [1, 2])
@pytest.mark.parametrize("point", LOW_ORDER_POINTS)
@pytest.mark.must("M11")
def test_a_static_key_of_low_order_is_refused(index: int, point: str) -> None:
    exchange = Exchange.after(index)
    writer, reader = exchange.writer(index), exchange.reader(index)
    writer._static.public = bytes.fromhex(point)
    message = writer.write_message(b"payload")
    before = everything_in(reader)
    with pytest.raises(HandshakeError, match="malformed"):
        reader.read_message(message)
    assert everything_in(reader) == before


def test_different_prologues_do_not_complete() -> None:
    initiator = side(is_initiator=True, prologue=b"one")
    responder = side(is_initiator=False, prologue=b"two")
    responder.read_message(initiator.write_message(b""))
    with pytest.raises(HandshakeError, match="decrypt_failed"):
        initiator.read_message(responder.write_message(b""))


@pytest.mark.parametrize("done", [0, 1, 2, 3])
def test_steps_out_of_turn_are_usage_errors_without_a_change(done: int) -> None:
    exchange = Exchange.after(done)
    for state in (exchange.initiator, exchange.responder):
        before = everything_in(state)
        if done == 3 or state is exchange.reader(done):
            with pytest.raises(UsageError):
                state.write_message(b"")
        if done == 3 or state is exchange.writer(done):
            with pytest.raises(UsageError):
                state.read_message(b"")
        if done < 3:
            with pytest.raises(UsageError):
                state.split()
        assert everything_in(state) == before
        assert state.is_complete == (done == 3)


def test_messages_over_the_limit_of_noise_are_refused() -> None:
    initiator, responder = side(is_initiator=True), side(is_initiator=False)
    with pytest.raises(UsageError):
        initiator.write_message(bytes(MESSAGE_BYTES_MAX - 31))
    with pytest.raises(HandshakeError, match="malformed"):
        responder.read_message(bytes(MESSAGE_BYTES_MAX + 1))
    message = initiator.write_message(bytes(MESSAGE_BYTES_MAX - 32))
    assert len(message) == MESSAGE_BYTES_MAX
    assert responder.read_message(message) == bytes(MESSAGE_BYTES_MAX - 32)


def test_private_keys_of_another_length_are_usage_errors() -> None:
    with pytest.raises(UsageError):
        side(is_initiator=True, static=bytes(31))


def test_the_representation_shows_no_key() -> None:
    assert repr(Exchange.after(2).responder) == "HandshakeState(responder, 2 of 3 messages)"


@given(index=st.integers(1, 2), junk=st.binary(max_size=300))
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_refused_without_a_change(index: int, junk: bytes) -> None:
    reader = Exchange.after(index).reader(index)
    before = everything_in(reader)
    with pytest.raises(HandshakeError) as caught:
        reader.read_message(junk)
    assert caught.value.reason in ("malformed", "decrypt_failed")
    assert everything_in(reader) == before


@given(junk=st.binary(min_size=32, max_size=300))
@settings(deadline=None)
def test_any_bytes_are_a_first_message_whose_rest_is_in_clear(junk: bytes) -> None:
    assume(junk[:32].hex() not in LOW_ORDER_POINTS)
    assert side(is_initiator=False).read_message(junk) == junk[32:]


@given(payloads=st.tuples(st.binary(max_size=200), st.binary(max_size=200), st.binary(max_size=200)))
@settings(max_examples=50, deadline=None)
def test_any_payloads_arrive_and_both_sides_agree(payloads: tuple[bytes, bytes, bytes]) -> None:
    exchange = Exchange.after(0)
    for index, payload in enumerate(payloads):
        assert exchange.reader(index).read_message(exchange.writer(index).write_message(payload)) == payload
    assert exchange.initiator.split() == exchange.responder.split()[::-1]
    assert exchange.initiator.handshake_hash == exchange.responder.handshake_hash
