"""The handshake of two nodes: agreement, proof of identity, refusal of everything else without a change of state."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import copy
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.crypto.aead import PacketCipher
from node.crypto.noise import HandshakeState, StaticKey
from node.errors import HandshakeError, UsageError
from node.identity.keys import Identity, verify
from node.transport.handshake import Agreement, Handshake, HandshakeSetup
from node.types import NodeId
from node.wire.limits import HANDSHAKE_PARAMETERS_BYTES_MAX, HEADER_BYTES, MTU_MIN

ALICE, BOB, MALLORY = (Identity(name.ljust(32, b".")) for name in (b"alice", b"bob", b"mallory"))
ALICE_STATIC, BOB_STATIC = StaticKey(b"alice process".ljust(32, b".")), StaticKey(b"bob process".ljust(32, b"."))
REASONS = ("decrypt_failed", "bad_signature", "malformed", "identity_mismatch")


def setup_of(identity: Identity = ALICE, static: StaticKey = ALICE_STATIC) -> HandshakeSetup:
    return HandshakeSetup(
        identity=identity,
        static=static,
        transport="udp",
        network_id="test",
        parameters=b"parameters of " + static.public,
    )


ALICE_SETUP, BOB_SETUP = setup_of(), setup_of(BOB, BOB_STATIC)


def start(
    alice: HandshakeSetup = ALICE_SETUP, bob: HandshakeSetup = BOB_SETUP, *, seed: int = 0
) -> tuple[Handshake, Handshake]:
    """An initiator (alice) and a responder (bob) that has read the first message."""
    initiator = Handshake(alice, is_initiator=True, entropy=Random(seed).randbytes)
    responder = Handshake(bob, is_initiator=False, entropy=Random(seed + 1).randbytes)
    assert responder.read_init(initiator.write_init(b"clear")) == b"clear"
    return initiator, responder


def complete(
    alice: HandshakeSetup = ALICE_SETUP, bob: HandshakeSetup = BOB_SETUP, *, seed: int = 0
) -> tuple[Agreement, Agreement]:
    initiator, responder = start(alice, bob, seed=seed)
    initiator.read_response(responder.write_response())
    responder.read_confirm(initiator.write_confirm())
    return initiator.agreement, responder.agreement


def everything_in(handshake: Handshake) -> list[object]:
    noise = handshake._noise
    return [noise, handshake._peer, handshake._agreement, *(getattr(noise, name) for name in HandshakeState.__slots__)]


def assert_refused(handshake: Handshake, read: Callable[[bytes], object], message: bytes, *reasons: str) -> None:
    before = everything_in(handshake)
    with pytest.raises(HandshakeError) as caught:
        read(message)
    assert caught.value.reason in reasons
    assert everything_in(handshake) == before


def test_both_sides_learn_the_other_and_share_their_keys() -> None:
    alice, bob = complete()
    assert (alice.peer_id, bob.peer_id) == (BOB.public_key, ALICE.public_key)
    assert (alice.peer_static, bob.peer_static) == (BOB_STATIC.public, ALICE_STATIC.public)
    assert (alice.peer_parameters, bob.peer_parameters) == (BOB_SETUP.parameters, ALICE_SETUP.parameters)
    assert (alice.send_key, alice.receive_key) == (bob.receive_key, bob.send_key)
    assert alice.send_key != alice.receive_key
    sealed = PacketCipher(alice.send_key).seal(0, b"hello", b"header")
    assert PacketCipher(bob.receive_key).open(0, sealed, b"header") == b"hello"


def test_message_sizes_are_those_of_the_specification() -> None:
    initiator = Handshake(replace(ALICE_SETUP, parameters=b""), is_initiator=True, entropy=Random(0).randbytes)
    responder = Handshake(replace(BOB_SETUP, parameters=b""), is_initiator=False, entropy=Random(1).randbytes)
    init = initiator.write_init(b"")
    responder.read_init(init)
    response = responder.write_response()
    initiator.read_response(response)
    assert [len(init), len(response), len(initiator.write_confirm())] == [32, 192, 160]


def test_the_largest_parameters_fit_in_the_smallest_datagram() -> None:
    parameters = bytes(HANDSHAKE_PARAMETERS_BYTES_MAX)
    alice, bob = replace(ALICE_SETUP, parameters=parameters), replace(BOB_SETUP, parameters=parameters)
    _, responder = start(alice, bob)
    assert len(responder.write_response()) <= MTU_MIN - 4 * HEADER_BYTES
    assert complete(alice, bob)[1].peer_parameters == parameters


def test_every_handshake_has_keys_of_its_own() -> None:
    agreements = complete(seed=0) + complete(seed=2)
    assert len({agreement.send_key for agreement in agreements}) == 4


def test_a_node_can_complete_a_handshake_with_itself_and_see_it() -> None:
    alice, again = complete(ALICE_SETUP, ALICE_SETUP)
    assert alice.peer_id == again.peer_id == ALICE.public_key
    assert alice.peer_static == ALICE_STATIC.public


def test_every_changed_bit_of_the_init_ends_in_a_refused_response() -> None:
    initiator = Handshake(ALICE_SETUP, is_initiator=True, entropy=Random(0).randbytes)
    init = initiator.write_init(b"clear")
    for bit in range(8 * len(init)):
        changed = bytearray(init)
        changed[bit // 8] ^= 1 << bit % 8
        responder = Handshake(BOB_SETUP, is_initiator=False, entropy=Random(1).randbytes)
        responder.read_init(bytes(changed))
        assert_refused(initiator, initiator.read_response, responder.write_response(), "decrypt_failed", "malformed")
    responder = Handshake(BOB_SETUP, is_initiator=False, entropy=Random(1).randbytes)
    responder.read_init(init)
    initiator.read_response(responder.write_response())


def test_every_changed_bit_of_the_response_is_refused_without_a_change() -> None:
    initiator, responder = start()
    response = responder.write_response()
    for bit in range(8 * len(response)):
        changed = bytearray(response)
        changed[bit // 8] ^= 1 << bit % 8
        assert_refused(initiator, initiator.read_response, bytes(changed), "decrypt_failed", "malformed")
    initiator.read_response(response)
    responder.read_confirm(initiator.write_confirm())


def test_every_changed_bit_of_the_confirm_is_refused_without_a_change() -> None:
    initiator, responder = start()
    initiator.read_response(responder.write_response())
    confirm = initiator.write_confirm()
    for bit in range(8 * len(confirm)):
        changed = bytearray(confirm)
        changed[bit // 8] ^= 1 << bit % 8
        assert_refused(responder, responder.read_confirm, bytes(changed), "decrypt_failed", "malformed")
        assert not responder.is_complete
    responder.read_confirm(confirm)
    assert responder.agreement.send_key == initiator.agreement.receive_key


def test_truncated_and_lengthened_messages_are_refused() -> None:
    initiator, responder = start()
    response = responder.write_response()
    for wrong in [response[:size] for size in range(len(response))] + [response + b"\0"]:
        assert_refused(initiator, initiator.read_response, wrong, "decrypt_failed", "malformed")
    initiator.read_response(response)
    confirm = initiator.write_confirm()
    for wrong in [confirm[:size] for size in range(len(confirm))] + [confirm + b"\0"]:
        assert_refused(responder, responder.read_confirm, wrong, "decrypt_failed", "malformed")
    responder.read_confirm(confirm)


@pytest.mark.parametrize(
    "bob",
    [
        replace(BOB_SETUP, network_id="another"),
        replace(BOB_SETUP, transport="tcp"),
        replace(BOB_SETUP, network_id="test\u00e9"),
    ],
    ids=["network", "transport", "longer network"],
)
def test_sides_that_differ_in_network_or_transport_refuse_each_other(bob: HandshakeSetup) -> None:
    initiator, responder = start(ALICE_SETUP, bob)
    assert_refused(initiator, initiator.read_response, responder.write_response(), "decrypt_failed")


def test_a_response_of_one_handshake_is_refused_in_another() -> None:
    _, responder = start(seed=0)
    response = responder.write_response()
    initiator, _ = start(seed=2)
    assert_refused(initiator, initiator.read_response, response, "decrypt_failed")


def test_a_response_may_be_read_after_a_forged_one() -> None:
    initiator, responder = start()
    _, stranger = start(bob=setup_of(MALLORY, StaticKey(bytes(32))), seed=4)
    assert_refused(initiator, initiator.read_response, stranger.write_response(), "decrypt_failed")
    initiator.read_response(responder.write_response())
    responder.read_confirm(initiator.write_confirm())
    assert initiator.agreement.peer_id == BOB.public_key


def test_another_peer_than_the_expected_one_is_refused() -> None:
    initiator, responder = start(replace(ALICE_SETUP, expected=MALLORY.public_key))
    assert_refused(initiator, initiator.read_response, responder.write_response(), "identity_mismatch")


def test_the_responder_too_can_expect_somebody() -> None:
    initiator, responder = start(bob=replace(BOB_SETUP, expected=MALLORY.public_key))
    initiator.read_response(responder.write_response())
    assert_refused(responder, responder.read_confirm, initiator.write_confirm(), "identity_mismatch")


def test_the_expected_peer_is_accepted() -> None:
    alice, bob = complete(replace(ALICE_SETUP, expected=BOB.public_key), replace(BOB_SETUP, expected=ALICE.public_key))
    assert (alice.peer_id, bob.peer_id) == (BOB.public_key, ALICE.public_key)


class Impostor(Handshake):
    """Speaks Noise correctly and puts `payload(text to sign, parameters)` where the proof of identity belongs."""

    payload: Callable[[bytes], bytes]

    def _write_proof(self, role: bytes) -> bytes:
        text = self._setup.proof_text(role, self._noise.handshake_hash, self._setup.static.public)
        return self._noise.write_message(self.payload(text))


def proof(identity: Identity, text: bytes, claimed: NodeId | None = None) -> bytes:
    return (claimed or identity.public_key) + identity.sign(text)


BAD_PROOFS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "signed by another": (lambda text: proof(MALLORY, text, BOB.public_key), "bad_signature"),
    "signature of nothing": (lambda text: proof(BOB, b""), "bad_signature"),
    "another role": (lambda text: proof(BOB, swapped_role(text)), "bad_signature"),
    "another static key": (lambda text: proof(BOB, text[:-32] + ALICE_STATIC.public), "bad_signature"),
    "another handshake": (lambda text: proof(BOB, text[:-64] + bytes(32) + text[-32:]), "bad_signature"),
    "another network": (lambda text: proof(BOB, text.replace(b"\0test\0", b"\0best\0")), "bad_signature"),
    "another label": (lambda text: proof(BOB, b"P" + text[1:]), "bad_signature"),
    "key of small order": (lambda text: bytes(32) + bytes(64), "bad_signature"),
    "empty": (lambda text: b"", "malformed"),
    "one byte short": (lambda text: proof(BOB, text)[:-1], "malformed"),
    "too many parameters": (lambda text: proof(BOB, text) + bytes(HANDSHAKE_PARAMETERS_BYTES_MAX + 1), "malformed"),
}


def swapped_role(text: bytes) -> bytes:
    mine, other = (b"\0responder\0", b"\0initiator\0")[:: 1 if b"\0responder\0" in text else -1]
    return text.replace(mine, other)


@pytest.mark.parametrize(("payload", "reason"), BAD_PROOFS.values(), ids=BAD_PROOFS)
@pytest.mark.must("M10")
def test_a_responder_without_a_valid_proof_is_refused(payload: Callable[[bytes], bytes], reason: str) -> None:
    initiator = Handshake(ALICE_SETUP, is_initiator=True, entropy=Random(0).randbytes)
    impostor = Impostor(BOB_SETUP, is_initiator=False, entropy=Random(1).randbytes)
    impostor.payload = payload
    impostor.read_init(initiator.write_init(b""))
    assert_refused(initiator, initiator.read_response, impostor.write_response(), reason)


@pytest.mark.parametrize(("payload", "reason"), BAD_PROOFS.values(), ids=BAD_PROOFS)
@pytest.mark.must("M10")
def test_an_initiator_without_a_valid_proof_is_refused(payload: Callable[[bytes], bytes], reason: str) -> None:
    impostor = Impostor(BOB_SETUP, is_initiator=True, entropy=Random(0).randbytes)
    impostor.payload = payload
    responder = Handshake(setup_of(ALICE, ALICE_STATIC), is_initiator=False, entropy=Random(1).randbytes)
    responder.read_init(impostor.write_init(b""))
    impostor.read_response(responder.write_response())
    assert_refused(responder, responder.read_confirm, impostor.write_confirm(), reason)


def test_a_proof_that_only_the_true_identity_makes_is_accepted_from_the_impostor_class() -> None:
    # Without this, the refusals above could have another cause.
    initiator = Handshake(ALICE_SETUP, is_initiator=True, entropy=Random(0).randbytes)
    impostor = Impostor(BOB_SETUP, is_initiator=False, entropy=Random(1).randbytes)
    impostor.payload = lambda text: proof(BOB, text)
    impostor.read_init(initiator.write_init(b""))
    initiator.read_response(impostor.write_response())


@pytest.mark.must("M10")
def test_the_signed_text_is_that_of_the_specification() -> None:
    initiator, responder = start()
    before = responder._noise.handshake_hash
    reader = copy(initiator._noise)
    payload = reader.read_message(responder.write_response())
    text = b"positron handshake identity v1\0responder\0test\0" + before + BOB_STATIC.public
    assert payload[:32] == BOB.public_key
    assert verify(BOB.public_key, text, payload[32:96])
    assert payload[96:] == BOB_SETUP.parameters


def test_steps_of_the_other_side_or_out_of_order_are_usage_errors() -> None:
    initiator, responder = start()
    steps: list[Callable[[], object]] = [
        lambda: initiator.read_init(b""),
        initiator.write_response,
        lambda: initiator.read_confirm(b""),
        lambda: initiator.write_init(b""),
        initiator.write_confirm,
        lambda: initiator.agreement,
        lambda: responder.write_init(b""),
        lambda: responder.read_response(b""),
        responder.write_confirm,
        lambda: responder.read_init(b""),
        lambda: responder.read_confirm(b""),
        lambda: responder.agreement,
    ]
    for step in steps:
        before = everything_in(initiator), everything_in(responder)
        with pytest.raises(UsageError):
            step()
        assert (everything_in(initiator), everything_in(responder)) == before
    initiator.read_response(responder.write_response())
    responder.read_confirm(initiator.write_confirm())
    assert initiator.is_complete
    assert responder.is_complete


def test_an_impossible_setup_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="transport 'sctp'"):
        replace(ALICE_SETUP, transport="sctp")
    with pytest.raises(UsageError, match="network_id"):
        replace(ALICE_SETUP, network_id="a\0b")
    with pytest.raises(UsageError, match="parameters of 513 bytes"):
        replace(ALICE_SETUP, parameters=bytes(HANDSHAKE_PARAMETERS_BYTES_MAX + 1))


def test_no_representation_shows_key_material() -> None:
    agreement = complete()[0]
    text = repr((ALICE_STATIC, ALICE_SETUP, agreement))
    for secret in (ALICE_STATIC.private, agreement.send_key, agreement.receive_key):
        assert secret.hex() not in text
        assert repr(secret) not in text


@given(junk=st.binary(max_size=400))
@settings(deadline=None, max_examples=100)
def test_any_bytes_are_refused_as_response_and_confirm(junk: bytes) -> None:
    initiator, responder = start()
    response = responder.write_response()
    assert_refused(initiator, initiator.read_response, junk, *REASONS)
    assert_refused(responder, responder.read_confirm, junk, *REASONS)
    initiator.read_response(response)


@given(
    network_id=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    transport=st.sampled_from(["udp", "tcp"]),
    clear=st.binary(max_size=1200),
    parameters=st.binary(max_size=HANDSHAKE_PARAMETERS_BYTES_MAX),
)
@settings(deadline=None, max_examples=50)
def test_any_network_parameters_and_clear_payload_pass_through(
    network_id: str, transport: str, clear: bytes, parameters: bytes
) -> None:
    alice, bob = (
        replace(setup, network_id=network_id, transport=transport, parameters=parameters)
        for setup in (ALICE_SETUP, BOB_SETUP)
    )
    initiator = Handshake(alice, is_initiator=True, entropy=Random(0).randbytes)
    responder = Handshake(bob, is_initiator=False, entropy=Random(1).randbytes)
    assert responder.read_init(initiator.write_init(clear)) == clear
    initiator.read_response(responder.write_response())
    responder.read_confirm(initiator.write_confirm())
    assert initiator.agreement.peer_parameters == responder.agreement.peer_parameters == parameters


VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "handshake.json").read_text("utf-8"))["vectors"]


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["name"] for vector in VECTORS])
def test_the_wire_bytes_are_those_of_version_1(vector: dict[str, Any]) -> None:
    # Frozen: other bytes here are another protocol, and need another version.
    def of(role: str) -> Handshake:
        side = {name: bytes.fromhex(value) for name, value in vector[role].items()}
        setup = HandshakeSetup(
            identity=Identity(side["identity_seed"]),
            static=StaticKey(side["static_private"]),
            transport=vector["transport"],
            network_id=vector["network_id"],
            parameters=side["parameters"],
        )
        return Handshake(setup, is_initiator=role == "initiator", entropy=lambda size: side["ephemeral_private"][:size])

    initiator, responder = of("initiator"), of("responder")
    init = initiator.write_init(bytes.fromhex(vector["clear"]))
    responder.read_init(init)
    response = responder.write_response()
    initiator.read_response(response)
    confirm = initiator.write_confirm()
    responder.read_confirm(confirm)
    assert {
        "init": init.hex(),
        "response": response.hex(),
        "confirm": confirm.hex(),
        "initiator_send_key": initiator.agreement.send_key.hex(),
        "responder_send_key": responder.agreement.send_key.hex(),
    } == vector["expected"]
