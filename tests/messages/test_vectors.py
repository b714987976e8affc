"""Golden bytes: what a node of this version signs and says, to the byte, so that no change of the code changes it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgpack
import pytest

from node.identity.keys import Identity, verify
from node.messages.envelope import Sealer, check_network, check_signature, parse_envelope, signing_domain
from node.messages.frame import encode_frame, parse_frame
from node.messages.types import MessageType
from node.types import MILLISECOND

VECTORS = Path(__file__).parents[1] / "vectors"
ENVELOPES: list[dict[str, Any]] = json.loads((VECTORS / "envelopes.json").read_text())
FRAMES: list[dict[str, Any]] = json.loads((VECTORS / "frames.json").read_text())


def name_of(vector: dict[str, Any]) -> str:
    return str(vector["name"])


@pytest.mark.parametrize("vector", ENVELOPES, ids=name_of)
def test_an_envelope_is_sealed_to_the_same_bytes(vector: dict[str, Any]) -> None:
    sealer = Sealer(Identity(bytes.fromhex(vector["seed"])), network_id=vector["network_id"], epoch=vector["epoch"])
    wall = vector["wall_ms"] * MILLISECOND
    envelope = sealer.seal(vector["kind"], bytes.fromhex(vector["payload"]), wall, topic=vector["topic"])
    assert envelope.body.hex() == vector["body"]
    assert envelope.signature.hex() == vector["signature"]
    assert envelope.message_id.hex() == vector["message_id"]


@pytest.mark.parametrize("vector", ENVELOPES, ids=name_of)
def test_the_bytes_of_an_envelope_are_read_and_proved(vector: dict[str, Any]) -> None:
    envelope = parse_envelope(bytes.fromhex(vector["body"]), bytes.fromhex(vector["signature"]))
    assert envelope.origin.hex() == vector["origin"]
    assert (envelope.kind, envelope.epoch, envelope.sequence) == (vector["kind"], vector["epoch"], vector["sequence"])
    assert (envelope.topic, envelope.payload.hex()) == (vector["topic"], vector["payload"])
    domain = signing_domain(vector["network_id"])
    assert domain.hex() == vector["domain"]
    check_network(envelope, domain)
    check_signature(envelope, domain, envelope.origin)


@pytest.mark.parametrize("vector", ENVELOPES, ids=name_of)
def test_the_signature_covers_the_domain_and_the_exact_body(vector: dict[str, Any]) -> None:
    domain, body, signature = (bytes.fromhex(vector[key]) for key in ("domain", "body", "signature"))
    assert domain.startswith(b"positron/1")
    assert verify(Identity(bytes.fromhex(vector["seed"])).public_key, domain + body, signature)
    assert msgpack.unpackb(body)[0] == 1


@pytest.mark.parametrize("vector", FRAMES, ids=name_of)
def test_a_frame_has_the_same_bytes_both_ways(vector: dict[str, Any]) -> None:
    kind, fields = MessageType[vector["kind"]], fields_of(vector["fields"])
    assert encode_frame(kind, fields).hex() == vector["frame"]
    frame = parse_frame(bytes.fromhex(vector["frame"]))
    assert (frame.kind, frame.fields) == (kind, fields)


def fields_of(value: Any) -> Any:
    """JSON has no bytes: {"hex": digits} stands for them."""
    if isinstance(value, dict):
        return bytes.fromhex(value["hex"])
    return [fields_of(part) for part in value] if isinstance(value, list) else value
