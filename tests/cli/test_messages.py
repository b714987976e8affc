from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from node.cli.client import Client
from node.cli.main import main


def message(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "number": number,
        "at": 1_800_000_000.25,
        "message_id": f"{number:032x}",
        "origin": "ab" * 32,
        "hops": 2,
        "is_broadcast": True,
        "data": {"n": number},
    } | changes


def page(*messages: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"messages": list(messages), "cursor": f"a-{len(messages)}", "missed": 0, "is_reset": False} | changes


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, list[str]]]:
    """What was asked; answered with one page after the other, then interrupted."""
    questions: list[dict[str, list[str]]] = []
    pages = [page(message(1), message(2)), page(), page(message(9), missed=6), page(message(1), is_reset=True)]

    def get(client: Client, path: str, *, seconds: float = 0.0) -> dict[str, Any]:
        questions.append(parse_qs(urlsplit(path).query))
        if len(questions) > len(pages):
            raise KeyboardInterrupt
        return pages[len(questions) - 1]

    monkeypatch.setattr(Client, "get", get)
    return questions


def test_the_newest_messages_are_one_line_each(
    asked: list[dict[str, list[str]]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["messages", "--last", "2"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.endswith('  abababab  2 hops   {"n": 1}')
    assert '{"n": 2}' in second
    assert asked == [{"tail": ["2"]}]


def test_following_goes_on_from_the_cursor_and_tells_what_was_missed(
    asked: list[dict[str, list[str]]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["messages", "--follow", "--json"]) == 0
    captured = capsys.readouterr()
    assert [json.loads(line)["number"] for line in captured.out.splitlines()] == [1, 2, 9, 1]
    assert captured.err == "6 messages came too fast and are gone\nthe node has begun anew\n"
    assert asked[1] == {"after": ["a-2"], "wait": ["30.0"], "limit": ["1000"]}


def test_json_is_the_page_as_it_came(asked: list[dict[str, list[str]]], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["messages", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == page(message(1), message(2))
