"""The command that has a running node record the connection with one peer, and fetches what was recorded.

Input is the parsed command line; output is a qlog file, on standard output or where --output says.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO
from urllib.parse import quote

from node.cli.client import Client
from node.cli.errors import CommandMisused, until_interrupted
from node.cli.target import node_of

__all__ = ["qlog"]

_SEPARATOR = b"\x1e"


def qlog(arguments: argparse.Namespace) -> int:
    """Records for so many seconds, or until interrupted, and writes the trace; for none, what is recorded already."""
    client = node_of(arguments)
    path = f"/api/v1/peers/{quote(arguments.peer, safe='')}/qlog"
    with _output(arguments.output) as output:
        if arguments.seconds:
            has_begun = not _record(client, path, is_recording=True)
            try:
                with until_interrupted():
                    time.sleep(arguments.seconds)
            finally:
                # What was recorded before goes on; what ends here can still be read.
                if has_begun:
                    _record(client, path, is_recording=False)
        trace = client.fetch(path)
        output.write(trace)
    if arguments.output != "-":
        print(f"{trace.count(_SEPARATOR)} records in {arguments.output}")
    return 0


def _record(client: Client, path: str, *, is_recording: bool) -> bool:
    """Whether it was recorded before."""
    answer = client.post(path, json.dumps({"is_recording": is_recording}).encode())
    return bool(answer.get("was_recording"))


@contextmanager
def _output(name: str) -> Iterator[BinaryIO]:
    """Where the trace goes, opened before anything is asked of a node."""
    if name == "-":
        yield sys.stdout.buffer
        return
    try:
        file = open(name, "wb")  # noqa: SIM115 - closed below; only the opening is the caller's mistake
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise CommandMisused(f"--output {name[:200]!r}: {reason}; allowed is a file that can be written") from error
    with file:
        yield file
