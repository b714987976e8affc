"""Every example does what its first lines say, as a program of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.ports import two_in_a_row

pytestmark = pytest.mark.loopback

EXAMPLES = Path(__file__).parents[2] / "examples"
DEADLINE = 50.0


def run(name: str) -> str:
    done = subprocess.run(
        [sys.executable, EXAMPLES / name], capture_output=True, text=True, timeout=DEADLINE, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_messages_travel_by_all_three_ways() -> None:
    lines = run("transport_example.py").splitlines()
    assert lines[:5] == [
        "'you have this' from 127.0.0.1, reliable",
        "'you may have this' from 127.0.0.1, unreliable",
        "'part 1' from 127.0.0.1, reliable",
        "'part 2' from 127.0.0.1, reliable",
        "'part 3' from 127.0.0.1, reliable",
    ]
    assert re.fullmatch(r"udp link: ESTABLISHED, RTT [0-9.]+ ms, RTO [0-9.]+ s", lines[5])


def test_calls_get_their_answers() -> None:
    assert run("custom_handler.py") == "add(2, 3) = 5\nupper('hello') = HELLO\n"


@contextmanager
def store(tmp_path: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    environment = os.environ | {"XDG_STATE_HOME": str(tmp_path)}
    command = [sys.executable, str(EXAMPLES / "key_value.py"), *words]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, bufsize=1
    ) as process:
        try:
            yield process
            assert process.stdin is not None
            process.stdin.close()
            assert process.wait(DEADLINE) == 0
        finally:
            process.kill()


def say(process: subprocess.Popen[str], line: str) -> str:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(line + "\n")
    return process.stdout.readline().strip() if not line.startswith("set") else ""


def ask_until(process: subprocess.Popen[str], line: str, answer: str) -> None:
    """Asks again until the change has arrived; the test's own time limit ends it."""
    while say(process, line) != answer:
        pass


def test_what_one_node_sets_every_node_gets_and_a_newcomer_too(tmp_path: Path) -> None:
    port, _ = two_in_a_row(range(34_100, 35_500, 3))
    with ExitStack() as stack:
        first = stack.enter_context(store(tmp_path, "--port", str(port)))
        assert first.stdout is not None
        assert first.stdout.readline().endswith("with 0 peers\n")
        say(first, "set colour blue and green")
        second = stack.enter_context(store(tmp_path, "--port", "0", "--join", f"127.0.0.1:{port}"))
        assert second.stdout is not None
        assert second.stdout.readline().endswith("with 1 peers\n")
        ask_until(second, "get colour", "blue and green")
        say(second, "set colour red")
        ask_until(first, "get colour", "red")
        assert say(first, "all") == "{'colour': 'red'}"
        assert say(first, "nonsense") == "set NAME VALUE, get NAME, or all"


def test_a_store_that_cannot_join_says_so_in_one_line(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, EXAMPLES / "key_value.py", "--port", "0", "--join", "nowhere"],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
        env=os.environ | {"XDG_STATE_HOME": str(tmp_path)},
    )
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "nowhere" in done.stderr
