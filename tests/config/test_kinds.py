from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.config.kinds import (
    Addresses,
    Choice,
    FilePath,
    Host,
    Hosts,
    Integer,
    Number,
    Secret,
    Switch,
    Text,
    Unacceptable,
    format_address,
    parse_address,
)
from node.config.network import NetworkConfig

ALL_KINDS = (
    FilePath("for none"),
    Integer(0, 10),
    Number(0.1, 1.0, "seconds"),
    Switch(),
    Text("[a-z]+", "letters"),
    Choice(("a", "b")),
    Host(),
    Hosts(2),
    Secret("[a-z]*", "letters"),
    Addresses(2),
)


@given(text=st.text(max_size=40))
def test_any_text_gives_a_value_or_unacceptable(text: str) -> None:
    for kind in ALL_KINDS:
        try:
            value = kind.from_text(text)
        except Unacceptable:
            continue
        assert kind.check(value) == value


@pytest.mark.parametrize("value", [None, 1.5, "x", b"x", [], {}, object(), float("nan"), 10**30, [1], [("a", "b")]])
def test_any_native_value_gives_a_value_or_unacceptable(value: object) -> None:
    for kind in ALL_KINDS:
        try:
            kind.check(value)
        except Unacceptable:
            continue


def test_a_switch_is_not_a_number_and_a_number_is_not_a_switch() -> None:
    with pytest.raises(Unacceptable):
        Integer(0, 10).check(True)
    with pytest.raises(Unacceptable):
        Number(0, 10, "seconds").check(True)
    with pytest.raises(Unacceptable):
        Switch().check(1)


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1e400", ""])
def test_numbers_are_finite(text: str) -> None:
    with pytest.raises(Unacceptable):
        Number(0, 1e300, "seconds").from_text(text)


@pytest.mark.parametrize(
    "text",
    ["nonsense", "host:", ":9000", "host:0", "host:65536", "host:9000x", "::1:9000", "[::1]", "256.1.1.1:9", "a b:9"],
)
def test_impossible_addresses_are_refused(text: str) -> None:
    with pytest.raises(Unacceptable):
        parse_address(text)


@pytest.mark.parametrize("text", ["127.0.0.1:9000", "[::1]:9000", "seed:8888", "seed.example.org:1", "node_3:65535"])
def test_an_address_keeps_its_text_form(text: str) -> None:
    assert format_address(parse_address(text)) == text


def test_addresses_given_twice_are_kept_once_in_order() -> None:
    assert Addresses(3).from_text("b:2, a:1,b:2") == ("b:2", "a:1")


def test_addresses_are_accepted_as_pairs() -> None:
    assert Addresses(3).check([("::1", 9000), ("a", 1)]) == ("[::1]:9000", "a:1")


def test_more_addresses_than_the_limit_are_refused() -> None:
    with pytest.raises(Unacceptable):
        Addresses(1).from_text("a:1,b:2")


def test_a_tilde_in_front_of_a_path_is_the_home_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/alice")
    kind = FilePath("for none")
    assert [kind.from_text(text) for text in ("~", "~/state", "./~", "/a/~b", "")] == [
        "/home/alice",
        "/home/alice/state",
        "./~",
        "/a/~b",
        "",
    ]
    assert NetworkConfig(data_dir="~/state").data_dir == "/home/alice/state"


@pytest.mark.parametrize("value", ["~nobody-is-called-that/x", "a\0b", "x" * 5000, 7, None])
def test_what_is_no_path_is_refused(value: object) -> None:
    with pytest.raises(Unacceptable):
        FilePath("for none").check(value)
