"""Reads the words of a command line, and says in one line what is wrong with them, with what was probably meant."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import NoReturn

from node.testnet.errors import TestnetMisused
from node.testnet.scenario.wording import nearest

__all__ = ["Parser"]


class Parser(argparse.ArgumentParser):
    """A parser that raises TestnetMisused instead of showing how it is used."""

    def error(self, message: str) -> NoReturn:
        command = self.prog.partition(" ")[2]
        raise TestnetMisused(f"{command}: {_in_words(message)}" if command else _in_words(message))

    def words(self, words: Sequence[str]) -> argparse.Namespace:
        """What these words ask for."""
        arguments, unknown = self.parse_known_args(words)
        if unknown:
            chosen = self._chosen(words)
            flag = unknown[0].partition("=")[0]
            guess = nearest(flag, [*chosen._option_string_actions]) if flag.startswith("-") else ""
            chosen.error(f"unknown: {unknown[0]}; {guess}see `{chosen.prog} --help`")
        return arguments

    def _chosen(self, words: Sequence[str]) -> Parser:
        """The parser of the command that the words name."""
        found: argparse.ArgumentParser = self
        for word in words:
            for action in found._actions:
                if isinstance(action, argparse._SubParsersAction) and word in action.choices:
                    found = action.choices[word]
                    break
        assert isinstance(found, Parser)
        return found


def _in_words(message: str) -> str:
    """What argparse has to say, as all other commands would say it."""
    choice = re.fullmatch(r"argument (.*): invalid choice: '(.*)' \(choose from (.*)\)", message, re.DOTALL)
    if choice is not None:
        known = [word.strip("'") for word in choice[3].split(", ")]
        return f"{choice[1]}: {choice[2]!r}: {nearest(choice[2], known)}allowed is one of {', '.join(known)}"
    message = message.replace("the following arguments are required: ", "missing: ").removeprefix("argument ")
    return message.replace("expected one argument", "needs a value, and none begins with -")
