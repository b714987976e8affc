from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from node.cli.client import Client
from node.cli.errors import CommandFailed
from node.cli.main import main

TRACE = b'\x1e{"qlog_version":"0.3"}\n\x1e{"time":0}\n'
PATH = "/api/v1/peers/node-2/qlog"

Question = tuple[str, str, Any]


class Node:
    """Answers as a node would. was_recording: whether somebody else records that connection."""

    def __init__(self) -> None:
        self.questions: list[Question] = []
        self.slept: list[float] = []
        self.was_recording = False
        self.while_it_sleeps: Callable[[], None] = lambda: None


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> Node:
    made = Node()

    def post(_client: Client, path: str, body: bytes, *, seconds: float = 0.0) -> dict[str, Any]:
        made.questions.append(("POST", path, json.loads(body)["is_recording"]))
        return {"is_recording": True, "was_recording": made.was_recording}

    def fetch(_client: Client, path: str) -> bytes:
        made.questions.append(("GET", path, None))
        return TRACE

    def sleep(seconds: float) -> None:
        made.slept.append(seconds)
        made.while_it_sleeps()

    monkeypatch.setattr(Client, "post", post)
    monkeypatch.setattr(Client, "fetch", fetch)
    monkeypatch.setattr(time, "sleep", sleep)
    return made


def test_a_connection_is_recorded_for_a_while_and_fetched(node: Node, capsysbinary: Any) -> None:
    assert main(["qlog", "node-2"]) == 0
    assert capsysbinary.readouterr().out == TRACE
    assert node.questions == [("POST", PATH, True), ("POST", PATH, False), ("GET", PATH, None)]
    assert node.slept == [10.0]


def test_what_somebody_else_records_goes_on(node: Node, capsysbinary: Any) -> None:
    node.was_recording = True
    assert main(["qlog", "node-2", "--seconds", "2.5"]) == 0
    assert node.questions == [("POST", PATH, True), ("GET", PATH, None)]
    assert node.slept == [2.5]


def test_for_no_time_what_is_there_is_fetched(node: Node, capsysbinary: Any) -> None:
    assert main(["qlog", "node-2", "--seconds", "0"]) == 0
    assert (node.questions, node.slept) == ([("GET", PATH, None)], [])


def test_an_interrupt_ends_the_recording_and_not_the_command(node: Node, capsysbinary: Any) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    node.while_it_sleeps = interrupt
    assert main(["qlog", "node-2"]) == 0
    assert capsysbinary.readouterr().out == TRACE
    assert node.questions == [("POST", PATH, True), ("POST", PATH, False), ("GET", PATH, None)]


def test_a_file_is_written_and_named(node: Node, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "trace.sqlog"
    assert main(["qlog", "[::1]:9000", "--output", str(path)]) == 0
    assert path.read_bytes() == TRACE
    assert capsys.readouterr().out == f"2 records in {path}\n"
    assert node.questions[-1] == ("GET", "/api/v1/peers/%5B%3A%3A1%5D%3A9000/qlog", None)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["node-2", "--seconds", "-1"], "'-1': allowed is a number of seconds from 0 to 3600"),
        (["node-2", "--seconds", "soon"], "'soon': allowed is a number of seconds from 0 to 3600"),
        (["node-2", "--output", "/nowhere/x"], "--output '/nowhere/x': No such file or directory; allowed is a file"),
        (["node-2", "--output", "\0"], "allowed is a file that can be written"),
        ([], "PEER"),
    ],
)
def test_mistakes_are_one_line_before_anything_is_asked(
    words: list[str], complaint: str, node: Node, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        status = main(["qlog", *words])
    except SystemExit as ended:
        status = int(str(ended.code))
    lines = capsys.readouterr().err.splitlines()
    assert (status, len(lines), node.questions) == (2, 1, [])
    assert complaint in lines[0]


def test_a_node_that_refuses_is_quoted(
    node: Node, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object, **__: object) -> dict[str, Any]:
        raise CommandFailed("refused: no peer is called so")

    monkeypatch.setattr(Client, "post", refuse)
    assert main(["qlog", "node-2"]) == 1
    assert "no peer is called so" in capsys.readouterr().err
