"""The command that shows what a node has received, and goes on to show what it receives.

Input is the parsed command line; each message is one line, of text or of JSON.
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any
from urllib.parse import urlencode

from node.api.limits import PAGE_ENTRIES_MAX, WAIT_MAX
from node.cli.client import Client
from node.cli.errors import until_interrupted
from node.cli.target import node_of
from node.cli.views import message_line, records

__all__ = ["messages"]

PATH = "/api/v1/messages"


def messages(arguments: argparse.Namespace) -> int:
    """Shows the newest messages; with --follow, every later one until interrupted."""
    client = node_of(arguments)
    page = client.get(f"{PATH}?{urlencode({'tail': arguments.last})}")
    if arguments.json and not arguments.follow:
        print(json.dumps(page, indent=2))
        return 0
    _show(page, is_json=arguments.json)
    if not arguments.follow and not page.get("messages"):
        print("no messages yet", file=sys.stderr)
    if arguments.follow:
        with until_interrupted():
            _follow(client, str(page.get("cursor", "")), is_json=arguments.json)
    return 0


def _follow(client: Client, cursor: str, *, is_json: bool) -> None:
    while True:
        page = _news(client, cursor)
        cursor = str(page.get("cursor", ""))
        if page.get("is_reset"):
            print("the node has begun anew", file=sys.stderr)
        elif page.get("missed"):
            print(f"{page['missed']} messages came too fast and are gone", file=sys.stderr)
        _show(page, is_json=is_json)


def _news(client: Client, cursor: str) -> dict[str, Any]:
    query = urlencode({"after": cursor, "wait": WAIT_MAX, "limit": PAGE_ENTRIES_MAX})
    return client.get(f"{PATH}?{query}", seconds=WAIT_MAX)


def _show(page: dict[str, Any], *, is_json: bool) -> None:
    for message in records(page.get("messages")):
        print(json.dumps(message) if is_json else message_line(message))
    sys.stdout.flush()
