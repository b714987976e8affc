"""The stand-ins refuse what the true cryptography refuses, and leave with their block."""

from __future__ import annotations

import pytest

from node.crypto.aead import OVERHEAD_BYTES, PacketCipher
from node.crypto.noise import public_key
from node.errors import DecodeError
from node.identity.keys import Identity, verify
from node.sim.cheap import cheap_crypto
from node.sim.network import Network, NetworkSettings


def test_packet_is_as_long_and_opens_with_its_key_number_and_header_alone() -> None:
    true = PacketCipher(bytes(32)).seal(7, b"plain", b"header")
    with cheap_crypto():
        cipher = PacketCipher(bytes(32))
        sealed = cipher.seal(7, b"plain", b"header")
        assert len(sealed) == len(true) == 5 + OVERHEAD_BYTES
        assert cipher.open(7, sealed, b"header") == b"plain"
        wrong = (
            (cipher, 8, sealed, b"header"),
            (cipher, 7, sealed, b"Header"),
            (cipher, 7, b"?" + sealed[1:], b"header"),
            (cipher, 7, sealed[:-1] + b"?", b"header"),
            (cipher, 7, b"short", b"header"),
            (PacketCipher(bytes(31) + b"x"), 7, sealed, b"header"),
        )
        for other, number, data, header in wrong:
            with pytest.raises(DecodeError):
                other.open(number, data, header)


def test_signature_is_refused_for_another_key_or_other_data() -> None:
    with cheap_crypto():
        first, second = Identity(bytes(32)), Identity(bytes(31) + b"x")
        signature = first.sign(b"data")
        assert len(signature) == 64
        assert verify(first.public_key, b"data", signature)
        assert not verify(first.public_key, b"Data", signature)
        assert not verify(second.public_key, b"data", signature)


def test_the_true_cryptography_is_back_after_the_block() -> None:
    before = Identity(bytes(32)).public_key, public_key(bytes(32)), PacketCipher(bytes(32)).seal(1, b"", b"")
    with cheap_crypto():
        assert Identity(bytes(32)).public_key != before[0]
    assert before == (Identity(bytes(32)).public_key, public_key(bytes(32)), PacketCipher(bytes(32)).seal(1, b"", b""))


def test_whole_nodes_run_with_it() -> None:
    with cheap_crypto():
        network = Network(NetworkSettings(nodes=4))
        network.start_all()
        network.run(3)
        network.publish(0, size=30_000)
        network.publish(1)
        network.run(5)
        assert len(network.history.of("delivered")) == 6
