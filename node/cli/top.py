"""The command that draws one or more running nodes again and again: RTT, RTO, retransmissions, gossip, loop lag.

On a terminal it draws over its last picture with plain control sequences and leaves the screen as it was; elsewhere
each picture is a block of lines, and with --json one line. Input is the parsed command line.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from node.cli.board import Board
from node.cli.client import Client
from node.cli.errors import CommandFailed, until_interrupted
from node.cli.keys import pauses
from node.cli.target import nodes_of

__all__ = ["top"]

_ENTER = "\x1b[?1049h\x1b[?25l"
_LEAVE = "\x1b[?25h\x1b[?1049l"
_HOME = "\x1b[H"
_CLEAR_LINE = "\x1b[K"

LINES_MIN = 5
"""Of one node, however many share the screen."""

FIRST_INTERVAL_MAX = 1.0
"""Seconds to the second reading, without which there are no rates."""


def top(arguments: argparse.Namespace) -> int:
    """Draws until interrupted, or left with the key q; with --once, one picture with rates."""
    boards = [(client, Board()) for client in nodes_of(arguments)]
    is_screen = sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb" and not arguments.json
    problems = _read(boards)
    if len(problems) == len(boards):
        raise CommandFailed(next(iter(problems.values())))
    pause = min(FIRST_INTERVAL_MAX, arguments.interval)
    if arguments.once:
        time.sleep(pause)
        problems = _read(boards)
        _draw(boards, problems, is_json=arguments.json, is_screen=False)
        return 1 if problems else 0
    with until_interrupted(), _screen() if is_screen else nullcontext(), pauses() as is_left_in:
        while not is_left_in(pause):
            _draw(boards, _read(boards), is_json=arguments.json, is_screen=is_screen)
            pause = arguments.interval
    return 0


def _read(boards: list[tuple[Client, Board]]) -> dict[str, str]:
    """Reads every node; what is wrong, by address, of those that do not answer."""
    problems: dict[str, str] = {}
    for client, board in boards:
        try:
            board.update(client.get("/api/v1/stats"), time.monotonic())
        except CommandFailed as error:
            problems[client.url] = str(error)
    return problems


def _draw(
    boards: list[tuple[Client, Board]], problems: dict[str, str], *, is_json: bool, is_screen: bool
) -> None:  # fmt: skip
    if is_json:
        for client, board in boards:
            problem = problems.get(client.url)
            answer = {"url": client.url} | (board.record() if problem is None else {"problem": problem})
            print(json.dumps(answer, allow_nan=False), flush=True)
        return
    size = shutil.get_terminal_size() if is_screen else None
    lines: list[str] = []
    for client, board in boards:
        if client.url in problems:
            lines += [problems[client.url], ""]
        else:
            # The height is shared, so that every node keeps its head on the screen.
            lines += [
                *(board.lines(size.columns, max(LINES_MIN, size.lines // len(boards) - 1)) if size else board.lines()),
                "",
            ]
    if size:
        # A line that ends in the last column, or below the last line, would move the picture; cleared first, a full
        # line keeps its last character.
        shown = [*lines[:-1], *[""] * size.lines][: size.lines]
        sys.stdout.write(_HOME + "\r\n".join(_CLEAR_LINE + line[: size.columns] for line in shown))
    else:
        sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


@contextmanager
def _screen() -> Iterator[None]:
    """A screen of its own, given back however the block ends."""
    sys.stdout.write(_ENTER)
    try:
        yield
    finally:
        sys.stdout.write(_LEAVE)
        sys.stdout.flush()
