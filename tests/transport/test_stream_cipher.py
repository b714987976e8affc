"""The records of a TCP link: in order, once, and under keys that are replaced."""

from __future__ import annotations

import pytest

from node.crypto.aead import Cipher
from node.crypto.suites import CIPHERS, Suite
from node.errors import DecodeError
from node.transport import stream_cipher
from node.transport.settings import TransportSettings
from node.transport.stream_cipher import RecordCipher
from tests.transport.streams import StreamNetwork, reliable

EVERY = pytest.mark.parametrize("suite", CIPHERS)
KEY = bytes(range(32))


@EVERY
def test_records_are_opened_in_the_order_in_which_they_were_sealed(suite: Suite) -> None:
    writer, reader = RecordCipher(suite, KEY), RecordCipher(suite, KEY)
    sealed = [writer.seal(bytes([number]), b"header") for number in range(3)]
    with pytest.raises(DecodeError, match="decrypt_failed"):
        reader.open(sealed[1], b"header")
    assert [reader.open(record, b"header") for record in sealed] == [b"\0", b"\1", b"\2"]
    with pytest.raises(DecodeError, match="decrypt_failed"):
        reader.open(sealed[2], b"header")


@EVERY
def test_keys_are_replaced_at_the_same_record_at_both_ends(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_cipher, "KEY_UPDATE_PACKETS", 4)
    writer, reader = RecordCipher(suite, KEY), RecordCipher(suite, KEY)
    ciphers: list[Cipher] = []
    for number in range(20):
        assert reader.open(writer.seal(bytes([number]), b""), b"") == bytes([number])
        if writer._cipher not in ciphers:
            ciphers.append(writer._cipher)
    assert len(ciphers) == 6
    assert len({cipher.seal(0, b"", b"") for cipher in ciphers}) == 6


@pytest.mark.parametrize("theirs", [(Suite.CHACHA20_POLY1305,), tuple(CIPHERS)])
def test_a_connection_uses_the_best_suite_of_both_ends(
    theirs: tuple[Suite, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_cipher, "KEY_UPDATE_PACKETS", 4)
    network = StreamNetwork()
    alice, bob = network.add("alice"), network.add("bob", settings=TransportSettings(suites=theirs))
    handle = alice.endpoint.connect(bob.address, network.now)
    for number in range(20):
        alice.endpoint.send(handle, reliable(bytes([number])), network.now)
        network.run()
    assert bob.received() == [bytes([number]) for number in range(20)]
    for end in (alice, bob):
        (connection,) = end.endpoint._streams.values()
        assert connection._send_cipher is not None
        assert connection._send_cipher._suite is max(theirs)
