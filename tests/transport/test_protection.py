"""The keys of a connection: numbers, the envelope, and what is refused."""

from __future__ import annotations

import pytest

from node.crypto.suites import CIPHERS, Suite, agreed_suite, suites_mask
from node.errors import DecodeError, UsageError
from node.impairment.link import LinkSettings, Order
from node.transport import protection
from node.transport.handshake import Agreement
from node.transport.protection import Protection, agreed_keys
from node.transport.settings import TransportSettings
from node.types import MILLISECOND, NodeId
from node.wire.header import PacketType, parse_header
from node.wire.limits import HEADER_BYTES, KEY_UPDATE_INTERVAL, KEY_UPDATE_PACKETS, PACKET_NUMBER_MAX, TAG_BYTES
from tests.pair import Pair, make_protection

ONE, OTHER = bytes([1]) * 32, bytes([2]) * 32


def make_both() -> tuple[Protection, Protection]:
    return make_protection(ONE, OTHER, 7), make_protection(OTHER, ONE, 8)


def test_what_one_end_seals_the_other_opens() -> None:
    client, server = make_both()
    packet = client.seal(b"frames")
    header = parse_header(packet)
    assert header.packet_type is PacketType.DATA
    assert header.destination == 7
    assert server.open(header.packet_number, packet, 0) == b"frames"
    assert len(packet) == HEADER_BYTES + len(b"frames") + TAG_BYTES


@pytest.mark.must("M3")
def test_every_packet_has_another_number() -> None:
    client, _ = make_both()
    assert [parse_header(client.seal(b"")).packet_number for _ in range(3)] == [0, 1, 2]


@pytest.mark.parametrize("index", [0, 5, HEADER_BYTES, -1])
@pytest.mark.must("M7")
def test_a_packet_changed_anywhere_is_refused_and_counted(index: int) -> None:
    client, server = make_both()
    packet = bytearray(client.seal(b"frames"))
    packet[index] ^= 1
    with pytest.raises(DecodeError) as caught:
        server.open(0, bytes(packet), 0)
    assert caught.value.reason == "decrypt_failed"
    assert server.aead_failures == 1


def test_own_packets_are_not_opened() -> None:
    client, _ = make_both()
    with pytest.raises(DecodeError):
        client.open(0, client.seal(b"frames"), 0)


def test_keys_are_exhausted_with_their_numbers() -> None:
    client, _ = make_both()
    client.next_number = PACKET_NUMBER_MAX - 1
    assert not client.is_exhausted
    client.seal(b"")
    assert client.is_exhausted


# --- key updates


class Ends:
    """Both ends of a connection without one: what one seals is carried by hand."""

    def __init__(self, suite: Suite = Suite.CHACHA20_POLY1305) -> None:
        self.client = make_protection(ONE, OTHER, 7, suite=suite)
        self.server = make_protection(OTHER, ONE, 8, suite=suite)

    def to_server(self, packet: bytes, now: int = 0) -> bytes:
        return self.server.open(parse_header(packet).packet_number, packet, now)

    def to_client(self, packet: bytes, now: int = 0) -> bytes:
        return self.client.open(parse_header(packet).packet_number, packet, now)


def phase_of(packet: bytes) -> int:
    return parse_header(packet).key_phase


@pytest.mark.parametrize("suite", CIPHERS)
def test_an_update_changes_both_directions_without_a_word(suite: Suite) -> None:
    ends = Ends(suite)
    assert ends.to_server(ends.client.seal(b"before")) == b"before"
    ends.client.update_if_due(0, KEY_UPDATE_INTERVAL)
    packet = ends.client.seal(b"after")
    assert phase_of(packet) == 1
    assert ends.to_server(packet) == b"after"
    answer = ends.server.seal(b"answer")
    assert phase_of(answer) == 1
    assert ends.to_client(answer) == b"answer"
    assert ends.to_server(ends.client.seal(b"on")) == b"on"


@pytest.mark.must("M25")
def test_updates_are_due_by_count_and_by_time() -> None:
    ends = Ends()
    ends.client.update_if_due(0, KEY_UPDATE_INTERVAL - 1)
    assert phase_of(ends.client.seal(b"")) == 0
    ends.client.update_if_due(0, KEY_UPDATE_INTERVAL)
    assert phase_of(ends.client.seal(b"")) == 1

    ends = Ends()
    ends.client.next_number = KEY_UPDATE_PACKETS - 1
    ends.client.update_if_due(0, 0)
    assert phase_of(ends.client.seal(b"")) == 0
    ends.client.update_if_due(0, 0)
    assert phase_of(ends.client.seal(b"")) == 1


@pytest.mark.must("M26")
def test_no_update_before_the_peer_has_acknowledged_the_key_in_use() -> None:
    ends = Ends()
    ends.client.seal(b"")
    ends.client.update_if_due(-1, KEY_UPDATE_INTERVAL)
    assert phase_of(ends.client.seal(b"")) == 0, "nothing was acknowledged"
    ends.client.update_if_due(0, KEY_UPDATE_INTERVAL)
    assert phase_of(ends.client.seal(b"")) == 1
    ends.client.update_if_due(1, 2 * KEY_UPDATE_INTERVAL)
    assert phase_of(ends.client.seal(b"")) == 1, "nothing of this phase was acknowledged"


def test_both_ends_may_begin_at_once() -> None:
    ends = Ends()
    ends.to_server(ends.client.seal(b"")), ends.to_client(ends.server.seal(b""))
    for end in (ends.client, ends.server):
        end.update_if_due(0, KEY_UPDATE_INTERVAL)
    crossing = ends.client.seal(b"c"), ends.server.seal(b"s")
    assert (ends.to_server(crossing[0]), ends.to_client(crossing[1])) == (b"c", b"s")
    assert phase_of(ends.client.seal(b"")) == phase_of(ends.server.seal(b"")) == 1
    assert ends.client._stats.key_updates == ends.server._stats.key_updates == 1


def test_an_overtaken_packet_is_opened_with_the_old_key_for_a_while() -> None:
    ends = Ends()
    early, late = ends.client.seal(b"early"), ends.client.seal(b"late")
    ends.client.update_if_due(0, KEY_UPDATE_INTERVAL)
    ends.to_server(ends.client.seal(b"new"), now=0)
    life = 3 * ends.server._rtt.computed_rto()
    assert ends.to_server(early, now=life - 1) == b"early"
    with pytest.raises(DecodeError, match="decrypt_failed"):
        ends.to_server(late, now=life)


def test_a_key_that_is_gone_is_forgotten() -> None:
    ends = Ends()
    ends.client.update_if_due(0, KEY_UPDATE_INTERVAL)
    ends.to_server(ends.client.seal(b"new"))
    assert ends.server._old_receive_cipher is not None
    ends.server.update_if_due(-1, KEY_UPDATE_INTERVAL // 2)
    assert ends.server._old_receive_cipher is None


@pytest.mark.must("M28")
def test_a_forged_phase_changes_nothing() -> None:
    ends = Ends()
    packet = bytearray(ends.client.seal(b"frames"))
    packet[3] ^= 1
    for _ in range(3):
        with pytest.raises(DecodeError, match="decrypt_failed"):
            ends.to_server(bytes(packet))
    packet[3] ^= 1
    assert ends.to_server(bytes(packet)) == b"frames"
    assert ends.server._stats.key_updates == 0


def test_keys_of_all_phases_differ_and_are_those_of_the_noise_specification() -> None:
    ends = Ends()
    seen = {ends.client._send_cipher.seal(0, b"", b"")}
    for number in range(4):
        expected = ends.client._send_cipher.seal(2**64 - 1, bytes(32), b"")[:32]
        ends.client.update_if_due(number, (number + 1) * KEY_UPDATE_INTERVAL)
        ends.to_server(ends.client.seal(b"")), ends.to_client(ends.server.seal(b""))
        assert ends.client._send_cipher._key == expected  # type: ignore[attr-defined]
        seen.add(ends.client._send_cipher.seal(0, b"", b""))
    assert len(seen) == 5


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.must("M27")
def test_keys_change_under_loss_and_reordering_without_losing_a_message(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protection, "KEY_UPDATE_PACKETS", 20)
    link = LinkSettings(
        delay=20 * MILLISECOND, jitter=15 * MILLISECOND, order=Order.NATURAL, loss=0.1, duplicate=0.1, corrupt=0.02
    )
    pair = Pair(seed=seed, link=link)
    pair.connect()
    sent = [bytes([number]) * 1_000 for number in range(200)]
    for message in sent:
        pair.client.send(message)
        pair.server.send(message)
        pair.run(0.01)
    assert pair.run_until(lambda: len(pair.client.acknowledged()) == len(pair.server.acknowledged()) == 200, 60)
    pair.assert_delivered(sent)
    assert sorted(pair.client.received()) == sorted(sent)
    for side in pair.sides:
        assert side.snapshot.stats.key_updates > 5
        assert side.closed() is None


# --- suites


def make_agreement(transcript: bytes) -> Agreement:
    return Agreement(
        peer_id=NodeId(ONE),
        peer_static=ONE,
        peer_parameters=b"",
        send_key=ONE,
        receive_key=OTHER,
        transcript=transcript,
    )


def test_the_best_suite_that_both_ends_have_is_used() -> None:
    chacha, both = (Suite.CHACHA20_POLY1305,), tuple(CIPHERS)
    for client, server, expected in ((both, both, max(both)), (both, chacha, chacha[0]), (chacha, both, chacha[0])):
        pair = Pair(client_settings=TransportSettings(suites=client), server_settings=TransportSettings(suites=server))
        pair.connect()
        pair.client.send(b"hello")
        pair.run(1)
        assert pair.server.received() == [b"hello"]
        assert {side.connection._protection.suite for side in pair.sides if side.connection._protection} == {expected}


@pytest.mark.must("M24")
def test_an_offer_that_was_tampered_with_ends_in_keys_that_do_not_fit() -> None:
    # It cannot happen: the offers are sealed. If it did, the two ends would find out with the first packet.
    agreement = make_agreement(transcript=bytes(32))
    honest = agreed_keys(agreement, CIPHERS, suites_mask(CIPHERS))
    tampered = agreed_keys(agreement, CIPHERS, 1 << Suite.CHACHA20_POLY1305)
    assert tampered.suite is Suite.CHACHA20_POLY1305
    if len(CIPHERS) > 1:
        assert honest.suite is Suite.AES_256_GCM
        assert honest.send not in (tampered.send, tampered.receive)
    assert "0101" not in repr(honest) + repr(tampered)


@pytest.mark.must("M24")
def test_the_keys_of_another_suite_are_bound_to_the_whole_handshake() -> None:
    transcripts = [bytes([number]) * 32 for number in range(2)]
    keys = [agreed_keys(make_agreement(text), CIPHERS, suites_mask(CIPHERS)) for text in transcripts]
    assert keys[0].suite is Suite.CHACHA20_POLY1305 or keys[0].send != keys[1].send


def test_offers_without_anything_in_common_end_in_what_everybody_has() -> None:
    for theirs in (0, 1, 1 << 40, 1 << Suite.CHACHA20_POLY1305):
        assert agreed_suite(suites_mask(CIPHERS), theirs) is Suite.CHACHA20_POLY1305


def test_a_suite_that_this_machine_lacks_cannot_be_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(CIPHERS, Suite.AES_256_GCM, raising=False)
    with pytest.raises(UsageError, match="suites"):
        TransportSettings(suites=(Suite.AES_256_GCM,))
