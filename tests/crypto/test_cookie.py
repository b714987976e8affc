"""The hashes around the handshake: sizes, separation, and answers that must not change between versions."""

from __future__ import annotations

from hashlib import blake2s

from hypothesis import given
from hypothesis import strategies as st

from node.crypto import cookie

KEYS = st.binary(min_size=1, max_size=32)


def test_the_primitive_is_blake2s_of_rfc_7693_appendix_b() -> None:
    assert blake2s(b"abc").hexdigest() == "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982"


def test_the_wire_values_are_those_of_version_1() -> None:
    # Frozen: another value here is another protocol.
    assert cookie.network_tag("positron").hex() == "aeb6385d7c78ccca"
    assert cookie.init_key("positron").hex() == "8cdbc5c2f7a97e5e31873803528f345cf1173ebc76d8173c52b20b8afc60bdc9"
    assert cookie.mac(bytes(range(32)), b"data").hex() == "f5da5303861018d262232e4e07cb92a7"


@given(key=KEYS, data=st.binary())
def test_a_mac_has_16_bytes_and_is_the_same_again(key: bytes, data: bytes) -> None:
    assert len(cookie.mac(key, data)) == cookie.MAC_BYTES
    assert cookie.equal(cookie.mac(key, data), cookie.mac(key, data))


@given(key=KEYS, data=st.binary(min_size=1), bit=st.integers(0))
def test_a_mac_changes_with_every_bit_of_the_data(key: bytes, data: bytes, bit: int) -> None:
    bit %= 8 * len(data)
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    assert not cookie.equal(cookie.mac(key, data), cookie.mac(key, bytes(changed)))


def test_a_mac_changes_with_the_key() -> None:
    assert cookie.mac(b"one", b"data") != cookie.mac(b"two", b"data")


@given(network_id=st.text(), other=st.text())
def test_tags_and_keys_differ_between_networks(network_id: str, other: str) -> None:
    assert (cookie.network_tag(network_id) == cookie.network_tag(other)) == (network_id == other)
    assert (cookie.init_key(network_id) == cookie.init_key(other)) == (network_id == other)


def test_tag_and_key_of_one_network_have_nothing_in_common() -> None:
    tag, key = cookie.network_tag("positron"), cookie.init_key("positron")
    assert (len(tag), len(key)) == (cookie.NETWORK_TAG_BYTES, cookie.KEY_BYTES)
    assert not key.startswith(tag)


def test_values_of_different_length_are_not_equal() -> None:
    assert not cookie.equal(b"1234", b"12345")


# --- the jar


def test_a_jar_takes_its_own_cookies_for_their_purpose_and_their_time() -> None:
    jar = cookie.CookieJar(bytes(32), lifetime=100)
    baked = jar.bake(b"purpose", now=250)
    assert len(baked) == cookie.COOKIE_BYTES
    assert [jar.is_good(baked, b"purpose", now) for now in (199, 200, 299, 300, 399, 400)] == [
        False, True, True, True, True, False,
    ]  # fmt: skip
    assert not jar.is_good(baked, b"another", 250)
    assert not jar.is_good(b"", b"purpose", 250)
    assert not cookie.CookieJar(b"1" * 32, lifetime=100).is_good(baked, b"purpose", 250)


def test_the_clock_of_a_jar_may_stand_anywhere() -> None:
    jar = cookie.CookieJar(bytes(32), lifetime=100)
    assert jar.is_good(jar.bake(b"purpose", now=-250), b"purpose", now=-250)
