"""Flags of the command line, made from the table of configuration fields, and their way back into text per field.

Knows nothing of what the values mean: they stay text, so that every mistake is found in one place and reported with
the others.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence

from node.config import FIELDS, NO_VALUE, Field
from node.config.kinds import Addresses, Switch

__all__ = ["HelpFormatter", "add_config_flags", "config_flags", "unknown_flags"]

_ALIASES = {"bootstrap_nodes": "--bootstrap", "is_seed": "--seed"}
_DESTINATION = "config_{}"


def add_config_flags(parser: argparse.ArgumentParser, names: Iterable[str] = tuple(FIELDS)) -> None:
    """Adds `--config` and one flag per field of `names`."""
    parser.add_argument("--config", metavar="FILE", help="TOML file with any of the settings below, by field name")
    group = parser.add_argument_group("settings (each also as POSITRON_NAME in the environment)")
    for name in names:
        _add(group, FIELDS[name])


def config_flags(arguments: argparse.Namespace) -> dict[str, str]:
    """The text of each configuration flag that was given, by field name."""
    given: dict[str, str] = {}
    for name in FIELDS:
        value: object = getattr(arguments, _DESTINATION.format(name), None)
        if isinstance(value, list) and NO_VALUE in value:
            given[name] = NO_VALUE
        elif isinstance(value, list):
            given[name] = ",".join(value)
        elif value is not None:
            given[name] = str(value)
    return given


def unknown_flags(rest: Sequence[str]) -> list[str]:
    """The flags and words that the parser could not place, without the values that belong to unknown flags."""
    unknown: list[str] = []
    is_value_possible = False
    for word in rest:
        is_flag = word.startswith("-") and word != "-"
        if is_flag or not is_value_possible:
            unknown.append(word.partition("=")[0] if is_flag else word)
        is_value_possible = is_flag and "=" not in word
    return unknown


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Shows the value of a flag as needed where only its absence is reported later, with the other mistakes."""

    def _format_args(self, action: argparse.Action, default_metavar: str) -> str:
        text = super()._format_args(action, default_metavar)
        return text.strip("[]") if action.const == NO_VALUE else text


def _add(group: argparse._ArgumentGroup, field: Field) -> None:
    flags = [field.flag, *([_ALIASES[field.name]] if field.name in _ALIASES else [])]
    destination = _DESTINATION.format(field.name)
    text = field.help + (f"; default: {field.derived}" if field.derived else "")
    match field.kind:
        case Switch():
            group.add_argument(*flags, dest=destination, nargs="?", const="true", metavar="true|false", help=text)
            group.add_argument(
                f"--no-{field.flag[2:]}", dest=destination, action="store_const", const="false", help=argparse.SUPPRESS
            )
        case Addresses():
            group.add_argument(
                *flags,
                dest=destination,
                action="append",
                nargs="?",
                const=NO_VALUE,
                metavar="HOST:PORT",
                help=text + "; repeatable",
            )
        case _:
            group.add_argument(*flags, dest=destination, nargs="?", const=NO_VALUE, metavar="VALUE", help=text)
