from __future__ import annotations

import argparse

import pytest

from node.cli.flags import HelpFormatter, add_config_flags, config_flags, unknown_flags
from node.config import FIELDS, load
from node.errors import ConfigError


def given(*words: str) -> dict[str, str]:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    add_config_flags(parser)
    return config_flags(parser.parse_args(words))


def test_every_field_has_a_flag() -> None:
    for field in FIELDS.values():
        assert given(field.flag, "true") == {field.name: "true"}


def test_what_was_not_given_is_not_there() -> None:
    assert given() == {}


def test_bootstrap_nodes_add_up_under_both_names() -> None:
    assert given("--bootstrap", "a:1", "--bootstrap-nodes", "b:2,c:3") == {"bootstrap_nodes": "a:1,b:2,c:3"}


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (["--enable-tcp"], "true"),
        (["--enable-tcp", "false"], "false"),
        (["--no-enable-tcp"], "false"),
        (["--enable-tcp=maybe"], "maybe"),
    ],
)
def test_a_switch_has_a_short_and_a_long_form(words: list[str], value: str) -> None:
    assert given(*words) == {"enable_tcp": value}


def test_seed_is_short_for_is_seed() -> None:
    assert given("--seed") == {"is_seed": "true"}


def test_impossible_values_pass_as_text_so_that_they_are_reported_with_the_others() -> None:
    assert given("--port", "many", "--mtu", "-1") == {"port": "many", "mtu": "-1"}


def test_an_unknown_flag_takes_its_value_with_it() -> None:
    assert unknown_flags(["--prot", "9000", "stray", "--tpc=1", "other"]) == ["--prot", "stray", "--tpc", "other"]


@pytest.mark.parametrize(
    "words", [["--port"], ["--bootstrap"], ["--bootstrap", "a:1", "--bootstrap"], ["--name", "--port"]]
)
def test_a_flag_without_its_value_is_reported_with_the_other_mistakes(words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        load(flags=given(*words, "--mtu", "1"), environment={})
    flags = {word for word in words if word.startswith("--")}
    missing = [problem for problem in caught.value.problems if "needs a value" in problem]
    assert len(missing) == len(flags)
    assert any("mtu" in problem for problem in caught.value.problems)


def test_the_help_shows_that_a_flag_needs_its_value() -> None:
    parser = argparse.ArgumentParser(formatter_class=HelpFormatter)
    add_config_flags(parser, ["port", "bootstrap_nodes", "enable_tcp"])
    text = parser.format_help()
    assert "--port VALUE" in text
    assert "--bootstrap-nodes HOST:PORT" in text
    assert "--enable-tcp [true|false]" in text
