"""Commands that ask a running node one thing: stats, peers, trust, broadcast, send.

Input is the parsed command line; the answer of the node's HTTP API goes to standard output as a table or as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from node.api.limits import BODY_BYTES_MAX
from node.api.objects import unique
from node.cli.errors import CommandMisused, until_interrupted
from node.cli.tables import clean, duration
from node.cli.target import node_of
from node.cli.views import peer_lines, stats_lines, trust_lines
from node.config import parse_address
from node.config.kinds import Unacceptable

__all__ = ["broadcast", "peers", "send", "stats", "trust"]

_CLEAR_SCREEN = "\x1b[H\x1b[2J\x1b[3J"


def stats(arguments: argparse.Namespace) -> int:
    """Shows the node, its links with both retransmission timeouts, and its gossip."""
    return _show(arguments, "/api/v1/stats", stats_lines)


def peers(arguments: argparse.Namespace) -> int:
    """Shows the peers that the node knows."""
    return _show(arguments, "/api/v1/peers", peer_lines)


def trust(arguments: argparse.Namespace) -> int:
    """Shows whom the node trusts, and why."""
    return _show(arguments, "/api/v1/trust", trust_lines)


def broadcast(arguments: argparse.Namespace) -> int:
    """Hands a JSON object to the node for every node of the network; prints the id of the message."""
    body = _given("broadcast", arguments.object)
    if not isinstance(_parsed("broadcast", body), dict):
        raise CommandMisused('broadcast: allowed is a JSON object, such as \'{"text": "hello"}\'')
    path, seconds = "/api/v1/broadcast", 0.0
    if arguments.wait != "queued":
        path, seconds = f"{path}?wait={arguments.wait}&timeout={arguments.timeout}", arguments.timeout
    answer = node_of(arguments).post(path, body, seconds=seconds)
    print(json.dumps(answer) if arguments.json else answer.get("message_id", "-"))
    return 0


def send(arguments: argparse.Namespace) -> int:
    """Has the node send a JSON value, or text, to one other node; says whether that has it, and since when."""
    body = _given("send", arguments.data)
    question = {
        "to": _target(arguments.target),
        "data": _text(body) if arguments.text else _parsed("send", body, hint="; --text sends it as text"),
        "reliable": not arguments.unreliable,
        "timeout": arguments.timeout,
    }
    try:
        content = json.dumps(question).encode()
    except ValueError as error:
        raise CommandMisused("send: the target is not text") from error
    answer = node_of(arguments).post("/api/v1/send", content, seconds=arguments.timeout)
    if arguments.json:
        print(json.dumps(answer))
    else:
        word = "delivered to" if answer.get("is_acknowledged") else "on its way to"
        print(f"{word} {clean(answer.get('to', '-'))} in {duration(answer.get('seconds'))}")
    return 0


def _target(text: str) -> str:
    """The text, if somebody could be called so."""
    if ":" in text:
        try:
            parse_address(text)
        except Unacceptable as error:
            raise CommandMisused(f"send: target {str(error)[:80]!r}: allowed is HOST:PORT or [IPV6]:PORT") from error
    if not text:
        raise CommandMisused("send: target '': allowed is a node id, its first 4 digits or more, a name, or HOST:PORT")
    return text


def _given(command: str, word: str) -> bytes:
    """The content that an argument holds, or that standard input does if it is `-`."""
    if word != "-":
        body = os.fsencode(word)
    elif sys.stdin is None:
        raise CommandMisused(f"{command}: standard input is closed")
    else:
        body = sys.stdin.buffer.read(BODY_BYTES_MAX + 1)
    if len(body) > BODY_BYTES_MAX:
        raise CommandMisused(f"{command}: allowed are at most {BODY_BYTES_MAX} bytes")
    return body


def _parsed(command: str, body: bytes, *, hint: str = "") -> Any:
    try:
        return json.loads(body, object_pairs_hook=unique)
    except RecursionError as error:
        raise CommandMisused(f"{command}: nested too deeply") from error
    except ValueError as error:
        raise CommandMisused(f"{command}: not JSON: {error}{hint}") from error


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise CommandMisused(f"send: not UTF-8 at byte {error.start}") from error


def _show(arguments: argparse.Namespace, path: str, lines: Callable[[dict[str, Any]], list[str]]) -> int:
    client = node_of(arguments)
    is_screen = arguments.watch is not None and sys.stdout.isatty() and not arguments.json
    if arguments.watch is None:
        answer = client.get(path)
        print(json.dumps(answer, indent=2) if arguments.json else "\n".join(lines(answer)))
        return 0
    with until_interrupted():
        while True:
            answer = client.get(path)
            # Each answer is one line, so that a program can read them one by one.
            text = json.dumps(answer) if arguments.json else "\n".join(lines(answer))
            print((_CLEAR_SCREEN if is_screen else "") + text, flush=True)
            if not is_screen and not arguments.json:
                print()
            time.sleep(arguments.watch)
    return 0
