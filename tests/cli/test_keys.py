from __future__ import annotations

import io
import os
import pty
import sys
import termios
import time
from collections.abc import Iterator

import pytest

from node.cli.keys import QUIT, pauses


@pytest.fixture
def keyboard(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, int]]:
    """Both ends of a terminal, the second of which is the standard input."""
    master, slave = pty.openpty()
    with open(slave, "rb", buffering=0, closefd=True) as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        yield master, slave
    os.close(master)


def test_the_key_ends_a_pause_and_others_do_not(keyboard: tuple[int, int]) -> None:
    with pauses() as is_left_in:
        os.write(keyboard[0], b"x\x1b[A")
        assert not is_left_in(0.01)
        os.write(keyboard[0], QUIT)
        assert is_left_in(3600.0)


def test_the_terminal_is_given_back_as_it_was(keyboard: tuple[int, int]) -> None:
    before = termios.tcgetattr(keyboard[1])

    def interrupted() -> None:
        with pauses():
            assert termios.tcgetattr(keyboard[1]) != before
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert termios.tcgetattr(keyboard[1]) == before


def test_a_terminal_that_is_gone_costs_no_processor(keyboard: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[bytes] = []

    def nothing(_descriptor: int, _count: int) -> bytes:
        reads.append(b"")
        return b""

    with pauses() as is_left_in:
        os.write(keyboard[0], b"x")
        monkeypatch.setattr("node.cli.keys.os.read", nothing)
        assert not is_left_in(0.02)
    assert len(reads) == 1


def test_without_a_keyboard_a_pause_is_a_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(sys, "stdin", io.StringIO("qqq"))
    monkeypatch.setattr(time, "sleep", slept.append)
    with pauses() as is_left_in:
        assert not is_left_in(5.0)
    assert slept == [5.0]
