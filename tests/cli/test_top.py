from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from node.cli.client import Client
from node.cli.errors import CommandFailed
from node.cli.main import main
from tests.cli.test_board import stats


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Readings of two nodes, the second of which does not answer, without waiting; interrupted after three pauses."""
    pauses: list[float] = []

    def get(client: Client, path: str, *, seconds: float = 0.0) -> dict[str, Any]:
        if "gone" in client.url:
            raise CommandFailed(f"no node answers at {client.url}")
        return stats(10 + len(pauses), sent=100 * len(pauses))

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(Client, "get", get)
    monkeypatch.setattr("node.cli.top.time.sleep", pause)
    return pauses


def test_once_is_one_picture_with_rates(pauses: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["top", "--once", "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["url"] == "http://127.0.0.1:9464"
    assert json.loads(line)["links"][0]["messages_per_second"] > 0
    assert pauses == [1.0]


def test_without_a_terminal_there_are_lines_and_no_control_sequences(
    pauses: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["top", "--interval", "0.5"]) == 0
    text = capsys.readouterr().out
    assert text.count("node-1  cdcdcdcd  running") == 2
    assert "\x1b" not in text
    assert pauses == [0.5, 0.5, 0.5]


def test_a_terminal_gets_its_screen_back(
    pauses: list[float], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    assert main(["top"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("\x1b[?1049h\x1b[?25l")
    assert text.endswith("\x1b[?25h\x1b[?1049l")
    assert text.count("\x1b[H") == 2


@pytest.mark.parametrize(("columns", "lines"), [(20, 5), (1, 1), (300, 100)])
def test_a_picture_keeps_to_the_screen(
    columns: int,
    lines: int,
    pauses: list[float],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    for name, value in (("TERM", "xterm"), ("COLUMNS", str(columns)), ("LINES", str(lines))):
        monkeypatch.setenv(name, value)
    assert main(["top", "--url", "http://gone:1", "--url", "http://here:1"]) == 0
    picture = capsys.readouterr().out.split("\x1b[H")[1]
    assert picture.count("\r\n") == lines - 1
    for line in picture.split("\r\n"):
        assert line.startswith("\x1b[K")
        assert len(line) <= len("\x1b[K") + columns


def test_a_node_that_does_not_answer_is_named_beside_one_that_does(
    pauses: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["top", "--once", "--url", "http://here:1", "--url", "http://gone:1"]) == 1
    text = capsys.readouterr().out
    assert "node-1" in text
    assert "no node answers at http://gone:1" in text


def test_nobody_who_answers_is_a_failure_in_one_line(pauses: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["top", "--url", "http://gone:1"]) == 1
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "positron: no node answers at http://gone:1\n")
