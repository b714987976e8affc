"""Commands that ask a running node: stats, peers, broadcast.

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
from node.cli.client import Client
from node.cli.errors import CommandMisused
from node.cli.flags import config_flags
from node.cli.views import peer_lines, stats_lines
from node.config import URL_VARIABLE, load

__all__ = ["broadcast", "peers", "stats"]

_CLEAR_SCREEN = "\x1b[H\x1b[2J\x1b[3J"


def stats(arguments: argparse.Namespace) -> int:
    """Shows the node, its links with both retransmission timeouts, and its gossip."""
    return _show(arguments, "/api/v1/stats", stats_lines)


def peers(arguments: argparse.Namespace) -> int:
    """Shows the peers that the node knows."""
    return _show(arguments, "/api/v1/peers", peer_lines)


def broadcast(arguments: argparse.Namespace) -> int:
    """Hands a JSON object to the node for every node of the network; prints the id of the message."""
    body = _standard_input() if arguments.object == "-" else os.fsencode(arguments.object)
    if len(body) > BODY_BYTES_MAX:
        raise CommandMisused(f"broadcast: allowed are at most {BODY_BYTES_MAX} bytes")
    try:
        is_object = isinstance(json.loads(body), dict)
    except RecursionError as error:
        raise CommandMisused("broadcast: nested too deeply") from error
    except ValueError as error:
        raise CommandMisused(f"broadcast: not JSON: {error}") from error
    if not is_object:
        raise CommandMisused('broadcast: allowed is a JSON object, such as \'{"text": "hello"}\'')
    answer = _client(arguments).post("/api/v1/broadcast", body)
    print(json.dumps(answer) if arguments.json else answer.get("message_id", "-"))
    return 0


def _standard_input() -> bytes:
    if sys.stdin is None:
        raise CommandMisused("broadcast: standard input is closed")
    return sys.stdin.buffer.read(BODY_BYTES_MAX + 1)


def _show(arguments: argparse.Namespace, path: str, lines: Callable[[dict[str, Any]], list[str]]) -> int:
    client = _client(arguments)
    is_screen = arguments.watch is not None and sys.stdout.isatty() and not arguments.json
    while True:
        answer = client.get(path)
        # With --watch each answer is one line, so that a program can read them one by one.
        text = json.dumps(answer, indent=None if arguments.watch else 2) if arguments.json else "\n".join(lines(answer))
        print((_CLEAR_SCREEN if is_screen else "") + text, flush=True)
        if arguments.watch is None:
            return 0
        if not is_screen and not arguments.json:
            print()
        time.sleep(arguments.watch)


def _client(arguments: argparse.Namespace) -> Client:
    flags = config_flags(arguments)
    url = arguments.url
    if url is None and not flags:
        url = os.environ.get(URL_VARIABLE) or None
    if url is None:
        url = load(flags=flags, path=arguments.config).config.http_url
    return Client(url)
