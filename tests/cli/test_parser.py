from __future__ import annotations

import re
import shlex

import pytest

from node.cli.main import _COMMANDS
from node.cli.parser import parser


def help_of(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as end:
        parser().parse_args([command, "--help"])
    assert end.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("command", ["run", *_COMMANDS])
def test_every_command_has_a_help_with_examples_that_are_possible(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    examples = re.findall(r"^  positron (.*)$", help_of(command, capsys), re.MULTILINE)

    assert examples
    for example in examples:
        words = shlex.split(example.partition(" <")[0])
        assert words[0] == command
        assert parser().parse_args(words).command == command


@pytest.mark.parametrize(
    "words",
    [
        ["messages", "--last", "1001"], ["messages", "--last", "-1"], ["messages", "--last", "x"],
        ["top", "--interval", "0"], ["top", "--interval", "nan"], ["send", "x"], ["send"], ["doctor", "--timeout", "0"],
        ["send", "x", "1", "--timeout", "61"], ["send", "x", "1", "--timeout", "inf"],
    ],
)  # fmt: skip
def test_impossible_numbers_and_missing_words_end_with_status_2(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        parser().parse_args(words)
    assert end.value.code == 2
