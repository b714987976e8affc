"""YAML with the lines on which its values stand."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.testnet.scenario.source import SourceError, parse, read

TEXT = """\
title: one
timeline:
  - at: 1s
    loss:
      share: 5%
  - at: 2s
"""


def test_every_value_knows_its_line() -> None:
    source = parse(TEXT, "a.yaml")
    assert source.values["timeline"][0]["loss"]["share"] == "5%"
    mistake = source.mistake(("timeline", 0, "loss", "share"), "wrong")
    assert str(mistake) == "a.yaml:5: timeline[0].loss.share: wrong"


def test_a_place_that_is_not_there_is_shown_at_its_parent() -> None:
    assert parse(TEXT, "a.yaml").mistake(("timeline", 1, "loss"), "missing").line == 6


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("", 1, "empty"),
        ("a: [1, 2", 1, "expected"),
        ("a: 1\nb: 2\na: 3\n", 3, "given twice"),
        ("a: !!python/object:os.system {}\n", 1, "allowed are plain values"),
        ("[" * 2000, 1, ""),
        (
            "a: &a [1,1,1,1,1,1,1,1,1]\n"
            + "".join(f"{b}: &{b} [{','.join(['*' + a] * 9)}]\n" for a, b in zip("abcdef", "bcdefg", strict=True)),
            1,
            "up to 20000 values",
        ),
        ("a: &a [*a]\n", 1, ""),
    ],
)
def test_what_cannot_be_read_is_one_line(text: str, line: int, said: str) -> None:
    with pytest.raises(SourceError) as caught:
        parse(text, "a.yaml")
    assert caught.value.mistakes[0].line == line
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_are_missing_too_large_or_not_text_are_named(tmp_path: Path) -> None:
    large, binary = tmp_path / "large.yaml", tmp_path / "binary.yaml"
    large.write_text("a: " + "x" * 300_000)
    binary.write_bytes(b"\xff\xfe\x00")
    for path, said in ((tmp_path / "none.yaml", "No such file"), (large, "262144"), (binary, "not UTF-8")):
        with pytest.raises(SourceError, match=said) as caught:
            read(path)
        assert str(path) in str(caught.value)
