from __future__ import annotations

import io
import json
from typing import Any

import pytest

from node.api.limits import BODY_BYTES_MAX
from node.cli.client import Client
from node.cli.main import main
from node.node.report import node_report
from tests.metrics.samples import WALL_OFFSET, link, node_snapshot, peer

STATS = node_report(node_snapshot(link(2), peers=(peer(2),)), wall_offset=WALL_OFFSET, socket=None)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, Any]]:
    """Questions as (url, path, body); each is answered as a node would."""
    questions: list[tuple[str, str, Any]] = []

    def get(client: Client, path: str, *, seconds: float = 0.0) -> dict[str, Any]:
        questions.append((client.url, path, None))
        return STATS if path.endswith("stats") else {"peers": []}

    def post(client: Client, path: str, body: bytes, *, seconds: float = 0.0) -> dict[str, Any]:
        questions.append((client.url, path, body))
        return {"message_id": "ab" * 16}

    monkeypatch.setattr(Client, "get", get)
    monkeypatch.setattr(Client, "post", post)
    return questions


@pytest.mark.parametrize(
    ("words", "environment", "url"),
    [
        ([], {}, "http://127.0.0.1:9464"),
        (["--port", "9000"], {}, "http://127.0.0.1:9576"),
        (["--metrics-port", "7000"], {}, "http://127.0.0.1:7000"),
        ([], {"POSITRON_METRICS_HOST": "0.0.0.0", "POSITRON_METRICS_PORT": "7001"}, "http://127.0.0.1:7001"),
        ([], {"POSITRON_URL": "http://node-3:9464/"}, "http://node-3:9464"),
        (["--port", "9000"], {"POSITRON_URL": "http://node-3:9464"}, "http://127.0.0.1:9576"),
        (["--url", "http://[::1]:80"], {"POSITRON_URL": "http://node-3:9464"}, "http://[::1]:80"),
    ],
)
def test_the_node_is_found_by_url_else_where_the_same_settings_would_put_it(
    words: list[str],
    environment: dict[str, str],
    url: str,
    asked: list[tuple[str, str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert main(["stats", *words]) == 0

    assert asked == [(url, "/api/v1/stats", None)]


@pytest.mark.parametrize("target", ["", ":", "127.0.0.1:0", "127.0.0.1:99999", "::1", "a:b:c"])
def test_a_target_that_can_be_nobody_is_a_misuse_and_nobody_is_asked(
    target: str, asked: list[tuple[str, str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["send", target, "1"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("positron: send: target '")
    assert "HOST:PORT" in line
    assert asked == []


def test_json_is_the_answer_as_it_came(asked: list[tuple[str, str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stats", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == STATS

    assert main(["peers", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"peers": []}


def test_watching_shows_it_again_until_interrupted(
    asked: list[tuple[str, str, Any]], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("node.cli.ask.time.sleep", pause)

    assert main(["peers", "--watch", "0.5", "--json"]) == 0

    assert capsys.readouterr().out == '{"peers": []}\n' * 3
    assert pauses == [0.5, 0.5, 0.5]


def test_a_broadcast_is_sent_as_it_was_given(
    asked: list[tuple[str, str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["broadcast", '{"text": "h\u00e9"}']) == 0
    assert capsys.readouterr().out == "ab" * 16 + "\n"

    assert main(["broadcast", "{}", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"message_id": "ab" * 16}

    assert [body for _, _, body in asked] == ['{"text": "h\u00e9"}'.encode(), b"{}"]


def test_a_broadcast_waits_for_what_it_is_told_to_wait_for(asked: list[tuple[str, str, Any]]) -> None:
    assert main(["broadcast", "{}", "--wait", "acked:3", "--timeout", "2.5"]) == 0
    assert main(["broadcast", "{}", "--wait", "covered"]) == 0
    assert main(["broadcast", "{}", "--timeout", "1"]) == 0

    assert [path for _, path, _ in asked] == [
        "/api/v1/broadcast?wait=acked:3&timeout=2.5",
        "/api/v1/broadcast?wait=covered&timeout=5.0",
        "/api/v1/broadcast",
    ]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--wait", "all"], 'allowed are "queued", "acked:k" with k from 1 on, and "covered"'),
        (["--wait", "acked:0"], "allowed are"),
        (["--wait", "covered", "--timeout", "61"], "from 0.001 to 60"),
    ],
)
def test_what_cannot_be_waited_for_is_never_sent(
    flags: list[str], words: str, asked: list[tuple[str, str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(["broadcast", "{}", *flags])

    assert end.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line
    assert asked == []


def test_a_value_with_a_key_twice_is_never_sent(
    asked: list[tuple[str, str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["send", "node-2", '{"a": {"b": 1, "b": 2}}']) == 2

    assert "a key appears twice in one object" in capsys.readouterr().err
    assert asked == []


def test_what_is_no_object_is_never_sent(asked: list[tuple[str, str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["broadcast", "[1]"]) == 2

    assert capsys.readouterr().err == ('positron: broadcast: allowed is a JSON object, such as \'{"text": "hello"}\'\n')
    assert asked == []


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"text": "' + b"x" * BODY_BYTES_MAX + b'"}', f"at most {BODY_BYTES_MAX} bytes"),
        (b'{"list": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deeply"),
        (b'{"text": "\xff"}', "not JSON"),
        (b"", "not JSON"),
        (None, "standard input is closed"),
    ],
)
def test_what_is_no_message_is_said_in_one_line(
    body: bytes | None,
    words: str,
    asked: list[tuple[str, str, Any]],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.stdin", None if body is None else io.TextIOWrapper(io.BytesIO(body)))

    assert main(["broadcast", "-"]) == 2

    (line,) = capsys.readouterr().err.splitlines()
    assert words in line
    assert asked == []


@pytest.mark.parametrize(
    ("words", "question"),
    [
        (["node-2", '{"n": 1}'], {"to": "node-2", "data": {"n": 1}, "reliable": True, "timeout": 5.0}),
        (["ab12", "h\u00e9", "--text"], {"to": "ab12", "data": "h\u00e9", "reliable": True, "timeout": 5.0}),
        (["h:1", "7", "--unreliable"], {"to": "h:1", "data": 7, "reliable": False, "timeout": 5.0}),
        (["h:1", "null", "--timeout", "0.5"], {"to": "h:1", "data": None, "reliable": True, "timeout": 0.5}),
    ],
)
def test_a_send_asks_what_the_command_line_says(
    words: list[str], question: dict[str, Any], asked: list[tuple[str, str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["send", *words]) == 0
    ((_, path, body),) = asked
    assert (path, json.loads(body)) == ("/api/v1/send", question)
    assert capsys.readouterr().out


def test_text_that_is_not_json_is_told_of_the_flag_for_text(
    asked: list[tuple[str, str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["send", "node-2", "hello"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("; --text sends it as text")
    assert asked == []
